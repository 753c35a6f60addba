"""What makes a distribution over actions of a network's outputs, for each kind of action.

    Box              Gaussian, squashed Gaussian (squashed_gaussian.py) or Beta (beta.py)
    choices          a softmax for each branch, a switch for each number, or k of n (subset.py)
    Dict, Tuple      the product of its parts' (joint.py), all made of one network's outputs

A head is a Module. It reads a pair: the network's outputs (B, outputs), and the mask (B, C) of choices or None. It gives a
distribution. Its `backward` takes the gradient of each of the distribution's parameters, and gives that of the outputs.

Shapes: B rows, A action dimensions, C choices.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from deepnp import Module, Parameter
from deepnp.ops.activation import softplus
from deepnp.parameters import Buffer, Tangents
from rl.experience.actions import ActionLayout
from rl.networks.beta import Beta
from rl.networks.branches import Bernoulli, Distribution, MultiCategorical
from rl.networks.distributions import Categorical, DiagonalGaussian
from rl.networks.joint import Joint
from rl.networks.masks import masked
from rl.networks.squashed_gaussian import SquashedGaussian
from rl.networks.subset import Subset

HEADS = ("gaussian", "squashed", "beta")


@dataclass(frozen=True)
class HeadSettings:
    """How actions of a Box are drawn.

    Attributes
    ----------
    kind : {"gaussian", "squashed", "beta"}
    sigma : {"vector", "fixed", "network"}
        See `GaussianPolicy`.
    initial_sigma : float
    sigma_hidden : tuple of int or None
        Widths of σ's network; None: those of μ's.
    sigma_beta, sigma_scale : float
        β and ψ of the softplus that ends σ's network.
    anneal_sigma : float or None
        Where a fixed σ goes, linearly, in the course of the training; None: it stays.
    sde_interval : int or None
        Steps after which state-dependent exploration draws its noise anew (gsde.py); None: there is
        none.
    """

    kind: str = "gaussian"
    sigma: str = "vector"
    initial_sigma: float = 1.0
    sigma_hidden: tuple[int, ...] | None = None
    sigma_beta: float = 1.0
    sigma_scale: float = 1.0
    anneal_sigma: float | None = None
    sde_interval: int | None = None

    @classmethod
    def of(cls, c: Any) -> "HeadSettings":
        """Those of an `OnPolicyConfig`."""
        sigma = c.sigma, c.initial_sigma, c.sigma_hidden, c.sigma_beta, c.sigma_scale, c.anneal_sigma
        return cls(c.head, *sigma, c.sde_interval)

    @property
    def gaussian(self) -> type[DiagonalGaussian]:
        """The class of a Gaussian's distribution."""
        return SquashedGaussian if self.kind == "squashed" else DiagonalGaussian

    def raw_sigma(self) -> float:
        """What softplus makes `initial_sigma` of: ln(e^{βσ/ψ} − 1)/β."""
        u = self.sigma_beta * self.initial_sigma / self.sigma_scale
        return float(u + np.log(-np.expm1(-u))) / self.sigma_beta


class FixedSigma(Module):
    """A σ that is not trained, and may go from `initial_sigma` to `anneal_sigma` in the course of the training.

    Where it moves it is saved with the policy.

    Parameters
    ----------
    actions : int
        A.
    settings : HeadSettings
    """

    def __init__(self, actions: int, settings: HeadSettings):
        self._ends = settings.initial_sigma, settings.anneal_sigma
        sigma = np.full(actions, settings.initial_sigma, np.float32)
        self._sigma: Any = sigma if settings.anneal_sigma is None else None
        if settings.anneal_sigma is not None:
            self.annealed = Buffer(sigma)

    @property
    def sigma(self) -> np.ndarray:
        """σ (A,)."""
        return self.annealed.data if self._sigma is None else self._sigma

    def anneal(self, progress: float) -> None:
        """Go where it is at `progress` in [0, 1] of the training."""
        first, last = self._ends
        if last is not None:
            self.annealed.data[...] = first + (last - first) * progress

    def forward(self, x: Any) -> np.ndarray:
        """σ (A,), whatever x is."""
        return self.sigma

    def backward(self, dy: Any, params: bool = True, inputs: bool = True) -> None:
        """Nothing is trained."""

    def predict(self, x: Any) -> np.ndarray:
        """σ (A,), whatever x is."""
        return self.sigma


