"""Hints on generalised advantage estimation for `python -m deepnp.learn gae`, and mistakes that are made with it.

Shapes: T steps, N environments.
"""

import numpy as np

from rl.losses.returns import gae

HINTS = (
    "δ = rewards + γ·next_values − values, for all steps at once: it needs no loop, and no mask.",
    "A of the last step is δ of the last step. From there go backwards: A_t = δ_t + γλ·A_{t+1}, if step t did not end an episode.",
    "Where step t ended one, however it ended, A_{t+1} belongs to the next episode, and A_t = δ_t. "
    "So A_t = δ_t + γλ·(1 − ended_t)·A_{t+1}.",
    "With a horizon h, sum from l = 0 to h − 1 and stop after a step that ended: a loop over l, in which (γλ)^l δ_{t+l} is "
    "added where no step from t to t + l − 1 ended.",
)


def through_ends(rewards, values, next_values, ended, gamma, lam, horizon=None) -> np.ndarray:
    return gae(rewards, values, next_values, np.zeros_like(ended), gamma, lam, horizon)


def one_too_early(rewards, values, next_values, ended, gamma, lam, horizon=None) -> np.ndarray:
    earlier = np.concatenate([ended[1:], np.zeros_like(ended[:1])])
    return gae(rewards, values, next_values, earlier, gamma, lam, horizon)


def one_too_late(rewards, values, next_values, ended, gamma, lam, horizon=None) -> np.ndarray:
    later = np.concatenate([np.zeros_like(ended[:1]), ended[:-1]])
    return gae(rewards, values, next_values, later, gamma, lam, horizon)


def without_bootstrap(rewards, values, next_values, ended, gamma, lam, horizon=None) -> np.ndarray:
    return gae(rewards, values, np.where(ended, 0, next_values), ended, gamma, lam, horizon)


def of_the_next_row(rewards, values, next_values, ended, gamma, lam, horizon=None) -> np.ndarray:
    return gae(rewards, values, np.concatenate([values[1:], next_values[-1:]]), ended, gamma, lam, horizon)


def returns(rewards, values, next_values, ended, gamma, lam, horizon=None) -> np.ndarray:
    return gae(rewards, values, next_values, ended, gamma, lam, horizon) + values


def one_more(rewards, values, next_values, ended, gamma, lam, horizon=None) -> np.ndarray:
    return gae(rewards, values, next_values, ended, gamma, lam, None if horizon is None else horizon + 1)


def unlimited(rewards, values, next_values, ended, gamma, lam, horizon=None) -> np.ndarray:
    return gae(rewards, values, next_values, ended, gamma, lam)


MISTAKES = (
    ("where the sum goes on into the next episode: it is cut after each step with `ended`", through_ends),
    ("where the sum is cut one step too early: δ of the step with `ended` belongs to its episode", one_too_early),
    ("where the sum is cut one step too late: `ended` of step t cuts A_{t+1} off, and not A_t", one_too_late),
    (
        "where V(s_{t+1}) is 0 at every end: `next_values` is 0 where it has to be, and counts at a time limit",
        without_bootstrap,
    ),
    ("where the next row's value stands for `next_values`: after an end it is that of another episode", of_the_next_row),
    ("plus `values`: these are the targets of the value, and the advantages are asked for", returns),
    ("where the sum has one TD error more than `horizon`", one_more),
    ("where `horizon` is left out", unlimited),
)
