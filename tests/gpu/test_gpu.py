"""What runs on the CPU gives the same on the GPU, with fused kernels and without, and leaves its arrays there."""

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from deepnp import losses, metrics
from deepnp.backend import cuda_available, to_device
from deepnp.cases import differentiable, draw, tupled, upstream
from deepnp.models import mlp
from deepnp.ops import find
from deepnp.optim import Adam, clip_grad_norm, clip_grad_value, decay_weights, l1, l2, polyak
from deepnp.parameters import NonFiniteError, ParameterVector
from deepnp.storage import load_tensors, save_tensors
from tests.deepnp.test_optimizers_state import ALL as OPTIMIZERS
from tests.deepnp.test_optimizers_state import IDS, model
from tests.gpu import stand_in

OPS = find()
CASES = [pytest.param(op, case, id=f"{name}-{i}") for name, op in OPS.items() for i, case in enumerate(op.CASES)]
LOSSES = [pytest.param(f, case, id=f"{f.__name__}-{i}") for f, cases in losses.CASES.items() for i, case in enumerate(cases)]
PRECISIONS = [(np.float32, 2e-5), (np.float64, 1e-10)]  # sums are taken in another order
precisions = pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS, ids=["float32", "float64"])


def moved(value, device="cuda"):
    """Arrays on the device; tuples and dictionaries of them part by part; anything else as it is."""
    if isinstance(value, tuple):
        return tuple(moved(part, device) for part in value)
    if isinstance(value, dict):
        return {name: moved(part, device) for name, part in value.items()}
    return to_device(value, device) if hasattr(value, "dtype") else value


def assert_same(given, expected, tolerance):
    """On the GPU what is on the CPU: values, dtypes, shapes."""
    for a, b in zip(tupled(given), tupled(expected), strict=True):
        assert not isinstance(a, np.ndarray | np.generic), "an array left the GPU"
        assert a.dtype == b.dtype
        np.testing.assert_allclose(to_device(a, "cpu"), b, rtol=tolerance, atol=tolerance)


@precisions
@pytest.mark.parametrize(("op", "case"), CASES)
def test_operations(op, case, dtype, tolerance, rng, kernels):
    arguments = draw(case, rng, dtype)
    y, cache = op.forward(**arguments)
    dy = upstream(y, rng)
    there = moved(arguments)
    y_there, cache_there = op.forward(**there)
    dy_there = moved(dy)
    assert_same(y_there, y, tolerance)
    assert_same(op.backward(dy_there, cache_there), op.backward(dy, cache), tolerance)
    if "jvp" in vars(op):
        v = upstream(tuple(arguments[name] for name in differentiable(case)), rng)
        assert_same(op.jvp(*moved(v), cache_there), op.jvp(*v, cache), tolerance)
    for before, after in zip((*arguments.values(), *tupled(dy)), (*there.values(), *tupled(dy_there)), strict=True):
        if isinstance(before, np.ndarray):
            np.testing.assert_array_equal(to_device(after, "cpu"), before)  # nothing was written to


@precisions
@pytest.mark.parametrize(("loss", "case"), LOSSES)
def test_losses(loss, case, dtype, tolerance, rng, kernels):
    arguments = draw(case, rng, dtype)
    value, dy = loss(**arguments)
    value_there, dy_there = loss(**moved(arguments))
    assert type(value_there) is float
    assert value_there == pytest.approx(value, rel=tolerance, abs=tolerance)
    assert_same(dy_there, dy, tolerance)


@precisions
@pytest.mark.parametrize(("cls", "settings"), OPTIMIZERS, ids=IDS)
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_optimizers(cls, settings, decay, dtype, tolerance, rng, kernels):
    here, there = model(dtype), ParameterVector(model(dtype).named, device="cuda")
    one, other = (cls(v, weight_decay=decay, **settings) for v in (here, there))
    for _ in range(4):
        here.grad[...] = rng.normal(size=len(here))
        there.grad[...] = moved(here.grad)
        one.step()
        other.step()
    assert_same((there.data, *other.state.values()), (here.data, *one.state.values()), 10 * tolerance)
    for again in (one, cls(there, weight_decay=decay, **settings)):  # from the GPU to the CPU, and to the GPU
        again.load_state_dict(other.state_dict())
        assert again.t == other.t
        for name, state in again.state.items():
            np.testing.assert_array_equal(to_device(state, "cpu"), to_device(other.state[name], "cpu"))