class GaussianHead(Module):
    """μ (B, A), and σ: a trainable vector, a constant, or softplus of as many outputs more.

    Parameters
    ----------
    actions : int
        A.
    settings : HeadSettings
    """

    def __init__(self, actions: int, settings: HeadSettings):
        self.actions, self.settings = actions, settings
        self.outputs = 2 * actions if settings.sigma == "network" else actions
        if settings.sigma == "vector":
            self.log_sigma = Parameter(np.full(actions, np.log(settings.initial_sigma), np.float32))
        elif settings.sigma == "fixed":
            self.fixed = FixedSigma(actions, settings)
        self._cache: Any = None  # σ, and what softplus keeps

    def forward(self, x: tuple) -> DiagonalGaussian:
        """(outputs (B, A) or (B, 2A), None) -> distribution over (B, A)."""
        self._cache = self._sigma(x[0])
        return self.settings.gaussian(x[0][:, : self.actions], self._cache[0])

    def backward(self, dy: tuple, params: bool = True, inputs: bool = True) -> np.ndarray:
        """dy = (dmean (B, A), dsigma like sigma)."""
        (dmean, dsigma), (sigma, kept) = dy, self.cache
        if self.settings.sigma == "network":
            return np.concatenate([dmean, softplus.backward(dsigma, kept)], axis=1)
        if self.settings.sigma == "vector" and params:
            self.log_sigma.grad += dsigma * sigma  # σ = e^{ln σ}: dlnσ = σ dσ
        return dmean

    def predict(self, x: tuple) -> DiagonalGaussian:
        """Like `forward`, remembering nothing."""
        return self.settings.gaussian(x[0][:, : self.actions], self._sigma(x[0])[0])

    def _tangent(self, v: Tangents, vx) -> tuple[np.ndarray, np.ndarray]:
        sigma, kept = self.cache
        if self.settings.sigma == "network":
            return vx[:, : self.actions], softplus.jvp(vx[:, self.actions :], kept)
        return vx, v[self.log_sigma] * sigma if self.settings.sigma == "vector" else np.zeros_like(sigma)

    def _sigma(self, y):
        c = self.settings
        if c.sigma == "network":
            raw = y[:, self.actions :] + y.dtype.type(c.raw_sigma())
            return softplus.forward(np.ascontiguousarray(raw), c.sigma_beta, c.sigma_scale)
        return np.exp(self.log_sigma.data) if c.sigma == "vector" else self.fixed.sigma, None


class BetaHead(Module):
    """α, β = 1 + softplus(y): two outputs for each dimension. At least 1, so the density has one peak.

    Parameters
    ----------
    actions : int
        A.
    """

    def __init__(self, actions: int):
        self.actions, self.outputs = actions, 2 * actions
        self._cache: Any = None

    def forward(self, x: tuple) -> Beta:
        """(outputs (B, 2A), None) -> distribution over (B, A)."""
        y, self._cache = softplus.forward(x[0])
        return self._of(y)

    def backward(self, dy: tuple, params: bool = True, inputs: bool = True) -> np.ndarray:
        """dy = (dalpha, dbeta (B, A))."""
        return softplus.backward(np.concatenate(dy, axis=1), self.cache)

    def predict(self, x: tuple) -> Beta:
        """Like `forward`, remembering nothing."""
        return self._of(softplus.forward(x[0])[0])

    def _tangent(self, v: Tangents, vx) -> tuple[np.ndarray, np.ndarray]:
        vy = softplus.jvp(vx, self.cache)
        return vy[:, : self.actions], vy[:, self.actions :]

    def _of(self, y):
        return Beta(1 + y[:, : self.actions], 1 + y[:, self.actions :])


