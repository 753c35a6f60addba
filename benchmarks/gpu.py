"""How fast is the GPU?        python -m benchmarks.gpu [--only norm] [--seconds 0.5]

Forward and backward of layers, steps of optimizers and whole training steps in float32: on the CPU with all its threads, on the
GPU in plain form, and on the GPU with the fused kernels of `deepnp.gpu`, where a row has any. A time is the median of several
series of calls; each series ends when the GPU has finished, so what is measured is work and not its queueing.
"""

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import deepnp
from deepnp import layers, optim
from deepnp.backend import cuda_available, get_num_threads, to_device
from deepnp.cases import tupled, upstream
from deepnp.layers import Sequential
from deepnp.losses import cross_entropy, mse
from deepnp.models import mlp
from deepnp.module import Module
from deepnp.parameters import Parameter, ParameterVector

SERIES = 7


class Row(NamedTuple):
    """One line of the table: `prepare(device)` returns what is timed."""

    group: str
    name: str
    prepare: Callable[[str], Callable]
    fused: bool = False


def layer(group: str, name: str, build: Callable[[], Module], shape: tuple[int, ...], fused: bool = False) -> Row:
    """Forward and backward of a module."""

    def prepare(device):
        rng, module = np.random.default_rng(0), build().to(device)
        x = to_device(rng.normal(size=shape).astype(np.float32), device)
        dy = tuple(to_device(d, device) for d in tupled(upstream(module.forward(x), rng)))

        def run():
            module.forward(x)
            module.backward(dy[0])

        return run

    return Row(group, name, prepare, fused)


def optimizer(name: str, size: int, fused: bool = False, **settings) -> Row:
    """One step on so many parameters."""

    def prepare(device):
        vector = ParameterVector({"weight": Parameter(np.ones((1, size), np.float32))}, device=device)
        vector.grad.fill(1)
        return getattr(optim, name)(vector, lr=1e-4, **settings).step

    return Row("optimizers", f"{name}, {size:.0e} parameters", prepare, fused)


def training(name: str, build: Callable[[], Module], shape: tuple[int, ...], classes: int | None = None) -> Row:
    """Forward, loss, backward and a step of Adam: all that training does with a batch."""

    def prepare(device):
        rng, net = np.random.default_rng(0), build().to(device)
        x = to_device(rng.normal(size=shape).astype(np.float32), device)
        y = net.forward(x)
        target = rng.normal(size=y.shape).astype(np.float32) if classes is None else rng.integers(classes, size=len(x))
        target, loss, adam = to_device(target, device), mse if classes is None else cross_entropy, optim.Adam(net.flat)

        def run():
            _, dy = loss(net.forward(x), target)
            net.zero_grad()
            net.backward(dy, inputs=False)
            adam.step()

        return run

    return Row("training step", name, prepare, fused=True)


def images() -> Module:
    """A small convolutional network for 28 × 28 pixels."""
    first, second = layers.Conv2d(1, 32, 3, padding=1), layers.Conv2d(32, 64, 3, padding=1)
    stages = first, layers.ReLU(), layers.MaxPool2d(2), second, layers.ReLU(), layers.MaxPool2d(2)
    return Sequential(*stages, layers.Flatten(), layers.Linear(64 * 49, 10))


ROWS = [
    layer("layers", "Linear 1024", lambda: layers.Linear(1024, 1024), (1024, 1024)),
    layer("layers", "Linear 1024 and Tanh", lambda: mlp([1024, 1024, 1], activation=layers.Tanh), (1024, 1024), fused=True),
    layer("layers", "Sigmoid", layers.Sigmoid, (4096, 1024), fused=True),
    layer("layers", "GELU", layers.GELU, (4096, 1024)),
    layer("layers", "Softmax", layers.Softmax, (4096, 1024), fused=True),
    layer("layers", "LayerNorm", lambda: layers.LayerNorm(1024), (4096, 1024), fused=True),
    layer("layers", "BatchNorm1d", lambda: layers.BatchNorm1d(1024), (4096, 1024)),
    layer("layers", "Conv2d 16 → 32, 28 × 28", lambda: layers.Conv2d(16, 32, 3, padding=1), (64, 16, 28, 28)),
    layer("layers", "LSTM 128, 32 steps", lambda: layers.LSTM(128, 128), (32, 64, 128), fused=True),
    layer("layers", "attention, 4 heads", lambda: layers.MultiheadAttention(64, 4), (32, 64, 64)),
    *(optimizer(name, size, name == "Adam") for name in ("SGD", "Adam", "RMSprop") for size in (100_000, 10_000_000)),
    training("MLP 256-256, batch 256", lambda: mlp([24, 256, 256, 4], activation=layers.Tanh), (256, 24)),
    training("MLP 2048-2048, batch 1024", lambda: mlp([512, 2048, 2048, 64], activation=layers.ReLU), (1024, 512)),
    training("CNN 28 × 28, batch 128", images, (128, 1, 28, 28), classes=10),
    training("encoder block 256, batch 16", lambda: layers.TransformerEncoderBlock(256, 8, 1024), (16, 128, 256)),
]


def seconds_a_call(run: Callable, wait: Callable, budget: float) -> float:
    """Median over series of calls that take `budget` seconds together."""

    def series(calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            run()
        wait()
        return (time.perf_counter() - start) / calls

    series(2)  # compiles
    calls = max(1, round(budget / SERIES / series(1)))
    return float(np.median([series(calls) for _ in range(SERIES)]))


def measure(row: Row, wait: Callable, budget: float) -> str:
    """The row's line."""
    cpu = seconds_a_call(row.prepare("cpu"), lambda: None, budget)
    deepnp.use_kernels(False)
    plain = seconds_a_call(row.prepare("cuda"), wait, budget)
    deepnp.use_kernels(True)
    best = fused = seconds_a_call(row.prepare("cuda"), wait, budget) if row.fused else plain
    third = f"{1e6 * fused:11.0f} µs{plain / fused:8.2f}" if row.fused else f"{'':>22}"
    return f"   {row.name:<30}{1e6 * cpu:11.0f} µs{1e6 * plain:11.0f} µs{third}{cpu / best:10.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="rows whose group or name holds this")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each time")
    options = parser.parse_args()
    if not cuda_available():
        print('No GPU here that CuPy can use: there is nothing to measure. On a machine with one: pip install "deepnp-rl[cuda12]"')
        return
    import cupy

    name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    print(f"{name}, CuPy {cupy.__version__}, against {get_num_threads()} threads of the CPU; float32")
    group = None
    for row in ROWS:
        if options.only.lower() in f"{row.group} {row.name}".lower():
            if row.group != group:
                group = row.group
                print(f"\n{group:<33}{'CPU':>14}{'GPU, plain':>14}{'GPU, fused':>14}{'gain':>8}{'CPU/GPU':>10}")
            print(measure(row, cupy.cuda.Device().synchronize, options.seconds), flush=True)


if __name__ == "__main__":
    main()
