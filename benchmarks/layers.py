"""How fast are the layers?        python -m benchmarks.layers [--threads 1 2] [--only norm] [--seconds 0.5]

Forward and backward of each layer and loss, and a step of each optimizer, in float32, against PyTorch on the CPU with as many
threads, interleaved in one process: machines drift, and only the ratios count. A time is the median of many repeats.
The floor is the time of the layer's matrix products alone, by NumPy's BLAS. Without PyTorch: ours and the floor.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec

import numpy as np

import deepnp
from deepnp import losses, optim
from deepnp.backend import to_device
from deepnp.layers import activation
from deepnp.layers.attention import MultiheadAttention
from deepnp.layers.batch_normalization import BatchNorm1d, BatchNorm2d
from deepnp.layers.convolution import Conv2d
from deepnp.layers.linear import Linear
from deepnp.layers.normalization import GroupNorm, InstanceNorm1d, LayerNorm, RMSNorm
from deepnp.layers.recurrent import LSTM
from deepnp.parameters import Parameter, ParameterVector

BATCH = (256, 256)
MILLION = (1000, 1000)
ROUNDS = (7, 2000)  # at least, at most


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    ours : callable of a device, "cpu" by default
        Prepares there, and returns what is timed.
    theirs : callable of torch, or None
        The same in PyTorch, on torch's default device.
    target : float
        The largest ratio that would do.
    gemms : tuple of (count, m, k, n)
        Its matrix products: count times (m, k) @ (k, n).
    """

    group: str
    name: str
    ours: Callable
    theirs: Callable | None
    target: float = 1.0
    gemms: tuple[tuple[int, int, int, int], ...] = ()


def layer(group: str, name: str, ours: Callable, theirs: Callable, shape=BATCH, **rest) -> Row:
    """Forward and backward of a module; `theirs(torch.nn)` is a function of x."""

    def prepare(device="cpu"):
        rng, module = np.random.default_rng(0), ours().to(device)
        x = to_device(rng.normal(size=shape).astype(np.float32), device)
        dy = to_device(rng.normal(size=module.forward(x).shape).astype(np.float32), device)

        def run():
            module.forward(x)
            module.backward(dy)

        return run

    def prepare_theirs(torch):
        module, x = theirs(torch.nn), torch.randn(shape, requires_grad=True)
        dy = torch.randn(module(x).shape)

        def run():
            x.grad = None
            module(x).backward(dy)

        return run

    return Row(group, name, prepare, prepare_theirs, **rest)


def loss(name: str, theirs: Callable, draw: Callable, label: str = "") -> Row:
    """Value and gradient of a loss; `draw(rng)` gives its differentiable arguments, and the target where it has one."""

    def prepare(device="cpu"):
        outputs, target = ([to_device(x, device) for x in group] for group in draw(np.random.default_rng(0)))
        return partial(getattr(losses, name), *outputs, **dict(zip(["target"], target, strict=False)))

    def prepare_theirs(torch):
        outputs, others = draw(np.random.default_rng(0))
        outputs, others = ([torch.tensor(x) for x in group] for group in (outputs, others))
        function = theirs(torch.nn.functional)

        def run():
            for x in outputs:
                x.grad = None
                x.requires_grad_(True)
            function(*outputs, *others).backward()

        return run

    return Row("losses", name + label, prepare, prepare_theirs)


def optimizer(name: str, label: str = "", shape=BATCH, peer: bool = True, fused: bool = False, gemms=(), **settings) -> Row:
    """One step of an optimizer; PyTorch's is its default, or its one-pass form if `fused`."""

    def prepare(device="cpu"):
        vector = ParameterVector({"weight": Parameter(np.ones(shape, np.float32))}, device=device)
        vector.grad[...] = to_device(np.random.default_rng(0).normal(size=len(vector)), device)
        return getattr(optim, name)(vector, lr=1e-4, **settings).step

    def prepare_theirs(torch):
        p = torch.nn.Parameter(torch.ones(shape))
        p.grad = torch.randn(shape)
        return getattr(torch.optim, name)([p], lr=1e-4, **settings, **({"fused": True} if fused else {})).step

    title = name + label + (", fused" if fused else "") + (", 10⁶" if shape == MILLION else "")
    return Row("optimizers", title, prepare, prepare_theirs if peer else None, gemms=gemms)


