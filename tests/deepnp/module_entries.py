"""One entry for every public layer and model: how to make it, and what to give it. The module harness runs on these."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import deepnp
from deepnp import (
    ELU,
    GELU,
    GLU,
    GRU,
    LSTM,
    RNN,
    SELU,
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AvgPool1d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    BatchRenorm1d,
    CircularPad1d,
    CircularPad2d,
    Conv1d,
    Conv2d,
    ConvTranspose1d,
    ConvTranspose2d,
    Dropout,
    Dropout1d,
    Dropout2d,
    Embedding,
    Flatten,
    Fork,
    GroupNorm,
    Hardtanh,
    Heads,
    Identity,
    InstanceNorm1d,
    InstanceNorm2d,
    Join,
    L2Norm,
    LayerNorm,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MaxPool1d,
    MaxPool2d,
    Mish,
    Module,
    MultiheadAttention,
    PReLU,
    ReflectionPad1d,
    ReflectionPad2d,
    ReLU,
    ReplicationPad1d,
    ReplicationPad2d,
    Reshape,
    Residual,
    RMSNorm,
    RotaryPositions,
    RReLU,
    Sequential,
    Sigmoid,
    SiLU,
    Sine,
    SinusoidalPositions,
    Softmax,
    Softplus,
    SoftPlusPlus,
    SpectralNorm,
    Tanh,
    TransformerEncoderBlock,
    ZeroPad1d,
    ZeroPad2d,
    models,
)
from deepnp.cases import Integers, Kinked, draw


@dataclass(frozen=True)
class Entry:
    """How to make a module, what `forward` takes, and where inference is another function, why.

    Attributes
    ----------
    make : callable, rng -> Module
    inputs : tuple
        Arguments of `forward`: each described as an operation's in CASES, or a list of those for a tuple of arrays.
    inference : str
        Empty where `predict` equals `forward`; otherwise the reason why it does not.
    batch : int
        The axis of the inputs that counts samples.
    constants : str
        What `backward` takes as constants although `forward` computes them from x or the parameters; then it is not the
        derivative of the whole `forward`, by definition, and the operation's own check has to do.
    """

    make: Callable[[np.random.Generator], Module]
    inputs: tuple
    inference: str = ""
    batch: int = 0
    constants: str = ""

    def draw(self, rng: np.random.Generator, dtype=np.float64) -> tuple:
        """Arguments for `forward`."""
        return tuple(
            tuple(draw(dict(enumerate(spec)), rng, dtype).values()) if isinstance(spec, list) else draw({0: spec}, rng, dtype)[0]
            for spec in self.inputs
        )

    def empty(self, rng: np.random.Generator, dtype=np.float32) -> tuple:
        """The same without a single sample."""
        none = (slice(None),) * self.batch + (slice(0),)
        return tuple(tuple(part[none] for part in x) if isinstance(x, tuple) else x[none] for x in self.draw(rng, dtype))


DRAWN, STATISTICS = "values are drawn in training", "statistics of the batch in training, running ones in inference"
FLAT, ROWS, SEQUENCE, IMAGE = (5, 6), (5, 3, 6), (3, 4, 7), (2, 4, 6, 5)
AROUND_ZERO = Kinked(FLAT, (0.0,))


def plain(module: Callable[[], Module], x=FLAT) -> Entry:
    """A module without arguments."""
    return Entry(lambda rng: module(), (x,))


def tower(rng, sizes=(6, 5, 4)) -> Sequential:
    return Sequential(Linear(sizes[0], sizes[1], rng=rng), Tanh(), Linear(sizes[1], sizes[2], rng=rng))


def vae(rng):
    encoder = Sequential(Flatten(), Linear(6, 5, rng=rng), Tanh(), Linear(5, 6, rng=rng))
    return models.VAE(encoder, Sequential(Linear(3, 6, rng=rng), Reshape((1, 2, 3))), rng)


ENTRIES: dict[str, Entry] = {
    # activations
    "ELU": plain(ELU, AROUND_ZERO),
    "GELU": plain(GELU),
    "GLU": plain(GLU),
    "Hardtanh": plain(Hardtanh, Kinked(FLAT, (-1.0, 1.0))),
    "LeakyReLU": plain(LeakyReLU, AROUND_ZERO),
    "LogSoftmax": plain(LogSoftmax),
    "Mish": plain(Mish),
    "PReLU": Entry(lambda rng: PReLU(6), (AROUND_ZERO,)),
    "RReLU": Entry(lambda rng: RReLU(rng=rng), (AROUND_ZERO,), DRAWN),
    "ReLU": plain(ReLU, AROUND_ZERO),
    "SELU": plain(SELU, AROUND_ZERO),
    "SiLU": plain(SiLU),
    "Sigmoid": plain(Sigmoid),
    "Sine": plain(Sine),
    "SoftPlusPlus": Entry(lambda rng: SoftPlusPlus(6), (FLAT,)),
    "Softmax": plain(Softmax),
    "Softplus": plain(Softplus),
    "Tanh": plain(Tanh),
    # linear, containers
    "Linear": Entry(lambda rng: Linear(6, 4, rng=rng), (ROWS,)),
    "Sequential": Entry(lambda rng: Sequential(tower(rng), Sigmoid(), Linear(4, 3, bias=False, rng=rng), SiLU()), (ROWS,)),
    "Heads": Entry(lambda rng: Heads(a=tower(rng), b=Linear(6, 2, rng=rng)), (FLAT,)),
    "Fork": Entry(lambda rng: Fork(tower(rng), Tanh(), Identity()), (FLAT,)),
    "Join": Entry(lambda rng: Join(-1), ([(5, 4), (5, 2)],)),
    "Identity": plain(Identity),
    "Residual": Entry(lambda rng: Residual(tower(rng, (6, 5, 6))), (FLAT,)),
    # normalisation, regularisation
    "BatchNorm1d": Entry(lambda rng: BatchNorm1d(6), (FLAT,), STATISTICS),
    "BatchNorm2d": Entry(lambda rng: BatchNorm2d(4), (IMAGE,), STATISTICS),
    "BatchRenorm1d": Entry(lambda rng: BatchRenorm1d(6), (FLAT,), STATISTICS, constants="r and d"),
    "GroupNorm": Entry(lambda rng: GroupNorm(2, 4), (SEQUENCE,)),
    "InstanceNorm1d": Entry(lambda rng: InstanceNorm1d(4), (SEQUENCE,)),
    "InstanceNorm2d": Entry(lambda rng: InstanceNorm2d(4), (IMAGE,)),
    "LayerNorm": Entry(lambda rng: LayerNorm(6), (FLAT,)),
    "L2Norm": Entry(lambda rng: L2Norm(6), (FLAT,)),
    "RMSNorm": Entry(lambda rng: RMSNorm(6, eps=1e-6), (FLAT,)),
    "Dropout": Entry(lambda rng: Dropout(0.3, rng=rng), (FLAT,), DRAWN),
    "Dropout1d": Entry(lambda rng: Dropout1d(0.3, rng=rng), (SEQUENCE,), DRAWN),
    "Dropout2d": Entry(lambda rng: Dropout2d(0.3, rng=rng), (IMAGE,), DRAWN),
    # so many iterations that u and v are the singular vectors wherever the weight has moved: σ does not depend on where they began
    "SpectralNorm": Entry(lambda rng: SpectralNorm(Linear(6, 4, rng=rng), power_iterations=300, rng=rng), (FLAT,)),
    # shapes
    "Flatten": plain(Flatten, IMAGE),
    "Reshape": Entry(lambda rng: Reshape((2, 3)), (FLAT,)),
    # convolution, pooling, padding
    "Conv1d": Entry(lambda rng: Conv1d(4, 3, 3, padding=1, rng=rng), (SEQUENCE,)),
    "Conv2d": Entry(lambda rng: Conv2d(4, 3, 3, stride=2, rng=rng), (IMAGE,)),
    "ConvTranspose1d": Entry(lambda rng: ConvTranspose1d(4, 3, 3, stride=2, rng=rng), (SEQUENCE,)),
    "ConvTranspose2d": Entry(lambda rng: ConvTranspose2d(4, 3, 3, rng=rng), (IMAGE,)),
    **{f.__name__: Entry(lambda rng, f=f: f(2), (SEQUENCE,)) for f in (MaxPool1d, AvgPool1d)},
    **{f.__name__: Entry(lambda rng, f=f: f(2), (IMAGE,)) for f in (MaxPool2d, AvgPool2d)},
    **{f.__name__: Entry(lambda rng, f=f: f(3), (SEQUENCE,)) for f in (AdaptiveAvgPool1d, AdaptiveMaxPool1d)},
    **{f.__name__: Entry(lambda rng, f=f: f(3), (IMAGE,)) for f in (AdaptiveAvgPool2d, AdaptiveMaxPool2d)},
    **{
        f.__name__: Entry(lambda rng, f=f: f((1, 2)), (SEQUENCE,))
        for f in (CircularPad1d, ReflectionPad1d, ReplicationPad1d, ZeroPad1d)
    },
    **{
        f.__name__: Entry(lambda rng, f=f: f((1, 2, 0, 1)), (IMAGE,))
        for f in (CircularPad2d, ReflectionPad2d, ReplicationPad2d, ZeroPad2d)
    },
    # sequences
    "Embedding": Entry(lambda rng: Embedding(9, 4, padding_idx=2, rng=rng), (Integers((5, 3), 9),)),
    "RotaryPositions": plain(RotaryPositions, ROWS),
    "SinusoidalPositions": plain(SinusoidalPositions, ROWS),
    "RNN": Entry(lambda rng: RNN(6, 4, num_layers=2, rng=rng), ((5, 3, 6),), batch=1),
    "LSTM": Entry(lambda rng: LSTM(6, 4, batch_first=True, rng=rng), ((3, 5, 6),)),
    "GRU": Entry(lambda rng: GRU(6, 4, batch_first=True, returns="last", rng=rng), ((3, 5, 6),)),
    "MultiheadAttention": Entry(lambda rng: MultiheadAttention(6, 2, rng=rng), (ROWS, (5, 4, 6))),
    "TransformerEncoderBlock": Entry(lambda rng: TransformerEncoderBlock(6, 2, 8, activation=GELU, rng=rng), (ROWS,)),
    # models
    "mlp": Entry(lambda rng: models.mlp([6, 5, 3], rng=rng, normalization=LayerNorm), (FLAT,)),
    "cnn": Entry(lambda rng: models.cnn((2, 5, 4), 3, channels=(3, 4), hidden=6, rng=rng), ((4, 2, 5, 4),), DRAWN),
    "resnet": Entry(lambda rng: models.resnet(2, 3, channels=(2, 3), rng=rng), ((4, 2, 5, 4),), STATISTICS),
    "VAE": Entry(vae, ((4, 1, 2, 3),), DRAWN),
    "Coupling": Entry(lambda rng: models.Coupling(4, (0, 2), 3, (5,), rng=rng), ((6, 4), (6, 3))),
    "RealNVP": Entry(lambda rng: models.RealNVP(3, 0, 3, (5,), rng=rng), ((6, 3),)),
    "gan.generator": Entry(lambda rng: models.gan.generator(3, (1, 4, 4), 2, rng), ((4, 3),), STATISTICS),
    "gan.discriminator": Entry(
        lambda rng: models.gan.discriminator((1, 4, 4), 2, rng), ((4, 1, 4, 4),), constants="u and v of one power iteration"
    ),
}


def public_modules() -> tuple[set[str], set[str]]:
    """Names of all public classes of modules and functions that make one; and those of them that are bases of others."""
    found = {name: getattr(deepnp, name) for name in deepnp.__all__}
    found |= {name: getattr(models, name) for name in models.__all__}
    found |= {f"gan.{name}": thing for name, thing in vars(models.gan).items() if written_in(models.gan, thing)}
    found = {name: thing for name, thing in found.items() if is_module(thing)}
    bases = {base for thing in found.values() if inspect.isclass(thing) for base in thing.__mro__[1:]}
    return set(found), {name for name, thing in found.items() if thing in bases}


def written_in(file, thing) -> bool:
    """Whether a function is written in this file."""
    return inspect.isfunction(thing) and thing.__module__ == file.__name__


def is_module(thing) -> bool:
    made = inspect.signature(thing).return_annotation if inspect.isfunction(thing) else thing
    return inspect.isclass(made) and issubclass(made, Module)
