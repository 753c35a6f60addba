"""Gradients row by row, and the tangent kernel.             B rows, I inputs, O outputs, C channels, P parameters

`backward` sums over rows. Where each row's own gradient is wanted, it need not be written out, B ·
P numbers: a linear layer's is an outer product, and two of these have an inner product that is
cheap.

Linear     z_b = W x_b + bias        dW_b = dz_b x_bᵀ        dbias_b = dz_b
           ⟨dW_b, dW_c⟩ = Σ_oi dz_bo x_bi dz_co x_ci = ⟨dz_b, dz_c⟩·⟨x_b, x_c⟩        the sum of products is a product of sums
           K = (dZ dZᵀ) ∘ (X Xᵀ + 1)                                                   + 1: the bias, an input that is always 1
Scale      y_b = γ·x̂_b + β           dγ_b = dy_b·x̂_b         dβ_b = dy_b
           K = dΓ dΓᵀ + dB dBᵀ

The tangent kernel K_bc = ⟨∇θ f(x_b), ∇θ f(x_c)⟩ of a network is the sum over its layers (Jacot et
al. 2018, arXiv:1806.07572).
"""

from functools import singledispatch
from typing import Any, NamedTuple

import numpy as np

from deepnp.backend import array_module, exact_kernel, kernels_enabled
from deepnp.layers.batch_normalization import BatchNorm
from deepnp.layers.containers import Heads, Residual, Sequential
from deepnp.layers.fusion import DenseStack
from deepnp.layers.linear import Linear
from deepnp.layers.normalization import GroupNorm, LayerNorm
from deepnp.module import Module
from deepnp.ops import dense, linear, mlp
from deepnp.parameters import Tangents
from deepnp.symmetric import fill_lower, upper_product
from deepnp.threads import side_by_side

ROWS = 64  # of a batch, from which two threads are faster than one


class LinearRows(NamedTuple):
    """A linear layer's gradients, row by row."""

    x: Any  # (B, I), its input
    dz: Any  # (B, O), the gradient before its bias
    bias: bool  # whether it has one

    def gradients(self) -> np.ndarray:
        """Each row's gradient of weight and bias: (B, O·I + O), or (B, O·I)."""
        dweight = (self.dz[:, :, None] * self.x[:, None, :]).reshape(len(self.x), self.dz.shape[1] * self.x.shape[1])
        return array_module(self.x).concatenate([dweight, self.dz], axis=1) if self.bias else dweight

    def weighted(self, weights) -> np.ndarray:
        """Σ_b w_b·(row b's gradient): (O·I + O,), or (O·I,)."""
        scaled = weights[:, None] * self.dz
        dweight = (scaled.T @ self.x).ravel()
        return array_module(self.x).concatenate([dweight, scaled.sum(axis=0)]) if self.bias else dweight

    def inner(self, other: "LinearRows") -> np.ndarray:
        """Inner products of the gradients of our rows with those of other rows: (B, B'), in
        float64.
        """
        of_dz = self.dz.astype(np.float64) @ other.dz.astype(np.float64).T
        of_x = self.x.astype(np.float64) @ other.x.astype(np.float64).T
        return of_dz * (of_x + self.bias)


class ScaleRows(NamedTuple):
    """The gradients of a normalisation's scale and shift, row by row."""

    dgamma: Any  # (B, C)
    dbeta: Any  # (B, C)

    def gradients(self) -> np.ndarray:
        """(B, 2C): each row's gradient of γ, then of β."""
        return array_module(self.dgamma).concatenate([self.dgamma, self.dbeta], axis=1)

    def weighted(self, weights) -> np.ndarray:
        """Σ_b w_b·(row b's gradient): (2C,)."""
        return weights @ self.gradients()

    def inner(self, other: "ScaleRows") -> np.ndarray:
        """Inner products of the gradients of our rows with those of other rows: (B, B'), in
        float64.
        """
        ours, theirs = self.gradients().astype(np.float64), other.gradients().astype(np.float64)
        return ours @ theirs.T


def pairs(module: Module, dy) -> list[LinearRows | ScaleRows]:
    """Row by row, what the gradients of the last `forward` are made of; `Parameter.grad` is left
    alone.

    Parameters
    ----------
    module : Module
        Linear layers, normalisations of rows, and modules without parameters, in any of the
        containers.
    dy : array like the last y

    Returns
    -------
    list
        For each layer with parameters, in their order: a `LinearRows` (x, dz) or a `ScaleRows`
        (dgamma, dbeta).

    Raises
    ------
    TypeError
        For a layer with other parameters, and for BatchNorm: there, rows meet, and no gradient is
        one row's.
    ValueError
        If dy does not have the shape of y, or a linear layer was given more than one vector a row.
    """
    return rows_of(module, dy, False)[1]


def row_gradients(rows: list[LinearRows | ScaleRows]) -> np.ndarray:
    """What `pairs` gave -> each row's gradient (B, P), its columns in the order of `module.flat`."""
    return array_module(rows[0][0]).concatenate([layer.gradients() for layer in rows], axis=1)


def weighted_gradient(rows: list[LinearRows | ScaleRows], weights) -> np.ndarray:
    """What `pairs` gave, and weights (B,) -> Σ_b w_b·(row b's gradient) (P,), in the order of
    `module.flat`.
    """
    return array_module(rows[0][0]).concatenate([layer.weighted(weights) for layer in rows])


