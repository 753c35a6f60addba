"""Policies of the off-policy algorithms: observation -> action in (−1, 1), through which gradients flow.

Shapes: B rows, O observation, A action dimensions.
"""

from collections.abc import Callable, Sequence

import numpy as np

from deepnp import Module, Sequential, Tanh
from deepnp.backend import array_module
from deepnp.layers.containers import whole
from rl.experience.spaces import SpaceInfo
from rl.experience.trees import Observations, length, vector
from rl.networks import drawing, squashed
from rl.networks.encoders import network


def deterministic_policy(
    space: SpaceInfo,
    hidden: Sequence[int],
    activation: Callable[[], Module],
    rng: np.random.Generator,
    body: Module | None = None,
    gain: float = 0.01,
) -> Sequential:
    """μ(s) = tanh(…) ∈ (−1, 1)^A; `body` may be a network of one's own that gives what tanh reads.

    `gain` is that of the last layer's orthogonal weights.
    """
    if body is None:
        body = network(space.observation, hidden, space.actions, activation, rng, output_gain=gain)
    layers = [layer for _, layer in body.children()] if type(body) is Sequential else [body]
    return Sequential(*layers, Tanh())


def value_gradient(networks, size: int, observations: Observations) -> np.ndarray:
    """For `Halves.step`: the gradient of −(1/size) Σ Q_1(s, μ(s)), which comes through the critic's input. Returns Q_1 (B,)."""
    actions = networks.policy.forward(observations)
    q, dactions = networks.critics.action_gradient(observations, actions, dvalue=-1 / size, count=1)
    networks.policy.backward(dactions, inputs=False)
    return q


class SquashedGaussianPolicy(Module):
    """a = tanh(μ(s) + σ(s)ξ), ξ ~ N(0, I).

    Parameters
    ----------
    space : SpaceInfo
    hidden : sequence of int
    activation : callable returning a Module
    shared : bool
        One network for μ and ln σ, or one for each.
    rng : numpy.random.Generator
        Source of the initial weights.
    body : Module, optional
        A network of one's own for μ and ln σ side by side.
    gain : float
        Of the last layer's orthogonal weights.

    Attributes
    ----------
    noise_size : int
        Numbers of a draw ξ.
    """

    def __init__(
        self,
        space: SpaceInfo,
        hidden: Sequence[int],
        activation: Callable[[], Module],
        shared: bool,
        rng: np.random.Generator,
        body: Module | None = None,
        gain: float = 0.01,
    ):
        if body is not None and not shared:
            raise ValueError(
                "expected shared=True with a policy of one's own, as it gives μ and ln σ side by side, given shared=False"
            )
        self.shared = shared
        self.actions = self.noise_size = space.actions

        def make(outputs):
            return network(space.observation, hidden, outputs, activation, rng, output_gain=gain)

        if shared:
            self.body = make(2 * self.actions) if body is None else body
        else:
            self.mean, self.log_sigma = make(self.actions), make(self.actions)
        self._cache = None

    def forward(self, x: Observations, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x (B, …), noise (B, A) -> actions (B, A), their log-probability (B,)."""
        stack = self._stack
        if drawing.runs(stack, x, noise):
            drawn, self._cache = drawing.forward(stack, x, noise)
            return drawn
        if self.shared:
            y = self.body.forward(x)
        else:
            y = _beside(self.mean.forward(x), self.log_sigma.forward(x))
        drawn, self._cache = squashed.forward(*self._halves(y), noise)
        return drawn

    def backward(self, dy: tuple, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        """dy = (dactions (B, A), dlog_prob (B,))."""
        if isinstance(self.cache, drawing.Cache):
            return drawing.backward(self._stack, dy, self.cache, params, inputs)
        dmean, dlog_sigma, _ = squashed.backward(dy, self.cache)
        if self.shared:
            return self.body.backward(_beside(dmean, dlog_sigma), params, inputs)
        dx, dx_sigma = self.mean.backward(dmean, params, inputs), self.log_sigma.backward(dlog_sigma, params, inputs)
        return dx + dx_sigma if inputs else None

    def predict(self, x: Observations, noise: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None]:
        """Like `forward`, remembering nothing.

        Without noise the most probable action, tanh μ(s), and None.
        """
        if noise is None:
            mean = self.body.predict(x)[:, : self.actions] if self.shared else self.mean.predict(x)
            return array_module(mean).tanh(mean), None
        stack = self._stack
        if drawing.runs(stack, x, noise):
            return drawing.forward(stack, x, noise)[0]
        if self.shared:
            y = self.body.predict(x)
        else:
            y = _beside(self.mean.predict(x), self.log_sigma.predict(x))
        return squashed.forward(*self._halves(y), noise)[0]

    def draw(self, x: Observations, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray | None]:
        """Random actions (B, A) for x (B, …), and their log-probability (B,)."""
        noise = rng.standard_normal((length(x), self.actions), np.float32)
        return self.predict(x, array_module(vector(x)).asarray(noise))

    @property
    def _stack(self):
        """The network, where it is one stack of dense layers."""
        return whole(self.body) if self.shared else None

    def _halves(self, y):
        contiguous = array_module(y).ascontiguousarray
        return contiguous(y[:, : self.actions]), contiguous(y[:, self.actions :])


def _beside(left, right):
    return array_module(left).concatenate([left, right], axis=1)