class ChoiceHead(Module):
    """Logits of choices or switches.

    Parameters
    ----------
    action : ActionLayout
    """

    def __init__(self, action: ActionLayout):
        self.action, self.outputs = action, action.outputs

    def forward(self, x: tuple) -> Distribution:
        """(outputs (B, C), mask (B, C) or None) -> distribution over the choices."""
        return choices(self.action, *x)

    def backward(self, dy: tuple, params: bool = True, inputs: bool = True) -> np.ndarray:
        """dy = (dlogits (B, C),)."""
        return dy[0]

    def predict(self, x: tuple) -> Distribution:
        """Like `forward`."""
        return choices(self.action, *x)

    def _tangent(self, v: Tangents, vx) -> tuple[np.ndarray]:
        return (vx,)


class JointHead(Module):
    """A head for each part of a Dict or a Tuple; each reads columns of its own.

    Parameters
    ----------
    action : ActionLayout
    settings : HeadSettings
    """

    def __init__(self, action: ActionLayout, settings: HeadSettings):
        self.action = action
        heads = [head_of(part, settings) for part in action.parts]
        for i, head in enumerate(heads):
            setattr(self, f"part{i}", head)
        self.ends = np.cumsum([head.outputs for head in heads])
        self.outputs = int(self.ends[-1])

    def forward(self, x: tuple) -> Joint:
        """(outputs (B, outputs), mask (B, C) or None) -> distribution over rows (B, W)."""
        return Joint(self.action, tuple(head.forward(pair) for head, pair in self._pairs(*x)))

    def backward(self, dy: tuple, params: bool = True, inputs: bool = True) -> np.ndarray:
        """dy = the gradients of all parts' parameters, part after part."""
        gradients, columns = iter(dy), []
        for _, head in self.children():
            own = [next(gradients) for _ in range(2 if isinstance(head, GaussianHead | BetaHead) else 1)]
            columns.append(head.backward(tuple(own), params))
        return np.concatenate(columns, axis=1)

    def predict(self, x: tuple) -> Joint:
        """Like `forward`, remembering nothing."""
        return Joint(self.action, tuple(head.predict(pair) for head, pair in self._pairs(*x)))

    def _tangent(self, v: Tangents, vx) -> tuple[np.ndarray, ...]:
        tangents = (head.tangent(v, part) for (_, head), part in zip(self.children(), self._split(vx), strict=True))
        return tuple(u for own in tangents for u in own)

    def _pairs(self, y, mask):
        heads = (head for _, head in self.children())
        return zip(heads, zip(self._split(y), self.action.masks(mask), strict=True), strict=True)

    def _split(self, y):
        return [np.ascontiguousarray(part) for part in np.split(y, self.ends[:-1], axis=1)]


def head_of(action: ActionLayout, settings: HeadSettings) -> Any:
    """The head for an action space."""
    if action.parts:
        return JointHead(action, settings)
    if action.kind != "Box":
        return ChoiceHead(action)
    return BetaHead(action.outputs) if settings.kind == "beta" else GaussianHead(action.outputs, settings)


def choices(action: ActionLayout, logits: np.ndarray, mask: np.ndarray | None = None) -> Distribution:
    """The distribution over an action space of choices that logits (B, C) stand for, of those that a mask allows."""
    if mask is not None:
        logits = masked(action, logits, mask)
    if action.kind == "Discrete":
        return Categorical(logits)
    if action.choose is not None:
        return Subset(logits, action.choose)
    return Bernoulli(logits) if action.kind == "MultiBinary" else MultiCategorical(logits, action.choices)
