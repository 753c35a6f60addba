"""Whole trainings on the GPU: they learn, they move between devices, they say what is wrong."""

import copy

import numpy as np
import pytest

from deepnp import layers, losses, metrics
from deepnp.backend import to_device
from deepnp.models import mlp
from deepnp.optim import Adam
from deepnp.storage import load_tensors, save_tensors
from tests.gpu.test_gpu import moved


def train(net, x, target, loss, steps, lr=3e-3):
    """Values of the loss over so many steps."""
    optimizer, values = Adam(net.flat, lr), []
    for _ in range(steps):
        value, dy = loss(net.forward(x), target)
        net.zero_grad()
        net.backward(dy, inputs=False)
        optimizer.step()
        values.append(value)
    return values


def images(rng) -> layers.Sequential:
    nn = layers
    first, second = nn.Conv2d(1, 4, 3, padding=1, rng=rng), nn.Conv2d(4, 8, 3, padding=1, rng=rng)
    stages = first, nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), second, nn.GELU(), nn.MaxPool2d(2)
    return nn.Sequential(*stages, nn.Flatten(), nn.Linear(32, 4, rng=rng))


def test_a_convolutional_network_learns(rng, kernels):
    labels = rng.integers(4, size=64)
    x = rng.normal(size=(64, 1, 8, 8)).astype(np.float32) / 2
    for image, label in zip(x, labels, strict=True):
        image[0, 2 * label : 2 * label + 2] += 1
    net, (x, labels) = images(rng).to("cuda"), moved((x, labels))
    train(net, x, labels, losses.cross_entropy, 40)
    assert metrics.accuracy(net.predict(x).argmax(axis=1), labels) > 0.95


def test_a_transformer_learns_to_repeat_the_first_token(rng, kernels):
    nn = layers
    block = nn.TransformerEncoderBlock(16, 2, 32, rng=rng)
    net = nn.Sequential(nn.Linear(4, 16, rng=rng), nn.SinusoidalPositions(), block, nn.Linear(16, 4, rng=rng)).to("cuda")
    x = rng.normal(size=(16, 5, 4)).astype(np.float32)
    values = train(net, *moved((x, np.ascontiguousarray(np.broadcast_to(x[:, :1], x.shape)))), losses.mse, 60, 1e-2)
    assert values[-1] < 0.3 * values[0]


@pytest.mark.parametrize("make", [layers.LSTM, layers.GRU])
def test_a_recurrent_network_learns_to_add(make, rng, kernels):
    net = layers.Sequential(make(2, 8, returns="last", rng=rng), layers.Linear(8, 1, rng=rng)).to("cuda")
    x = rng.uniform(-1, 1, size=(6, 32, 2)).astype(np.float32)
    values = train(net, *moved((x, x[..., :1].sum(axis=0))), losses.mse, 60, 2e-2)
    assert values[-1] < 0.3 * values[0]


def test_the_same_seed_gives_the_same_bits(rng, kernels):
    x, labels = moved((rng.normal(size=(32, 1, 8, 8)).astype(np.float32), rng.integers(4, size=32)))
    nets = [images(np.random.default_rng(1)).to("cuda") for _ in range(2)]
    first, second = (train(net, x, labels, losses.cross_entropy, 5) for net in nets)
    assert first == second
    bits = [to_device(net.flat.data, "cpu").tobytes() for net in nets]
    assert bits[0] == bits[1]


def test_a_training_that_moves_goes_the_way_of_one_that_stays(rng, kernels):
    x, target = rng.normal(size=(16, 4)), rng.normal(size=(16, 2))

    def run(devices):
        net = mlp([4, 8, 2], rng=np.random.default_rng(1)).to(np.float64)
        optimizer = Adam(net.flat, 1e-2)
        for device in devices:
            state = optimizer.state_dict()
            net.to(device)
            optimizer = Adam(net.flat, 1e-2)
            optimizer.load_state_dict(state)
            for _ in range(10):
                _, dy = losses.mse(net.forward(to_device(x, device)), to_device(target, device))
                net.zero_grad()
                net.backward(dy)
                optimizer.step()
        return to_device(net.flat.data, "cpu")

    np.testing.assert_allclose(run(["cpu", "cuda", "cpu"]), run(["cpu"] * 3), rtol=1e-10, atol=1e-12)


def test_an_optimizer_of_before_the_move_is_refused(rng):
    net = mlp([4, 8, 2], rng=rng)
    optimizer = Adam(net.flat)
    net.to("cuda")
    with pytest.raises(RuntimeError, match="moved to another vector"):
        optimizer.step()


def test_statistics_are_saved_on_the_gpu_and_loaded_on_the_cpu(rng, tmp_path, kernels):
    there, x = images(rng).to("cuda"), rng.normal(size=(4, 1, 8, 8)).astype(np.float32)
    there.forward(moved(x))
    save_tensors(tmp_path / "net.safetensors", there.state_dict())
    here = images(rng)
    here.load_state_dict(load_tensors(tmp_path / "net.safetensors")[0])
    np.testing.assert_allclose(here.predict(x), to_device(there.predict(moved(x)), "cpu"), rtol=1e-4, atol=1e-5)


def test_a_copy_lies_on_the_gpu_and_has_parameters_of_its_own(rng):
    net = mlp([4, 8, 2], rng=rng).to("cuda")
    other = copy.deepcopy(net)
    other.flat.data.fill(0)
    assert not isinstance(other.flat.data, np.ndarray)
    assert float(abs(net.flat.data).sum()) > 0


BOTH = "expected all arrays on one device, given some on the CPU and some on the GPU"
MIXED = {
    "mlp": (lambda: mlp([4, 8, 2]), (3, 4)),
    "Linear": (lambda: layers.Linear(4, 2), (3, 4)),
    "LayerNorm": (lambda: layers.LayerNorm(4), (3, 4)),
    "BatchNorm1d": (lambda: layers.BatchNorm1d(4), (3, 4)),
    "Conv2d": (lambda: layers.Conv2d(4, 2, 3), (2, 4, 5, 5)),
    "LSTM": (lambda: layers.LSTM(4, 2), (5, 3, 4)),
    "MultiheadAttention": (lambda: layers.MultiheadAttention(4, 2), (2, 3, 4)),
}


@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("net_is_on", ["cpu", "cuda"])
def test_a_network_and_its_input_on_two_devices(name, net_is_on):
    build, shape = MIXED[name]
    net, x = build().to(net_is_on), to_device(np.ones(shape, np.float32), "cuda" if net_is_on == "cpu" else "cpu")
    with pytest.raises(TypeError, match=BOTH):
        net.forward(x)


def test_a_loss_of_arrays_on_two_devices():
    y, labels = np.ones((3, 4), np.float32), np.array([0, 1, 2])
    with pytest.raises(TypeError, match=BOTH):
        losses.mse(moved(y), y)
    with pytest.raises(TypeError, match=BOTH):
        losses.cross_entropy(moved(y), labels)


def test_too_little_memory_is_a_memory_error(card):
    if card == "stand-in":
        pytest.skip("needs a GPU")
    with pytest.raises(MemoryError, match="Out of memory allocating"):
        layers.Linear(4, 10**6).to("cuda").forward(moved(np.ones((10**6, 4), np.float32)))
