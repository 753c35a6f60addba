"""The compatible critic of a deterministic policy (Silver et al. 2014, Theorem 3): the one whose errors do not bend the gradient.

    Q(s, a) = (a − μ(s))ᵀ J(s) w + V(s)              J = ∂μ/∂θ (A, P), one w for each parameter of the policy

    ∂Q/∂a = J w                                      the policy's tangent along w: `Module.jvp`
    ∂Q/∂w = Jᵀ(a − μ)                                the policy's own backward pass, of a − μ
    ∂Q/∂V = 1

At a = μ(s) the gradient for θ is Jᵀ J w. If w is the least-squares fit of the true Q, it is the true one. The features
Jᵀ(a − μ) are 0 at a = μ: without exploration w cannot be learned. θ and s stand still here, as if μ and J were given.

Shapes: B rows, O observation, A action dimensions, P parameters of the policy.
"""

import numpy as np

from deepnp import Module, Parameter
from rl.experience import trees
from rl.experience.trees import Observations


class CompatibleCritic(Module):
    """[s, a] (B, O + A) -> Q (B, 1).

    Parameters
    ----------
    policy : Module
        μ; it is read, and stays another's.
    value : Module
        V: (B, …) -> (B, 1).
    actions : int
        A.
    """

    def __init__(self, policy: Module, value: Module, actions: int):
        self.w = Parameter(np.zeros_like(policy.flat.data))
        self.value = value
        self.actions, self._policy = actions, (policy,)  # in a tuple it is no part of this module

    def forward(self, x: Observations) -> np.ndarray:
        s, off, slope = self._read(x)
        self._cache = off, slope
        return (off * slope).sum(axis=1, keepdims=True) + self.value.forward(s)

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        """dy (B, 1) -> dx (B, O + A), whose columns of s are 0. The policy's `backward` belongs to the same pass."""
        off, slope = self.cache
        if params:
            (policy,) = self._policy
            policy.zero_grad()
            policy.backward(dy * off, inputs=False)
            self.w.grad += policy.flat.grad
            policy.zero_grad()
            self.value.backward(dy, inputs=False)
        return np.concatenate([np.zeros((len(dy), self._width), dy.dtype), dy * slope], axis=1) if inputs else None

    def predict(self, x: Observations) -> np.ndarray:
        s, off, slope = self._read(x)
        return (off * slope).sum(axis=1, keepdims=True) + self.value.predict(s)

    def _read(self, x):
        """s, a − μ(s), and J w."""
        (policy,), vector = self._policy, trees.vector(x)
        self._width = vector.shape[1] - self.actions
        s = trees.with_vector(x, np.ascontiguousarray(vector[:, : self._width]))
        return s, vector[:, self._width :] - policy.forward(s), policy.jvp(self.w.data)
