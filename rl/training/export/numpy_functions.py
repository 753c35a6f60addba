"""Functions that an exported policy.py may need. Their source is copied into it: they use NumPy alone.

Names of their settings are those of ONNX's operations.

Shapes: B rows, C channels of an image or a sequence.
"""

import base64
import math

import numpy as np


def rows_of(observation, leaves) -> tuple:
    """One observation, or a batch -> arrays (B, …), one for each leaf, and whether it was one.

    Raises ValueError for another shape, for NaN and infinity, and for a choice that there is not.
    """
    arrays, single = [], None
    for path, shape, dtype, choices, start in leaves:
        x, name = part_of(observation, path), "/".join(map(str, path)) or "observation"
        single = x.shape == shape if single is None else single
        if x.shape[0 if single else 1 :] != shape or (not single and x.ndim == 0):
            inner = "".join(f", {n}" for n in shape)
            raise ValueError(f"expected {name} of shape {shape} or (B{inner}), given {x.shape}")
        if x.dtype.kind not in "fiub" or not np.isfinite(x).all():
            raise ValueError(f"expected finite numbers as {name}, given {x.dtype} {x.ravel()[:5]}")
        if choices:
            check_choices(x.reshape(-1, len(choices)), choices, start, name)
        arrays.append((x[None] if single else x).astype(dtype))
    if len({len(x) for x in arrays}) > 1:
        rows = [len(x) for x in arrays]
        raise ValueError(f"expected as many rows in each part, given {rows}")
    return arrays, single


def part_of(observation, path) -> np.ndarray:
    """The array to which keys and positions lead."""
    part = observation
    try:
        for key in path:
            part = part[key]
        return np.asarray(part)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        name, given = "/".join(map(str, path)) or "an array", type(observation).__name__
        raise ValueError(f"expected an observation with {name}, given {given}") from error


def check_choices(numbers, choices, start, name) -> None:
    """Raise ValueError unless each of the numbers (B, K) is one of its choices."""
    for column, size, first in zip(numbers.T, choices, start):
        if ((column < first) | (column >= first + size) | (column != np.floor(column))).any():
            wanted = f"whole numbers from {first} to {first + size - 1}"
            raise ValueError(f"expected {wanted} in {name}, given {column[:5]}")


def sigmoid(x) -> np.ndarray:
    """1/(1 + e^−x), without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def softplus(x) -> np.ndarray:
    """ln(1 + e^x), without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def erf(x) -> np.ndarray:
    """The error function."""
    return np.vectorize(math.erf, otypes=[x.dtype])(x)


def leaky_relu(x, alpha) -> np.ndarray:
    """x where it is positive, alpha·x elsewhere."""
    return np.where(x > 0, x, alpha * x)


def elu(x, alpha) -> np.ndarray:
    """x where it is positive, alpha·(e^x − 1) elsewhere."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def softmax(x, axis) -> np.ndarray:
    """e^x over its sum along an axis."""
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def pad(x, pads, mode) -> np.ndarray:
    """x with cells around it: pads has those before each axis, and then those after each."""
    return np.pad(x, list(zip(pads[: x.ndim], pads[x.ndim :])), mode)


def windows(x, kernel, strides, pads, dilations, fill) -> np.ndarray:
    """Images (B, C, *size) -> what a window sees at each position: (B, C, *positions, *kernel)."""
    axes = len(kernel)
    around = [(0, 0), (0, 0), *zip(pads[:axes], pads[axes:])]
    x = np.pad(x, around, constant_values=fill)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilations)]
    seen = np.lib.stride_tricks.sliding_window_view(x, reach, tuple(range(2, 2 + axes)))
    steps = [slice(None, None, n) for n in (*strides, *dilations)]
    return seen[(slice(None), slice(None), *steps)]


def conv(x, weight, bias, strides, pads, dilations, group) -> np.ndarray:
    """Convolution of images (B, C, *size) with a weight (outputs, C/group, *kernel)."""
    kernel, axes = weight.shape[2:], list(range(2, x.ndim))
    patches = windows(x, kernel, strides, pads, dilations, 0)
    over = [1, *(axis + len(kernel) for axis in axes)], [1, *axes]
    pairs = zip(np.split(patches, group, axis=1), np.split(weight, group), strict=True)
    y = np.concatenate([np.tensordot(part, w, over) for part, w in pairs], axis=-1)
    return np.moveaxis(y, -1, 1) + bias.reshape(-1, *[1] * len(kernel))


def max_pool(x, kernel_shape, strides, pads, dilations) -> np.ndarray:
    """The largest value in each window."""
    seen = windows(x, kernel_shape, strides, pads, dilations, -np.inf)
    return seen.max(axis=tuple(range(x.ndim, seen.ndim)))


def average_pool(x, kernel_shape, strides, pads, count_include_pad) -> np.ndarray:
    """The mean of each window; of the cells that are there, unless the padding counts."""
    once = [1] * len(kernel_shape)
    seen = windows(x, kernel_shape, strides, pads, once, 0)
    axes = tuple(range(x.ndim, seen.ndim))
    if count_include_pad:
        return seen.mean(axis=axes)
    cells = windows(np.ones_like(x[:1, :1]), kernel_shape, strides, pads, once, 0)
    return seen.sum(axis=axes) / cells.sum(axis=axes)


def unpacked(layout, text) -> dict:
    """Arrays by name: `layout` has their types and shapes, `text` their bytes in base64."""
    arrays, data, start = {}, base64.b64decode(text), 0
    for name, (dtype, shape) in layout.items():
        x = np.frombuffer(data, np.dtype(dtype).newbyteorder("<"), int(np.prod(shape)), start)
        arrays[name] = x.reshape(shape).astype(dtype)
        start += x.nbytes
    return arrays


def play(predict, name, settings) -> tuple:
    """One episode in a Gymnasium environment -> its return and its length."""
    import gymnasium

    if name is None:
        raise SystemExit("give the id of an environment: python policy.py Pendulum-v1")
    own = {key: value for key, value in settings.items() if key not in ("decision_period", "stacked_inputs")}
    env, total, length, over = gymnasium.make(name, **own), 0.0, 0, False
    if "decision_period" in settings:
        env = gymnasium.wrappers.RepeatAction(env, settings["decision_period"])
    if "stacked_inputs" in settings:
        env = gymnasium.wrappers.FrameStackObservation(env, settings["stacked_inputs"], padding_type="zero")
    observation, _ = env.reset(seed=0)
    while not over:
        observation, reward, terminated, truncated, _ = env.step(predict(observation))
        total, length, over = total + float(reward), length + 1, terminated or truncated
    env.close()
    return total, length
