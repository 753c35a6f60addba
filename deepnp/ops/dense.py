"""Dense layer: a linear map and an activation in one operation.      B rows, I inputs, O outputs

Forward    z = x Wᵀ          y = f(z + b)
Backward   dz = dy·f′        f′ written with y alone, so z need not be kept
           dx = dz W         dW = dzᵀ x         db = Σ_b dz

The same mathematics as ops.linear followed by the activation; bias and activation take one pass over memory instead of
two, and the activation's backward sums the bias gradient on its way.
"""

from types import ModuleType

from deepnp.ops.activation import relu, sigmoid, tanh


def forward(x, weight, bias, activation: ModuleType):
    """x (…, I), weight (O, I), bias (O,), activation one of ops.activation's tanh, relu, sigmoid -> y (…, O)."""
    rows = x.reshape(-1, x.shape[-1])
    y = activation.add_bias(rows @ weight.T, bias)
    return y.reshape(*x.shape[:-1], len(bias)), (rows, x.shape, weight, y, activation)


def backward(dy, cache):
    """dy (…, O) -> dx (…, I), dweight (O, I), dbias (O,)."""
    dweight, dbias = backward_parameters(dy, cache)
    return backward_input(dy, cache), dweight, dbias


def backward_input(dy, cache):
    """dy (…, O) -> dx (…, I), where the parameters' gradients are not wanted."""
    _, shape, weight, _, _ = cache
    return (backward_activation(dy, cache)[0] @ weight).reshape(shape)


def backward_parameters(dy, cache):
    """dy (…, O) -> dweight (O, I), dbias (O,), where dx is not wanted."""
    dz, dbias = backward_activation(dy, cache)
    return dz.T @ cache[0], dbias


def backward_activation(dy, cache):
    """dy (…, O) -> dz (B, O), dbias (O,): the activation's share of the backward pass."""
    _, _, _, y, activation = cache
    return activation.backward_bias(dy.reshape(y.shape), y)


CASES = [
    dict(x=(5, 7), weight=(3, 7), bias=(3,), activation=tanh),
    dict(x=(5, 7), weight=(3, 7), bias=(3,), activation=relu),
    dict(x=(4, 2, 7), weight=(3, 7), bias=(3,), activation=sigmoid),
    dict(x=(0, 7), weight=(3, 7), bias=(3,), activation=tanh),
]
