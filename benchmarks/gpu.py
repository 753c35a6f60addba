"""How fast is the GPU?        python -m benchmarks.gpu [--only norm] [--seconds 0.5]

Forward and backward of layers, values and gradients of losses, steps of optimizers and whole training steps in float32: on the
CPU with all its threads, on the GPU in plain form, on the GPU with the fused kernels of `deepnp.gpu`, and in PyTorch on the same
GPU, where it is installed (eager mode; its products and convolutions in float32, too, not in TF32). All of a row are timed in
turns. A time is the median of several series of calls; each series ends when the GPU has finished, so what is measured is work
and not its queueing.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise

import numpy as np

import deepnp
from benchmarks.layers import Row, attention, conv, layer, loss, lstm, medians, optimizer
from deepnp import layers, optim
from deepnp.backend import cuda_available, get_num_threads, to_device
from deepnp.layers import Sequential
from deepnp.losses import cross_entropy, mse
from deepnp.models import mlp
from deepnp.module import Module

SERIES = 0.005  # seconds of one


def training(name: str, ours: Callable[[], Module], theirs: Callable, shape: tuple[int, ...], classes: int | None = None) -> Row:
    """Forward, loss, backward and a step of Adam: all that training does with a batch."""

    def target_of(shape_of_y):
        rng = np.random.default_rng(0)
        return rng.normal(size=shape_of_y).astype(np.float32) if classes is None else rng.integers(classes, size=shape[0])

    def prepare(device="cpu"):
        rng, net = np.random.default_rng(0), ours().to(device)
        x = to_device(rng.normal(size=shape).astype(np.float32), device)
        target = to_device(target_of(net.forward(x).shape), device)
        value, adam = mse if classes is None else cross_entropy, optim.Adam(net.flat)

        def run():
            _, dy = value(net.forward(x), target)
            net.zero_grad()
            net.backward(dy, inputs=False)
            adam.step()

        return run

    def prepare_theirs(torch):
        net, x = theirs(torch.nn), torch.randn(shape)
        target = torch.tensor(target_of(net(x).shape))
        functional = torch.nn.functional
        value, adam = functional.mse_loss if classes is None else functional.cross_entropy, torch.optim.Adam(net.parameters())

        def run():
            loss = value(net(x), target)
            adam.zero_grad()
            loss.backward()
            adam.step()

        return run

    return Row("training step", name, prepare, prepare_theirs)


def dense(widths: list[int], activation: str) -> tuple[Callable, Callable]:
    """A network in both."""

    def theirs(nn):
        pairs = [(nn.Linear(i, o), getattr(nn, activation)()) for i, o in pairwise(widths)]
        return nn.Sequential(*[module for pair in pairs for module in pair][:-1])

    return lambda: mlp(widths, activation=getattr(layers, activation)), theirs


def images(nn):
    """A small convolutional network for 28 × 28 pixels, of layers that both have."""
    first, second = nn.Conv2d(1, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1)
    stages = first, nn.ReLU(), nn.MaxPool2d(2), second, nn.ReLU(), nn.MaxPool2d(2)
    return (nn.Sequential if nn is not layers else Sequential)(*stages, nn.Flatten(), nn.Linear(64 * 49, 10))


def encoder(nn):
    return nn.TransformerEncoderLayer(256, 8, 1024, dropout=0.0, batch_first=True, norm_first=True)


def same(name: str, *arguments, shape: tuple[int, ...]) -> Row:
    """A layer of the same name and arguments in both."""
    label = f"{name} {arguments[0]}" if arguments else name
    return layer("layers", label, lambda: getattr(layers, name)(*arguments), lambda nn: getattr(nn, name)(*arguments), shape)


def labels(rng):
    return [rng.normal(size=(4096, 1024)).astype(np.float32)], [rng.integers(1024, size=4096)]


def pair(rng):
    return [rng.normal(size=(4096, 1024)).astype(np.float32)], [rng.normal(size=(4096, 1024)).astype(np.float32)]


def gru(nn):
    module = nn.GRU(128, 128)
    return lambda x: module(x)[0]


WIDE, SEQUENCE, IMAGE = (4096, 1024), (32, 64, 128), (64, 16, 28, 28)
SMALL, LARGE = dense([24, 256, 256, 4], "Tanh"), dense([512, 2048, 2048, 64], "ReLU")

ROWS = [
    same("Linear", 1024, 1024, shape=(1024, 1024)),
    layer("layers", "Linear 1024, Tanh, Linear 1", *dense([1024, 1024, 1], "Tanh"), (1024, 1024)),
    *(same(name, shape=WIDE) for name in ("Sigmoid", "GELU", "SiLU", "ELU", "Softplus", "Mish", "LeakyReLU")),
    layer("layers", "Softmax", layers.Softmax, lambda nn: nn.Softmax(-1), WIDE),
    layer("layers", "LogSoftmax", layers.LogSoftmax, lambda nn: nn.LogSoftmax(-1), WIDE),
    *(same(name, 1024, shape=WIDE) for name in ("LayerNorm", "RMSNorm", "BatchNorm1d")),
    same("BatchNorm2d", 32, shape=(128, 32, 28, 28)),
    layer("layers", "Conv2d 16 → 32, 28 × 28", lambda: layers.Conv2d(16, 32, 3, padding=1), conv, IMAGE),
    same("MaxPool2d", 2, shape=(128, 32, 28, 28)),
    layer("layers", "LSTM 128, 32 steps", lambda: layers.LSTM(128, 128), lstm, SEQUENCE),
    layer("layers", "GRU 128, 32 steps", lambda: layers.GRU(128, 128), gru, SEQUENCE),
    layer("layers", "attention, 4 heads", lambda: layers.MultiheadAttention(64, 4), attention, (32, 64, 64)),
    loss("mse", lambda F: F.mse_loss, pair),
    loss("cross_entropy", lambda F: F.cross_entropy, labels, ", 1024 classes"),
    *(
        optimizer(name, f", {size:.0e} parameters", shape=(size // 1000, 1000))
        for name in ("SGD", "Adam", "RMSprop")
        for size in (100_000, 10_000_000)
    ),
    training("MLP 256-256, batch 256", *SMALL, (256, 24)),
    training("MLP 2048-2048, batch 1024", *LARGE, (1024, 512)),
    training("CNN 28 × 28, batch 128", partial(images, layers), images, (128, 1, 28, 28), classes=10),
    training("encoder block 256, batch 16", lambda: layers.TransformerEncoderBlock(256, 8, 1024), encoder, (16, 128, 256)),
]


def series(run: Callable, wait: Callable, kernels: bool = True) -> tuple[Callable, int]:
    """Calls one after the other until the GPU has done them, and how many: a few milliseconds' worth."""

    def go(calls: int) -> float:
        deepnp.use_kernels(kernels)
        start = time.perf_counter()
        for _ in range(calls):
            run()
        wait()
        deepnp.use_kernels(True)
        return time.perf_counter() - start

    go(2)  # compiles
    calls = max(1, round(SERIES / go(1)))
    return partial(go, calls), calls


