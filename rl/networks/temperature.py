"""The weight of the entropy, α: fixed, or tuned until the policy is as random as it is asked to be.

    L(ln α) = −ln α·(mean ln π + H̄)        dL/dln α = −(mean ln π + H̄)

The policy's entropy is −mean ln π: where it is below the target H̄, ln α rises.
"""

import math

import numpy as np

from deepnp import Parameter, ParameterVector
from deepnp.checks import check_shape
from deepnp.optim import Adam
from rl.state import join, part


class Temperature:
    """α.

    Parameters
    ----------
    fixed : float or None
        α for ever; None tunes it.
    start : float
        α at the start, where it is tuned.
    target_entropy : float
        H̄.
    lr : float
        Of Adam.
    """

    def __init__(self, fixed: float | None, start: float, target_entropy: float, lr: float):
        self.fixed, self.target_entropy = fixed, target_entropy
        self.log_alpha = Parameter(np.full(1, math.log(start), np.float32))
        self.optimizer = Adam(ParameterVector({"log_alpha": self.log_alpha}), lr)

    @property
    def alpha(self) -> float:
        """α."""
        return math.exp(float(self.log_alpha.data[0])) if self.fixed is None else self.fixed

    def step(self, log_prob: np.ndarray) -> None:
        """One step against the log-probabilities (B,) of drawn actions, where it is tuned."""
        if self.fixed is None:
            self.log_alpha.grad[0] = -(float(log_prob.mean()) + self.target_entropy)
            self.optimizer.step()

    def state_dict(self) -> dict[str, np.ndarray]:
        return {"log_alpha": self.log_alpha.data} | join({"optimizer": self.optimizer.state_dict()})

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        check_shape("log_alpha", state["log_alpha"], self.log_alpha.shape)
        self.optimizer.load_state_dict(part(state, "optimizer"))
        self.log_alpha.data[...] = state["log_alpha"]