def tangent_kernel(rows: list[LinearRows | ScaleRows], others: list[LinearRows | ScaleRows] | None = None) -> Any:
    """What `pairs` gave for some rows, and for others of the same module (None: the same) -> K (B,
    B'), in float64.
    """
    if others is None and _are_dense(rows):
        return _symmetric_kernel(rows)
    first, *products = (a.inner(b) for a, b in zip(rows, rows if others is None else others, strict=True))
    for product in products:
        first += product
    return first


@singledispatch
def rows_of(module: Module, dy, inputs: bool) -> tuple[Any, list]:
    """dx (None unless `inputs`) and the list that `pairs` returns. `rows_of.register` teaches it
    another kind of module.
    """
    if next(module.named_parameters(), None) is not None:
        raise TypeError(f"expected layers whose gradients are known row by row, given {module!r}")
    return module.backward(dy, params=False, inputs=inputs), []


@rows_of.register
def _(module: Linear, dy, inputs: bool):
    linear.check_output(dy, module.cache)
    return module.backward(dy, False, inputs), [_linear_rows(module.cache.x, dy, module.bias is not None)]


@rows_of.register
def _(module: DenseStack, dy, inputs: bool):
    fast = None if inputs else mlp.rows_fast(dy, module.cache)
    if fast is not None:
        return None, [LinearRows(x, dz, True) for x, dz in fast]
    found, layers = [], mlp.by_layer(module.cache)
    first = layers[0]
    for layer in reversed(layers):
        if isinstance(layer, dense.Cache):
            x, dz = layer.rows.reshape(layer.shape), dense.backward_activation(dy, layer)[0].reshape(dy.shape)
        else:
            linear.check_output(dy, layer)
            x, dz = layer.x, dy
        found.insert(0, _linear_rows(x, dz, True))
        if inputs or layer is not first:
            dy = dz @ layer.weight
    return dy if inputs else None, found


@rows_of.register
def _(module: Sequential, dy, inputs: bool):
    found = []
    for i, step in reversed(list(enumerate(module.steps))):
        dy, rows = rows_of(step, dy, inputs or i > 0)
        found = rows + found
    return dy, found


@rows_of.register
def _(module: Heads, dy, inputs: bool):
    found = [rows_of(head, d, inputs) for (_, head), d in zip(module.children(), dy, strict=True)]
    return sum(dx for dx, _ in found) if inputs else None, [rows for _, of_head in found for rows in of_head]


@rows_of.register
def _(module: Residual, dy, inputs: bool):
    (dbody, body), (dskip, skip) = rows_of(module.body, dy, inputs), rows_of(module.skip, dy, inputs)
    return dbody + dskip if inputs else None, body + skip


@rows_of.register(LayerNorm)
@rows_of.register(GroupNorm)
def _(module, dy, inputs: bool):
    dx = module.backward(dy, False, inputs)
    if module.weight is None:
        return dx, []
    ones = array_module(dy).ones_like(module.weight.data)
    normal = module.tangent(Tangents({module.weight: ones}), None)  # y = γ·x̂ + β: along γ's ones it moves by x̂
    channel = 1 if isinstance(module, GroupNorm) else dy.ndim - 1
    places = tuple(axis for axis in range(1, dy.ndim) if axis != channel)
    return dx, [ScaleRows((dy * normal).sum(axis=places), dy.sum(axis=places))]


@rows_of.register
def _(module: BatchNorm, dy, inputs: bool):
    raise TypeError(f"expected layers that keep rows apart, given {module!r}: each row's output depends on all rows")


def _linear_rows(x, dz, bias: bool) -> LinearRows:
    if x.ndim != 2:
        raise ValueError(f"expected one vector a row, (B, I), given a linear layer's input of shape {x.shape}")
    return LinearRows(x, dz, bias)


def _are_dense(rows) -> bool:
    """Whether kernels may run over these rows: over linear layers, on the CPU."""
    return kernels_enabled() and all(isinstance(layer, LinearRows) and type(layer.x) is np.ndarray for layer in rows)


def _symmetric_kernel(rows: list[LinearRows]) -> np.ndarray:
    """K (B, B) of linear layers: of each product one triangle, and one pass over memory that adds a layer's share."""
    size = len(rows[0].x)
    of_dz, of_x = side_by_side(
        lambda: [upper_product(np.ascontiguousarray(layer.dz, np.float64)) for layer in rows],
        lambda: [upper_product(np.ascontiguousarray(layer.x, np.float64)) for layer in rows],
        worthwhile=size >= ROWS,
    )
    total = np.zeros((size, size))
    for layer, dz_product, x_product in zip(rows, of_dz, of_x, strict=True):
        _add_share(dz_product, x_product, float(layer.bias), total)
    fill_lower(total)
    return total


@exact_kernel
def _add_share(of_dz, of_x, bias, total):
    """total += (dZ dZᵀ) ∘ (X Xᵀ + bias), of the upper triangles."""
    for i in range(len(total)):
        for j in range(i, len(total)):
            total[i, j] += of_dz[i, j] * (of_x[i, j] + bias)