def test_clipping_decay_and_averages(rng, kernels):
    here, there = model(), ParameterVector(model().named, device="cuda")
    here.grad[...] = rng.normal(size=len(here))
    there.grad[...] = moved(here.grad)
    for order in (2, 1, math.inf):
        assert clip_grad_norm(there, 1e9, order) == pytest.approx(clip_grad_norm(here, 1e9, order), rel=1e-12)
    for v in (here, there):
        assert l1(v, 0.1) > 0
        assert l2(v, 0.1) > 0
        decay_weights(v, 0.2)
        clip_grad_value(v, 1.5)
        clip_grad_norm(v, 0.5)
        polyak(v.data, v.grad, 0.1)
    assert_same((there.data, there.grad), (here.data, here.grad), 1e-12)
    there.grad[3] = math.nan
    with pytest.raises(NonFiniteError, match=r'"first\.weight" holds nan'):
        clip_grad_norm(there, 1.0)


def test_metrics(rng):
    predicted, target, scores = rng.integers(4, size=20), rng.integers(4, size=20), rng.normal(size=(20, 4))
    for metric in (metrics.accuracy, metrics.precision, metrics.recall, metrics.f1):
        assert metric(*moved((predicted, target))) == pytest.approx(metric(predicted, target))
    assert metrics.top_k_accuracy(*moved((scores, target)), 2) == pytest.approx(metrics.top_k_accuracy(scores, target, 2))
    for metric in (metrics.mse, metrics.mae, metrics.r2):
        assert metric(*moved((scores, scores[::-1].copy()))) == pytest.approx(metric(scores, scores[::-1]))
    assert_same(metrics.confusion_matrix(*moved((predicted, target))), metrics.confusion_matrix(predicted, target), 0)


@pytest.mark.parametrize("layers", [[4, 8, 3], [4, 6, 6, 2]])
def test_training_goes_the_same_way(layers, rng, kernels, tmp_path):
    here, there = (mlp(layers, rng=np.random.default_rng(1)) for _ in range(2))
    here.to(np.float64)
    there.to(np.float64).to("cuda")
    x, target = rng.normal(size=(16, layers[0])), rng.normal(size=(16, layers[-1]))
    for net, data in ((here, (x, target)), (there, moved((x, target)))):
        optimizer, values = Adam(net.flat, lr=0.01), []
        for _ in range(20):
            value, dy = losses.mse(net.forward(data[0]), data[1])
            net.zero_grad()
            net.backward(dy)
            optimizer.step()
            values.append(value)
        assert values[-1] < 0.9 * values[0]
    assert_same(there.flat.data, here.flat.data, 1e-9)
    save_tensors(tmp_path / "net.safetensors", there.state_dict())
    state, _ = load_tensors(tmp_path / "net.safetensors")
    fresh = mlp(layers, rng=rng).to(np.float64)
    fresh.load_state_dict(state)
    np.testing.assert_array_equal(fresh.flat.data, to_device(there.flat.data, "cpu"))
    onto_gpu = mlp(layers, rng=rng).to(np.float64).to("cuda")
    onto_gpu.load_state_dict(state)
    assert_same(onto_gpu.predict(moved(x)), fresh.predict(x), 1e-12)
    assert isinstance(there.to("cpu").flat.data, np.ndarray)


def test_the_stand_in_has_only_names_that_cupy_has(card):
    if card == "stand-in":
        pytest.skip("CuPy is not here")
    import cupy

    assert not [name for name in stand_in.FUNCTIONS if not hasattr(cupy, name)]
    assert not [name for name in stand_in.METHODS | stand_in.ATTRIBUTES if not hasattr(cupy.ndarray, name)]


def test_a_model_keeps_its_vector(rng):
    net = mlp([3, 4, 2], rng=rng)
    before = net.flat
    assert net.to("cuda").flat is net.flat
    assert before.stale
    assert not isinstance(net.flat.data, np.ndarray)


@pytest.mark.parametrize("cards", [0, 1])
def test_there_is_a_gpu_where_cupy_counts_one(cards, monkeypatch):
    runtime = SimpleNamespace(getDeviceCount=lambda: cards)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(runtime=runtime)))
    assert cuda_available() == (cards > 0)
