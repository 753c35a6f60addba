"""How learning moves a critic's values: towards their targets or past them.

    alignment    cos(Q′ − Q, y − Q) of an update's own batch: 1 where every value moves as its target asks
    change       δL of L = (1/2n) Σ ε², ε = Q − y, by one plain semi-gradient step of length η

With y_i = r_i + γ_i Q̄(x′_i), and Q̄ following by the share α of the critic's own move (α = 1 without
targets, τ with them), to first order

    θ ← θ − (η/n) Σ_j ε_j ∇Q_j
    δQ_i = −(η/n) Σ_j K_ij ε_j          δy_i = −(αη/n) γ_i Σ_j K′_ij ε_j          K′_ij = ⟨∇Q(x′_i), ∇Q(x_j)⟩
    δL = (1/n) Σ_i ε_i (δQ_i − δy_i) = −(η/n²) εᵀ(K − α γ K′)ε

A supervised step has K′ = 0 and never makes L larger. A semi-gradient step may: the targets move, too
(the thesis on maximum entropy, §1.2.1 and §3.1, whose target networks move by α of the wrong
difference; see docs/errata.md).

Shapes: B rows, I inputs.
"""

from typing import Any

import numpy as np

from deepnp import Module
from deepnp.tangents import pairs, tangent_kernel
from rl.agent import Agent
from rl.config import whole_number
from rl.experience.collector import Step
from rl.runs.callbacks import Callback


def semi_gradient_change(
    critic: Module, x: Any, x_next: Any, discounts: np.ndarray, errors: np.ndarray, share: float = 1.0
) -> tuple[float, float]:
    """δL/η of one semi-gradient step, in two parts: what the values do, and what the targets do. Their sum is δL/η.

    Parameters
    ----------
    critic : Module
        Of layers that `deepnp.tangents` knows.
    x, x_next : arrays (B, I)
        What Q, and Q̄ in the targets, read.
    discounts : array (B,)
        γ_i, 0 where the episode terminated.
    errors : array (B,)
        ε = Q − y.
    share : float
        α.

    Returns
    -------
    own, targets : float
        −(1/n²) εᵀKε, and (1/n²) α εᵀγK′ε.

    Raises
    ------
    ValueError
        Unless all have the same B >= 1 rows.
    """
    shapes = {"x": np.shape(x), "x_next": np.shape(x_next), "discounts": np.shape(discounts), "errors": np.shape(errors)}
    given = shapes["errors"]
    if len(given) != 1 or not given[0] or shapes["discounts"] != given or {shape[:1] for shape in shapes.values()} != {given}:
        raise ValueError(f"expected x (B, I), x_next (B, I), discounts (B,) and errors (B,) with B >= 1, given {shapes}")
    ones, errors = np.ones((len(errors), 1), critic.flat.data.dtype), errors.astype(np.float64)
    critic.forward(x_next)
    rows_next = pairs(critic, ones)
    critic.forward(x)
    rows = pairs(critic, ones)
    scale = 1 / len(errors) ** 2
    own = -scale * float(errors @ tangent_kernel(rows) @ errors)
    return own, scale * share * float((discounts * errors) @ tangent_kernel(rows_next, rows) @ errors)


class UpdateAlignment(Callback):
    """Measures the alignment of every so many updates of the critics.

    Parameters
    ----------
    every : int
        Environment steps between two measurements. Each costs two predictions of a batch.

    Attributes
    ----------
    steps : list of int
        When it was measured.
    values : list of float
        The cosines, the mean over the critics.
    """

    def __init__(self, every: int = 100):
        self.every = whole_number("every", every, 1)
        self.steps: list[int] = []
        self.values: list[float] = []
        self._due = 0

    def on_start(self, agent: Agent) -> None:
        if not hasattr(agent, "critics"):
            raise TypeError(f"expected an agent with critics, given {type(agent).__name__}")
        self._due = agent.steps

    def on_step(self, agent: Agent, step: Step) -> None:
        critics = agent.critics  # type: ignore[attr-defined]
        if critics.alignment is not None:  # of an update after the last step
            self.steps.append(agent.steps)
            self.values.append(critics.alignment)
            critics.alignment, critics.watched = None, False
            self._due = agent.steps + self.every
        elif agent.steps >= self._due:
            critics.watched = True

    def on_end(self, agent: Agent, error: BaseException | None) -> None:
        agent.critics.watched = False  # type: ignore[attr-defined]
