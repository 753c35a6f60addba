"""The list of exercises, in the order in which to learn them."""

from importlib.metadata import entry_points

from deepnp import ops
from deepnp.gradcheck import resolve
from deepnp.learn.exercise import Exercise, OperationExercise, of_losses
from deepnp.losses import binary, classification, likelihood, regression, similarity

GROUP = "deepnp.exercises"  # entry points: each a function without arguments that returns a list of exercises

# As in docs/derivations.md.
CHAPTERS = {
    "What a backward pass is": (
        ("linear", "activation.tanh", "activation.sigmoid", "activation.relu", "dense", "mlp"),
        ("activation.softmax", "activation.log_softmax"),
    ),
    "The other activations": (
        ("activation.leaky_relu", "activation.prelu", "activation.rrelu", "activation.elu", "activation.selu"),
        ("activation.hard_tanh", "activation.softplus", "activation.soft_plus_plus", "activation.silu", "activation.mish"),
        ("activation.gelu", "activation.gelu_tanh", "activation.sine", "activation.glu"),
    ),
    "Normalisation and regularisation": (
        ("normalization.layer_norm", "normalization.rms_norm", "normalization.group_norm", "normalization.batch_norm"),
        ("normalization.batch_renorm", "regularization.dropout", "regularization.spectral_norm"),
    ),
    "Convolution": (
        ("convolution.conv", "convolution.conv_transpose", "convolution.fft_conv"),
        ("convolution.max_pool", "convolution.adaptive_max_pool", "convolution.avg_pool", "convolution.adaptive_avg_pool"),
        ("convolution.zero_pad", "convolution.border_pad"),
    ),
    "Sequences": (
        ("embedding.embedding", "recurrent.rnn", "recurrent.gru", "recurrent.lstm"),
        ("embedding.sinusoidal", "embedding.rotary"),
        ("attention.scaled_dot_product", "attention.block_scaled_dot_product"),
    ),
}
LOSSES = "Losses"


def exercises() -> dict[str, Exercise]:
    """Every exercise by name, in reading order: operations, losses, then those of other packages."""
    found, listed = ops.find(), list[Exercise]()
    for chapter, rows in CHAPTERS.items():
        for name in (name for row in rows for name in row):
            listed.append(OperationExercise(name, found[name], "backward", tuple(found[name].CASES), chapter))
    for module in (regression, classification, binary, likelihood, similarity):
        listed += of_losses("losses", module, LOSSES)
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        listed += point.load()()
    return {exercise.name: exercise for exercise in listed}


def find(given: str, known: dict[str, Exercise]) -> Exercise:
    """The exercise that is meant by any end of its name.

    Raises
    ------
    ValueError
        If there is none, with those closest to it, or more than one.
    """
    if given in known:
        return known[given]
    inside = [name for name in known if name.startswith(f"{given}.")]
    if inside and not any(name.endswith(f".{given}") for name in known):
        raise ValueError(f"expected one exercise, given {given!r}, a group: {', '.join(known[name].short for name in inside)}")
    return known[resolve(given, {name: name for name in known})[0]]
