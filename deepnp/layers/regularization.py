"""Regularisation layers: what they do in training keeps a network from leaning on too little."""

import copy
import math

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_floats
from deepnp.layers.activation import check_not_in_place
from deepnp.module import Module
from deepnp.ops.regularization import dropout, spectral_norm
from deepnp.parameters import Buffer, Parameter, Tangents

__all__ = ["Dropout", "Dropout1d", "Dropout2d", "SpectralNorm"]


class Dropout(Module):
    """Set elements to zero at random in training, and scale up those that remain. Inference returns the input.

    Parameters
    ----------
    p : float
        Probability of dropping, in [0, 1).
    rng : numpy.random.Generator or None
        Source of the masks; None draws fresh entropy.
    ndim : int or None
        How many axes the input must have to drop whole channels, those of axis 1 (`Dropout1d`, `Dropout2d`); None drops elements.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False, *, rng: np.random.Generator | None = None, ndim: int | None = None):
        if not 0 <= p < 1:
            raise ValueError(f"expected p in [0, 1), given {p}")
        check_not_in_place(inplace)
        self.p, self.ndim = p, ndim
        self.rng = rng or np.random.default_rng()
        self._cache = None

    def forward(self, x) -> np.ndarray:
        self._check(x)
        shape = x.shape if self.ndim is None else (*x.shape[:2], *[1] * (x.ndim - 2))
        kept = array_module(x).asarray(self.rng.random(shape, np.float32) >= self.p)
        y, self._cache = dropout.forward(x, kept, self.p)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        dx = dropout.backward(dy, self.cache)
        return dx if inputs else None

    def predict(self, x) -> np.ndarray:
        self._check(x)
        return x

    def _tangent(self, v, vx):
        return dropout.jvp(vx, self.cache)

    def _check(self, x):
        check_floats(x)
        if self.ndim is not None and x.ndim != self.ndim:
            raise ValueError(f"expected input with {self.ndim} axes, batch and channels first, given {x.shape}")

    def __repr__(self) -> str:
        return f"Dropout({self.p})" if self.ndim is None else f"Dropout{self.ndim - 2}d({self.p})"


class Dropout1d(Dropout):
    """Drop whole channels of (B, C, L), each with probability p."""

    def __init__(self, p: float = 0.5, inplace: bool = False, *, rng: np.random.Generator | None = None):
        super().__init__(p, inplace, rng=rng, ndim=3)


class Dropout2d(Dropout):
    """Drop whole channels of (B, C, H, W), each with probability p."""

    def __init__(self, p: float = 0.5, inplace: bool = False, *, rng: np.random.Generator | None = None):
        super().__init__(p, inplace, rng=rng, ndim=4)


class SpectralNorm(Module):
    """A module that computes with W/σ(W), where σ is the largest singular value of its weight.

    The wrapped module keeps the raw W: that is what the optimizer moves and `state_dict` holds. The computing is done by a
    shallow copy of it that shares everything (the bias and its gradient, the settings) except the weight, which is set to
    W/σ before each call. So nothing is rebound in the module itself, and its weight stays a view of the flat vector. `backward`
    takes the copy's gradient, that of W/σ, through the normalisation and adds it to W's.

    Only `forward` moves u and v, unless it is frozen; `predict` takes them as they are. PyTorch's `spectral_norm` has the same
    three arrays as weight_orig (here module.weight), weight_u (u) and weight_v (v).

    Parameters
    ----------
    module : Module
        With a `weight` Parameter of at least two axes, the first of which counts the outputs: W is read as (out, everything else).
    power_iterations : int
        Steps of the power method in each `forward`, at least 1.
    eps : float
        Added to the norms that u and v are divided by.
    rng : numpy.random.Generator or None
        Source of the first u; None draws fresh entropy.

    Attributes
    ----------
    module : Module
        Its parameters appear under "module." in `state_dict`.
    u, v : Buffer (out,), (everything else,)
        Unit vectors close to the first singular pair, at first after 15 steps.
    frozen : bool
        True leaves u and v as they are in `forward`, too.

    Raises
    ------
    TypeError
        If the module has no such weight.
    ValueError
        If the weight is all zeros: it has no direction to normalise.
    """

    def __init__(self, module: Module, power_iterations: int = 1, eps: float = 1e-12, *, rng: np.random.Generator | None = None):
        weight = vars(module).get("weight") if isinstance(module, Module) else None
        if not isinstance(weight, Parameter) or weight.data.ndim < 2:
            raise TypeError(f"expected a Module with a weight Parameter of at least two axes, given {module!r}")
        if power_iterations != int(power_iterations) or power_iterations < 1 or not eps > 0:
            raise ValueError(f"expected power_iterations >= 1 and eps > 0, given {power_iterations} and {eps}")
        w = weight.data
        if not w.any():
            raise ValueError("expected a weight that is not all zeros")
        xp = array_module(w)
        self.module = module
        self.power_iterations, self.eps, self.frozen = power_iterations, eps, False
        start = (rng or np.random.default_rng()).normal(size=len(w))
        self.u = Buffer(xp.asarray(start, w.dtype))
        self.v = Buffer(xp.zeros(math.prod(w.shape[1:]), w.dtype))
        self._iterate(15)
        self._worker = [copy.copy(module)]  # in a list, so that its parameters are not counted a second time
        self._cache = None

    def forward(self, x) -> np.ndarray:
        self._iterate(0 if self.frozen else self.power_iterations)
        worker, self._cache = self._normalised()
        return worker.forward(x)

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        cache, worker = self.cache, self._worker[0]
        worker.weight.grad.fill(0)
        dx = worker.backward(dy, params, inputs)
        if params:
            self.module.weight.grad += spectral_norm.backward(worker.weight.grad, cache)
        return dx

    def predict(self, x) -> np.ndarray:
        worker, _ = self._normalised()
        return worker.predict(x)

    def _tangent(self, v, vx):
        worker = self._worker[0]
        of_worker = Tangents(v)
        of_worker[worker.weight] = spectral_norm.jvp(v[self.module.weight], self.cache)
        return worker.tangent(of_worker, vx)

    def _iterate(self, steps: int) -> None:
        for _ in range(steps):
            self.u.data[...], self.v.data[...] = spectral_norm.iterate(self.module.weight.data, self.u.data, self.eps)

    def _normalised(self) -> tuple[Module, tuple]:
        weight, cache = spectral_norm.forward(self.module.weight.data, self.u.data, self.v.data)
        self._worker[0].weight = Parameter(weight)
        return self._worker[0], cache

    def __repr__(self) -> str:
        return f"SpectralNorm({self.module!r})"
