"""The critics' step of conservative Q-learning, and the actions that it holds down; see rl/losses/conservative.py.

Shapes: B rows, A action dimensions, K drawn actions of each row.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from deepnp import NonFiniteError
from rl.experience import trees
from rl.experience.trees import Observations
from rl.losses.checks import check_finite, check_gradient
from rl.losses.conservative import conservative_loss
from rl.losses.td import td_loss
from rl.networks.critics import Critics, fit_each

PENALTIES = ("logsumexp", "policy", "uniform")


class Drawn(NamedTuple):
    """Actions (B, K, A), and ln of the density (B, K) that each was drawn from."""

    actions: np.ndarray
    log_p: np.ndarray


def drawn_actions(policy: Any, s: Observations, s_next: Observations, count: int, penalty: str, rng: np.random.Generator) -> Drawn:
    """`count` actions of each kind for each row: uniform ones, those of π(·|s), those of π(·|s′).

    Parameters
    ----------
    policy : SquashedGaussianPolicy
    s, s_next : (B, …)
        As the networks read them.
    count : int
        n.
    penalty : {"logsumexp", "policy", "uniform"}
        All three kinds, or one.
    rng : numpy.random.Generator
    """
    rows, size = trees.length(s), policy.noise_size
    kinds = []
    if penalty != "policy":
        uniform = rng.uniform(-1, 1, (rows, count, size)).astype(np.float32)
        kinds.append(Drawn(uniform, np.full((rows, count), -size * math.log(2), np.float32)))
    for x in {"logsumexp": (s, s_next), "policy": (s,), "uniform": ()}[penalty]:
        noise = rng.standard_normal((rows * count, size), np.float32)
        actions, log_p = policy.predict(trees.take(x, np.arange(rows).repeat(count)), noise)
        kinds.append(Drawn(actions.reshape(rows, count, size), log_p.reshape(rows, count)))
    return Drawn(*(np.concatenate(parts, axis=1) for parts in zip(*kinds, strict=True)))


def fit_conservative(
    critics: Critics,
    observations: Observations,
    actions: np.ndarray,
    targets: np.ndarray,
    drawn: Drawn,
    alpha: float,
    penalty: str,
) -> tuple[float, float, np.ndarray]:
    """One step of each critic on its squared TD error and the penalty.

    Parameters
    ----------
    critics : Critics
    observations : (B, …)
    actions : array (B, A)
        Those of the data.
    targets : array (B,)
    drawn : Drawn
    alpha : float
        α_c.
    penalty : {"logsumexp", "policy", "uniform"}

    Returns
    -------
    loss, penalty : float
        Means over the critics.
    errors : array (B,)
        The critics' mean |Q − y|.

    Raises
    ------
    NonFiniteError
        If a loss or a gradient is NaN or infinite: that critic stays as it is.
    """
    rows, count = drawn.log_p.shape
    own = trees.take(observations, np.append(np.arange(rows), np.arange(rows).repeat(count)))
    x = trees.with_actions(own, np.concatenate([actions, drawn.actions.reshape(rows * count, -1)]))
    form = "logsumexp" if penalty == "logsumexp" else "mean"

    def step(network, optimizer):
        optimizer.vector.zero_grad()
        q = network.forward(x)[:, 0]
        loss, dq, errors = td_loss(q[:rows], targets, np.ones_like(q[:rows]))
        gap, ddrawn, dstored = conservative_loss(q[rows:].reshape(rows, count), q[:rows], drawn.log_p, alpha, form)
        try:
            check_finite("critic loss", loss + gap)
            network.backward(np.concatenate([dq + dstored, ddrawn.ravel()])[:, None], inputs=False)
            check_gradient("critic's gradient", optimizer.vector)
        except NonFiniteError as error:
            return (loss, gap), errors, error  # the other critic takes its step, whichever comes first
        optimizer.step()
        return (loss, gap), errors, None

    losses, errors = fit_each(step, critics.networks, critics.optimizers, trees.vector(x))
    mean_loss, mean_gap = np.mean(losses, axis=0).tolist()
    return mean_loss, mean_gap, sum(map(abs, errors)) / errors[0].dtype.type(len(errors))