def plain(name: str) -> Row:
    """An activation of the same name in both."""
    return layer("activations", name, lambda: getattr(activation, name)(), lambda nn: getattr(nn, name)())


def attention(nn):
    module = nn.MultiheadAttention(64, 4, batch_first=True)
    return lambda x: module(x, x, x, need_weights=False)[0]


def conv(nn):
    return nn.Conv2d(16, 32, 3, padding=1)


def lstm(nn):
    module = nn.LSTM(128, 128)
    return lambda x: module(x)[0]


def normal(rng):
    return rng.normal(size=BATCH).astype(np.float32)


def pair(rng):
    return [normal(rng)], [normal(rng)]


def positive(rng):
    return rng.uniform(0.05, 0.95, BATCH).astype(np.float32)


def signs(rng):
    return [normal(rng)], [rng.choice([-1.0, 1.0], BATCH).astype(np.float32)]


def soft(rng):
    return [normal(rng)], [rng.dirichlet(np.ones(256), 256).astype(np.float32)]


THREE = ((3, 256, 256, 256),)  # forward, dx, dweight
ATTENTION = ((3, 2048, 64, 192), (3, 2048, 64, 64), (6 * 128, 64, 16, 64))  # B·H = 128 heads; scores and mixture alike
RECURRENT = ((3, 2048, 128, 512), (64, 64, 128, 512), (1, 512, 2048, 128))  # inputs at once, states step by step, dW_hh at once
IMAGES = ((3, 64 * 784, 144, 32),)  # the window's 16 · 3 · 3 inputs in rows