def measure(row: Row, torch, wait: Callable, budget: float) -> str:
    """The row's line."""
    runs = {"cpu": series(row.ours(), lambda: None)}
    runs |= {"plain": series(row.ours("cuda"), wait, kernels=False), "fused": series(row.ours("cuda"), wait)}
    if torch:
        with torch.device("cuda"):
            runs["theirs"] = series(row.theirs(torch), wait)
    found = medians({name: run for name, (run, _) in runs.items()}, budget)
    cpu, plain, fused, *theirs = (1e6 * seconds / runs[name][1] for name, seconds in found.items())
    line = f"   {row.name:<30}{cpu:11.0f} µs{plain:11.0f} µs{fused:11.0f} µs{plain / fused:8.2f}{cpu / fused:10.2f}"
    return line + "".join(f"{time:11.0f} µs{fused / time:8.2f}" for time in theirs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="rows whose group or name holds this")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each row")
    options = parser.parse_args()
    if not cuda_available():
        print('No GPU here that CuPy can use: there is nothing to measure. On a machine with one: pip install "deepnp-rl[cuda12]"')
        return
    import cupy

    torch, versions = import_module("torch") if find_spec("torch") else None, f"CuPy {cupy.__version__}"
    if torch:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        versions += f", PyTorch {torch.__version__}"
    name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    print(f"{name}, {versions}, against {get_num_threads()} threads of the CPU; float32")
    group = None
    for row in ROWS:
        if options.only.lower() in f"{row.group} {row.name}".lower():
            if row.group != group:
                group = row.group
                title = f"\n{group:<33}{'CPU':>14}{'GPU, plain':>14}{'GPU, fused':>14}{'gain':>8}{'CPU/GPU':>10}"
                print(title + f"{'PyTorch':>14}{'ratio':>8}" * bool(torch))
            print(measure(row, torch, cupy.cuda.Device().synchronize, options.seconds), flush=True)


if __name__ == "__main__":
    main()
