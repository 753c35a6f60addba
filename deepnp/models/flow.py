"""RealNVP: an invertible network with a determinant that costs nothing (Dinh, Sohl-Dickstein & Bengio 2017).

B rows, D values, K contexts, U of the D values that a layer changes.

Coupling   the values x_m stay; of them, and of a context c, a network makes Ŝ and t for the others
           S = ℓ·tanh Ŝ                                   held in ±ℓ, so that no layer runs away
           y_m = x_m        y_u = x_u·e^S + t
           ln |det ∂y/∂x| = Σ_u S_u                       ∂y/∂x is triangular, its diagonal 1 and e^S
Inverse    x_u = (y_u − t)·e^{−S}                         x_m = y_m is known, so S and t are: no network is inverted
Backward   dL/dy, and dlog = dL/d(ln det) of each row
           dx_u = dy_u·e^S
           dS = dy_u·x_u·e^S + dlog                       S scales x_u, and is in ln det itself
           dŜ = dS·ℓ(1 − tanh²Ŝ)        dt = dy_u
           dx_m = dy_m + (through the network)            x_m reaches y_m, S and t

Every layer changes the half of the values that its neighbours leave alone. The last layer of each
network begins with zeros: at first the flow is the identity.

A density: x = f(z), z ~ p, has ln q(x) = ln p(z) − ln |det ∂f/∂z|: the determinant divides. (The
thesis on maximum entropy multiplies; see docs/errata.md.)
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_floats, check_shape, check_tangent
from deepnp.layers.activation import ReLU
from deepnp.models.mlp import mlp
from deepnp.module import Module, zeros_if_none

__all__ = ["Coupling", "RealNVP"]


class Coupling(Module):
    """One layer: (x (B, D), context (B, K) or None) -> (y (B, D), ln |det ∂y/∂x| (B,)).

    Parameters
    ----------
    size : int
        D.
    kept : sequence of int
        Which values stay; fewer than D. With none, the layer is an affine map that the context makes.
    context : int
        K.
    hidden : sequence of int
        Widths of its network.
    limit : float
        ℓ.
    rng : numpy.random.Generator or None
        Source of the initial weights.

    Raises
    ------
    ValueError
        If nothing would be changed, or nothing be read; in `forward`, for wrong shapes.
    """

    def __init__(
        self,
        size: int,
        kept: Sequence[int],
        context: int = 0,
        hidden: Sequence[int] = (64, 64),
        limit: float = 2.0,
        *,
        rng: np.random.Generator | None = None,
    ):
        if size != int(size) or context != int(context):
            raise ValueError(f"expected size and context as whole numbers, given {size} and {context}")
        self.size, self.context, self.limit = size, context, limit
        self.kept = np.array(sorted(set(kept)), np.int64)
        self.changed = np.setdiff1d(np.arange(size), self.kept)
        within = not len(self.kept) or (self.kept[0] >= 0 and self.kept[-1] < size)
        if not within or not len(self.changed) or not len(self.kept) + context or not limit > 0:
            given = f"size {size}, kept {list(kept)}, context {context} and limit {limit}"
            raise ValueError(f"expected values to change, values to read, and a positive limit, given {given}")
        self.net = mlp((len(self.kept) + context, *hidden, 2 * len(self.changed)), ReLU, rng=rng)
        *_, (_, last) = self.net.children()
        dict(last.named_parameters())["weight"].data[...] = 0
        self._cache = None

    def forward(self, x, context=None) -> tuple[np.ndarray, np.ndarray]:
        shift, scale, squashed = self._parts(self.net.forward(self._read(x, context)))
        growth = array_module(x).exp(scale)
        y = x.copy()
        y[:, self.changed] = x[:, self.changed] * growth + shift
        self._cache = (x, growth, squashed)
        return y, scale.sum(axis=1)

    def backward(self, dy: tuple, params: bool = True, inputs: bool = True) -> Any:
        """dy = (dy (B, D), dlog_det (B,)) -> dx, or (dx, dcontext) with a context; None unless `inputs`."""
        x, growth, squashed = self.cache
        outputs, dlog_det = dy
        check_shape("dy", outputs, x.shape)
        check_shape("dlog_det", dlog_det, x.shape[:1])
        through = outputs[:, self.changed] * growth
        dscale = through * x[:, self.changed] + dlog_det[:, None]
        dhat = dscale * self.limit * (1 - squashed * squashed)
        dread: Any = self.net.backward(array_module(x).concatenate([dhat, outputs[:, self.changed]], axis=1), params, inputs)
        if not inputs:
            return None
        dx = outputs.copy()
        dx[:, self.changed] = through
        dx[:, self.kept] += dread[:, : len(self.kept)]
        return (dx, dread[:, len(self.kept) :]) if self.context else dx

    def _tangent(self, v, vx):
        x, growth, squashed = self.cache
        vx, vcontext = vx if self.context and vx is not None else (vx, None)
        vread = None
        if vx is not None:
            check_tangent(vx, x.shape)
            still = array_module(x).zeros((len(x), self.context), x.dtype)
            vread = array_module(x).concatenate([vx[:, self.kept], zeros_if_none(vcontext, still)], axis=1)
        voutputs = self.net.tangent(v, vread)
        vscale = self.limit * (1 - squashed * squashed) * voutputs[:, : len(self.changed)]
        vy = array_module(x).zeros_like(x) if vx is None else vx.copy()
        moved = vscale * x[:, self.changed] if vx is None else vx[:, self.changed] + vscale * x[:, self.changed]
        vy[:, self.changed] = growth * moved + voutputs[:, len(self.changed) :]
        return vy, vscale.sum(axis=1)

    def predict(self, x, context=None) -> tuple[np.ndarray, np.ndarray]:
        shift, scale, _ = self._parts(self.net.predict(self._read(x, context)))
        y = x.copy()
        y[:, self.changed] = x[:, self.changed] * array_module(x).exp(scale) + shift
        return y, scale.sum(axis=1)

    def invert(self, y, context=None) -> tuple[np.ndarray, np.ndarray]:
        """y (B, D) -> x (B, D), and ln |det ∂y/∂x| there (B,)."""
        shift, scale, _ = self._parts(self.net.predict(self._read(y, context)))
        x = y.copy()
        x[:, self.changed] = (y[:, self.changed] - shift) * array_module(y).exp(-scale)
        return x, scale.sum(axis=1)

    def _read(self, x, context):
        """What the network reads: the values that stay, and the context."""
        check_floats(x, "x")
        if x.ndim != 2 or x.shape[1] != self.size:
            raise ValueError(f"expected x (B, {self.size}), given {x.shape}")
        if not self.context:
            if context is not None:
                raise ValueError("expected no context, given one")
            return x[:, self.kept]
        given = getattr(context, "shape", type(context).__name__)
        if given != (len(x), self.context):
            raise ValueError(f"expected a context ({len(x)}, {self.context}), given {given}")
        return array_module(x).concatenate([x[:, self.kept], context], axis=1)

    def _parts(self, outputs):
        """Shift, scale and tanh Ŝ: (B, U) each."""
        squashed = array_module(outputs).tanh(outputs[:, : len(self.changed)])
        return outputs[:, len(self.changed) :], self.limit * squashed, squashed

    def __repr__(self) -> str:
        return f"Coupling({self.size}, kept={self.kept.tolist()}, context={self.context})"


class RealNVP(Module):
    """Coupling layers one after the other: (z (B, D), context (B, K) or None) -> (x (B, D), ln |det ∂x/∂z| (B,)).

    Parameters
    ----------
    size : int
        D.
    context : int
        K; at least 1 where D is 1, as such a layer has nothing else to read.
    layers : int
        How many. Even and odd ones keep the even and the odd values.
    hidden, limit, rng
        See `Coupling`.

    Examples
    --------
    >>> flow = RealNVP(2, layers=6, rng=np.random.default_rng(0))
    >>> z, log_det = flow(x)                  # from data to noise: ln q(x) = ln N(z; 0, I) + log_det
    >>> drawn, _ = flow.invert(noise)         # and back
    """

    def __init__(
        self,
        size: int,
        context: int = 0,
        layers: int = 4,
        hidden: Sequence[int] = (64, 64),
        limit: float = 2.0,
        *,
        rng: np.random.Generator | None = None,
    ):
        if layers < 1 or size < 1 or layers != int(layers) or size != int(size):
            raise ValueError(f"expected whole numbers size >= 1 and layers >= 1, given {size} and {layers}")
        rng = rng or np.random.default_rng()
        self.size, self.context = size, context
        for k in range(layers):
            kept = range(k % 2, size, 2) if size > 1 else ()
            setattr(self, str(k), Coupling(size, kept, context, hidden, limit, rng=rng))

    @property
    def couplings(self) -> list[Any]:
        """The layers."""
        return [layer for _, layer in self.children()]

    def forward(self, z, context=None) -> tuple[np.ndarray, np.ndarray]:
        return self._through((layer.forward for _, layer in self.children()), z, context)

    def backward(self, dy: tuple, params: bool = True, inputs: bool = True) -> Any:
        """dy = (dx (B, D), dlog_det (B,)) -> dz, or (dz, dcontext) with a context; None unless `inputs`."""
        dx, dlog_det = dy
        dcontext: Any = 0
        for k, (_, layer) in reversed(list(enumerate(self.children()))):
            dx = layer.backward((dx, dlog_det), params, inputs or k > 0)
            if self.context and dx is not None:
                dcontext, dx = dcontext + dx[1], dx[0]
        return (dx, dcontext) if self.context and inputs else dx

    def _tangent(self, v, vx):
        vx, vcontext = vx if self.context and vx is not None else (vx, None)
        total: Any = 0
        for _, layer in self.children():
            vx, vlog_det = layer.tangent(v, None if vx is None else (vx, vcontext) if self.context else vx)
            total = total + vlog_det
        return vx, total

    def predict(self, z, context=None) -> tuple[np.ndarray, np.ndarray]:
        return self._through((layer.predict for _, layer in self.children()), z, context)

    def invert(self, x, context=None) -> tuple[np.ndarray, np.ndarray]:
        """x (B, D) -> z (B, D), and ln |det ∂x/∂z| there (B,)."""
        return self._through((layer.invert for layer in reversed(self.couplings)), x, context)

    def _through(self, layers, x, context):
        total = None
        for layer in layers:
            x, log_det = layer(x, context)
            total = log_det if total is None else total + log_det
        return x, total

    def __repr__(self) -> str:
        return f"RealNVP({self.size}, context={self.context}, layers={len(list(self.children()))})"