ROWS = [
    layer("linear", "Linear 256", lambda: Linear(256, 256), lambda nn: nn.Linear(256, 256), gemms=THREE),
    layer("norms", "LayerNorm", lambda: LayerNorm(256), lambda nn: nn.LayerNorm(256)),
    layer("norms", "RMSNorm", lambda: RMSNorm(256), lambda nn: nn.RMSNorm(256)),
    layer("norms", "GroupNorm 8", lambda: GroupNorm(8, 256), lambda nn: nn.GroupNorm(8, 256)),
    layer("norms", "BatchNorm1d", lambda: BatchNorm1d(256), lambda nn: nn.BatchNorm1d(256)),
    layer("norms", "BatchNorm2d", lambda: BatchNorm2d(16), lambda nn: nn.BatchNorm2d(16), (256, 16, 4, 4)),
    layer("norms", "InstanceNorm1d", lambda: InstanceNorm1d(16), lambda nn: nn.InstanceNorm1d(16), (256, 16, 16)),
    *(plain(name) for name in ("ReLU", "LeakyReLU", "PReLU", "RReLU", "ELU", "SELU", "Hardtanh", "Tanh", "Sigmoid", "Softplus")),
    *(plain(name) for name in ("GELU", "SiLU", "Mish", "GLU")),
    layer("activations", "GELU, tanh", lambda: activation.GELU("tanh"), lambda nn: nn.GELU("tanh")),
    layer("activations", "Sine", activation.Sine, lambda nn: lambda x: x.sin()),
    layer("activations", "Softmax", activation.Softmax, lambda nn: nn.Softmax(-1)),
    layer("activations", "LogSoftmax", activation.LogSoftmax, lambda nn: nn.LogSoftmax(-1)),
    loss("mse", lambda F: F.mse_loss, pair),
    loss("rmse", lambda F: lambda y, target: F.mse_loss(y, target).sqrt(), pair),
    loss("l1", lambda F: F.l1_loss, pair),
    loss("huber", lambda F: F.huber_loss, pair),
    loss("cross_entropy", lambda F: F.cross_entropy, lambda rng: ([normal(rng)], [rng.integers(0, 256, 256)])),
    loss("cross_entropy", lambda F: F.cross_entropy, soft, ", soft"),
    loss("bce_with_logits", lambda F: F.binary_cross_entropy_with_logits, lambda rng: ([normal(rng)], [positive(rng)])),
    loss("bce", lambda F: F.binary_cross_entropy, lambda rng: ([positive(rng)], [positive(rng)])),
    loss("hinge", lambda F: lambda y, target: F.relu(1 - y * target).mean(), signs),
    loss("hinge_embedding", lambda F: F.hinge_embedding_loss, signs),
    loss("kl_divergence", lambda F: partial(F.kl_div, reduction="batchmean"), lambda rng: ([np.log(positive(rng))], soft(rng)[1])),
    loss(
        "gaussian_nll",
        lambda F: lambda m, v, target: F.gaussian_nll_loss(m, target, v),
        lambda rng: ([normal(rng), positive(rng)], [normal(rng)]),
    ),
    loss("poisson_nll", lambda F: F.poisson_nll_loss, lambda rng: ([normal(rng)], [positive(rng)])),
    loss("cosine", lambda F: lambda a, b: 1 - F.cosine_similarity(a, b).mean(), lambda rng: ([normal(rng), normal(rng)], [])),
    *(optimizer(name) for name in ("SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "AdamW", "Adamax", "NAdam", "RAdam")),
    *(optimizer(name, fused=True) for name in ("SGD", "Adagrad", "Adam", "AdamW")),
    optimizer("SGD", ", momentum", momentum=0.9),
    optimizer("SGD", ", momentum", momentum=0.9, fused=True),
    optimizer("Adam", ", AMSGrad", amsgrad=True),
    optimizer("Adam", ", AMSGrad", amsgrad=True, fused=True),
    *(optimizer(name, peer=False) for name in ("Lion", "Adan", "AdaBelief")),
    optimizer("Muon", gemms=((15, 256, 256, 256),)),  # PyTorch's products are in bfloat16
    *(optimizer(name, shape=MILLION) for name in ("SGD", "RMSprop", "Adam")),
    *(optimizer(name, shape=MILLION, fused=True) for name in ("SGD", "Adam")),
    layer("large", "attention", lambda: MultiheadAttention(64, 4), attention, (32, 64, 64), target=1.5, gemms=ATTENTION),
    layer("large", "LSTM", lambda: LSTM(128, 128), lstm, (32, 64, 128), target=1.5, gemms=RECURRENT),
    layer("large", "Conv2d", lambda: Conv2d(16, 32, 3, padding=1), conv, (64, 16, 28, 28), target=1.5, gemms=IMAGES),
]


def floor(gemms) -> Callable:
    """The products alone, with their results written into place."""
    rng, work = np.random.default_rng(0), []
    for count, *sizes in gemms:
        (m, k, n), numbers = sizes, partial(rng.standard_normal, dtype=np.float32)
        work.append((np.broadcast_to(numbers((m, k)), (count, m, k)), numbers((k, n)), np.empty((count, m, n), np.float32)))

    def run():
        for a, b, y in work:
            np.matmul(a, b, out=y)

    return run


def medians(functions: dict[str, Callable], seconds: float) -> dict[str, float]:
    """Median time of each, in turns, within so many seconds."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for f in functions.values():
        f(), f()  # compiles, fills caches
    until = time.perf_counter() + seconds
    for i in range(ROUNDS[1]):
        for name, f in functions.items():
            start = time.perf_counter()
            f()
            times[name].append(time.perf_counter() - start)
        if i >= ROUNDS[0] and time.perf_counter() > until:
            break
    return {name: float(np.median(values)) for name, values in times.items()}


def measure(row: Row, torch, seconds: float) -> str:
    """The row's line."""
    functions = {"ours": row.ours()}
    if torch and row.theirs:
        functions["theirs"] = row.theirs(torch)
    if row.gemms:
        functions["floor"] = floor(row.gemms)
    found = medians(functions, seconds)
    line = f"   {row.name:<24}{1e6 * found['ours']:9.0f} µs"
    if "theirs" in found:
        ratio = found["ours"] / found["theirs"]
        line += f"{1e6 * found['theirs']:9.0f} µs{ratio:8.2f}  ≤ {row.target:.1f}{'' if ratio <= row.target else '  missed'}"
    if "floor" in found:
        line += f"   {found['ours'] / found['floor']:.2f} × the GEMM floor"
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", default="", help="rows whose group or name holds this")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each row")
    options = parser.parse_args()
    torch = import_module("torch") if find_spec("torch") else None
    for threads in options.threads:
        deepnp.set_num_threads(threads)
        if torch:
            torch.set_num_threads(threads)
        group = None
        for row in ROWS:
            if options.only.lower() in f"{row.group} {row.name}".lower():
                if row.group != group:
                    group = row.group
                    title = f"{group}, {threads} thread{'s' if threads > 1 else ''}"
                    print(f"\n{title:<27}{'ours':>12}" + f"{'PyTorch':>12}{'ratio':>8}  target" * bool(torch))
                print(measure(row, torch, options.seconds), flush=True)


if __name__ == "__main__":
    main()
