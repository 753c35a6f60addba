"""What an agent cannot see it has to remember: two tasks that no policy of one observation can solve.

    python examples/memory.py                                  CartPole without velocities, PPO with an LSTM
    python examples/memory.py --memory none                    the same without memory: it does not learn to balance
    python examples/memory.py --task recall --memory gru       name a cue that was shown 20 steps ago

CartPole shows the positions of cart and pole alone: how fast they move is the difference of two observations. Recall shows one
of four cues, then nothing for 20 steps, and pays 1 for naming the cue at the end; guessing pays 0.25 on average.

Writes a run to runs/memory/ (settings, progress, checkpoints). Ctrl-C ends early, and cleanly.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TransformObservation

from examples.common import not_negative, positive, run
from rl import PPO, PPOConfig, evaluate
from rl.runs.run import new_folder

EPISODES = 20
POSITIONS = [0, 2]  # of CartPole's observation: the cart's place and the pole's angle


class Recall(gymnasium.Env):
    """A cue is shown, then nothing; after `delay` steps the action has to name it.

    Observations are the cue's share of each of `cues` places, and whether it has to be named now. The reward is 1 for the right
    name, and 0 for everything else.
    """

    def __init__(self, delay: int = 20, cues: int = 4):
        self.observation_space = spaces.Box(0, 1, (cues + 1,), np.float32)
        self.action_space = spaces.Discrete(cues)
        self.delay, self.cues = delay, cues

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.step_count, self.cue = 0, int(self.np_random.integers(self.cues))
        return self._observe(), {}

    def step(self, action):
        named = self.step_count == self.delay
        self.step_count += 1
        return self._observe(), float(named and action == self.cue), named, False, {}

    def _observe(self):
        observation = np.zeros(self.cues + 1, np.float32)
        if self.step_count == 0:
            observation[self.cue] = 1
        observation[-1] = self.step_count == self.delay
        return observation


def blind_cartpole() -> gymnasium.Env:
    """CartPole-v1 without velocities."""
    env = gymnasium.make("CartPole-v1")
    low, high = env.observation_space.low[POSITIONS], env.observation_space.high[POSITIONS]
    return TransformObservation(env, lambda observation: observation[POSITIONS], spaces.Box(low, high))


TASKS: dict[str, tuple[Callable[[], gymnasium.Env], int, dict]] = {  # environment, steps, settings
    "cartpole": (blind_cartpole, 100_000, dict(num_envs=8, memory_span=32)),
    "recall": (Recall, 80_000, dict(num_envs=16, memory_span=64, entropy_coef=0.01)),
}
WINDOWS = {"cartpole": 8, "recall": 24}  # of attention, which also wants a smaller learning rate


def settings(task: str, memory: str | None, **others) -> PPOConfig:
    """PPO's settings for a task with a memory, or without."""
    attention = dict(memory_span=WINDOWS[task], lr=5e-4) if memory == "attention" else {}
    return PPOConfig(**{**dict(steps=128, batch_size=256, lr=1e-3), **TASKS[task][2], **attention, **others}, memory=memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, default="cartpole")
    parser.add_argument("--memory", choices=("none", "rnn", "lstm", "gru", "attention"), default="lstm")
    parser.add_argument("--steps", type=positive, help="environment steps (by default enough for the task)")
    parser.add_argument("--seed", type=not_negative, default=0, help="of the agent and its episodes (default 0)")
    parser.add_argument("--out", type=Path, help="the run's folder (default runs/memory, …-2, …)")
    options = parser.parse_args()
    make, steps, _ = TASKS[options.task]
    config = settings(options.task, None if options.memory == "none" else options.memory)
    agent = PPO([make] * config.num_envs, config, seed=options.seed)
    folder = options.out or new_folder(Path("runs") / "memory")
    agent.learn(options.steps or steps, progress=True, log=folder)
    returns = evaluate(agent, [make] * EPISODES, EPISODES)
    print(f"{options.task} with memory {options.memory}: return {returns.mean():.2f} in {EPISODES} deterministic episodes")


if __name__ == "__main__":
    run(main)
