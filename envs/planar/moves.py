"""The moves that Sorter, Dodger and Survivor share: one of them a decision, along or across the heading, or a turn."""

import numpy as np

from envs.kernels import kernel

STAY, RIGHT, LEFT, AHEAD, BACK, TURN_RIGHT, TURN_LEFT = range(7)
MOVES = 7
ROUND, HALF = np.float32(2 * np.pi), np.float32(np.pi)


@kernel
def moved(action, heading, stride, turn) -> tuple[np.floating, np.floating, np.floating]:
    """How far the agent goes along x and y, and its new heading in [−π, π]: `stride` metres or `turn` radians."""
    ahead, left = np.float32(0), np.float32(0)
    if action == AHEAD:
        ahead = stride
    elif action == BACK:
        ahead = -stride
    elif action == LEFT:
        left = stride
    elif action == RIGHT:
        left = -stride
    elif action == TURN_LEFT:
        heading += turn
        heading -= ROUND if heading > HALF else np.float32(0)
    elif action == TURN_RIGHT:
        heading -= turn
        heading += ROUND if heading < -HALF else np.float32(0)
    c, s = np.cos(heading), np.sin(heading)
    return c * ahead - s * left, s * ahead + c * left, heading
