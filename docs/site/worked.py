"""Worked examples: small numbers through forward and backward, beside the central difference."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from deepnp.cases import Kinked, Uniform, differentiable, dot, draw, is_shape, tupled, upstream
from deepnp.gradcheck import numerical_gradient, relative_error
from deepnp.ops.convolution import Window
from docs.site.subjects import Subject, names_of_gradients
from docs.site.what_if import filled

SEED = 3
_RECURRENT = dict(x=(2, 1, 2), h=(1, 2))
SMALL: dict[str, dict] = {
    "attention.block_scaled_dot_product": dict(q=(2, 2), k=(3, 2), v=(3, 2), block=2),
    "attention.scaled_dot_product": dict(q=(2, 2), k=(3, 2), v=(3, 2)),
    "convolution.adaptive_avg_pool": dict(x=(1, 1, 5), size=[3]),
    "convolution.adaptive_max_pool": dict(x=(1, 1, 5), size=[3]),
    "convolution.avg_pool": dict(x=(1, 1, 6), window=Window((3,), stride=2)),
    "convolution.border_pad": dict(x=(1, 1, 4), padding=[(2, 1)]),
    "convolution.conv": dict(x=(1, 1, 3, 3), weight=(1, 1, 2, 2), bias=(1,), window=Window((2, 2))),
    "convolution.conv_transpose": dict(x=(1, 1, 2, 2), weight=(1, 1, 2, 2), bias=(1,), window=Window((2, 2))),
    "convolution.fft_conv": dict(x=(1, 1, 3, 3), weight=(1, 1, 2, 2), bias=(1,), window=Window((2, 2))),
    "convolution.max_pool": dict(x=(1, 1, 6), window=Window((3,), stride=2)),
    "convolution.zero_pad": dict(x=(1, 1, 3), padding=[(1, 2)]),
    "dense": dict(x=(2, 3), weight=(2, 3), bias=(2,)),
    "embedding.embedding": dict(indices=np.array([2, 0, 2]), weight=(3, 2)),
    "linear": dict(x=(2, 3), weight=(2, 3), bias=(2,)),
    "normalization.batch_norm": dict(x=(4, 2), gamma=(2,), beta=(2,)),
    "normalization.batch_renorm": dict(x=(4, 2), gamma=(2,), beta=(2,), r=(2,), d=(2,)),
    "normalization.group_norm": dict(x=(2, 6), gamma=(6,), beta=(6,), groups=2),
    "normalization.layer_norm": dict(x=(2, 4), gamma=(4,), beta=(4,)),
    "normalization.rms_norm": dict(x=(2, 4), gamma=(4,)),
    "recurrent.gru": dict(**_RECURRENT, weight_ih=(6, 2), weight_hh=(6, 2), bias_ih=(6,), bias_hh=(6,)),
    "recurrent.lstm": dict(**_RECURRENT, c=(1, 2), weight_ih=(8, 2), weight_hh=(8, 2), bias_ih=(8,), bias_hh=(8,)),
    "recurrent.rnn": dict(**_RECURRENT, weight_ih=(2, 2), weight_hh=(2, 2), bias_ih=(2,), bias_hh=(2,)),
    "embedding.rotary": dict(x=(2, 4)),
    "embedding.sinusoidal": dict(x=(2, 4)),
    "activation.glu": dict(x=(2, 4)),
    "activation.prelu": dict(x=(6,), weight=(1,)),
    "activation.softmax": dict(x=(2, 3)),
    "activation.log_softmax": dict(x=(2, 3)),
    "bce_with_logits": dict(logits=(2, 2), target=np.array([[0.0, 1.0], [0.25, 1.0]])),
    "bce": dict(p=Uniform((2, 2), 0.05, 0.95), target=np.array([[0.0, 1.0], [0.25, 1.0]])),
    "hinge": dict(y=(2, 2), target=np.array([[1.0, -1.0], [-1.0, 1.0]])),
    "hinge_embedding": dict(y=Uniform((2, 2), 0.0, 2.0), target=np.array([[1.0, -1.0], [-1.0, 1.0]])),
    "cross_entropy": dict(logits=(2, 3), target=np.array([2, 0])),
    "cross_entropy_probabilities": dict(p=Uniform((2, 3), 0.05, 0.95), target=np.array([2, 0])),
    "kl_divergence": dict(log_q=Uniform((2, 3), -3.0, -0.1), target=np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])),
    "gaussian_nll": dict(mean=(4,), variance=Uniform((4,), 0.3, 2.0), target=(4,)),
    "mse": dict(y=(2, 2), target=(2, 2)),
    "rmse": dict(y=(2, 2), target=(2, 2)),
    "l1": dict(y=(2, 2), target=np.full((2, 2), 0.25)),
    "huber": dict(y=(2, 2), target=np.full((2, 2), 0.25)),
    "cosine": dict(a=(2, 3), b=(2, 3)),
    "clipped_surrogate": dict(
        log_prob=Uniform((4,), -0.5, 0.5), old_log_prob=np.zeros(4), advantages=np.array([1.0, -1.0, 0.5, 2.0])
    ),
    "td_loss": dict(values=(4,), targets=(4,), weights=Uniform((4,), 0.1, 1.0)),
    "choice_loss": dict(values=(2, 3), choices=np.array([2, 0]), targets=np.zeros(2), weights=np.array([1.0, 0.5])),
    "categorical_loss": dict(
        logits=(2, 2, 3), choices=np.array([1, 0]), targets=np.array([[0.1, 0.6, 0.3], [0.0, 0.5, 0.5]]), weights=np.ones(2)
    ),
    "soft_policy_loss": dict(logits=(2, 3), values=(2, 3)),
}


@dataclass(frozen=True)
class Argument:
    """One differentiable argument: its value, backward's gradient, and the numerical one."""

    name: str
    value: np.ndarray
    gradient: np.ndarray
    numerical: np.ndarray

    @property
    def error(self) -> float:
        return relative_error(self.gradient, self.numerical)


@dataclass(frozen=True)
class Worked:
    """A worked example of one operation or loss."""

    settings: dict  # what is not differentiated
    y: tuple[np.ndarray, ...]
    dy: tuple[np.ndarray, ...]
    arguments: list[Argument]


def small_case(name: str, subject: Subject) -> dict:
    """A case of few numbers: SMALL's; six numbers for an activation of single numbers; or else the smallest of four or more."""
    first = subject.cases[0]
    if name in SMALL:
        return {**{key: value for key, value in first.items() if not _is_drawn(value)}, **SMALL[name]}
    if name.startswith("activation.") and set(first) == {"x"}:
        return dict(x=(6,))
    return min((case for case in subject.cases if filled(case) and _numbers(case) >= 4), key=_numbers)


def _is_drawn(value) -> bool:
    return is_shape(value) or isinstance(value, Uniform | Kinked)


def _numbers(case: dict) -> int:
    return sum(int(np.prod(getattr(case[name], "shape", case[name]))) for name in differentiable(case))


def work(name: str, subject: Subject) -> Worked:
    """Draw a small case, rounded to two digits, and run it."""
    case, rng = small_case(name, subject), np.random.default_rng(SEED)
    given = {key: _rounded(value, key in differentiable(case)) for key, value in draw(case, rng).items()}
    y = subject.value(**given)
    dy: Any = np.ones(())
    if subject.sliced is None:
        drawn = upstream(y, rng)
        dy = tuple(part.round(2) for part in drawn) if isinstance(drawn, tuple) else drawn.round(2)
    names = names_of_gradients(subject, case, given)
    gradients = subject.gradients(subject.compiled(subject.functions), dy, given)
    arguments = []
    for key, gradient in zip(names, gradients, strict=True):

        def projected(x, key=key):
            return dot(dy, subject.value(**{**given, key: x}))

        arguments.append(Argument(key, given[key], gradient, numerical_gradient(projected, given[key])))
    settings = {key: value for key, value in given.items() if key not in names}
    return Worked(settings, tupled(y), tupled(dy), arguments)


def _rounded(value, drawn: bool):
    return value.round(2) if drawn else value


def kept(subject: Subject, name: str) -> int:
    """Numbers that the cache of the worked example holds and the arguments do not."""
    given = draw(small_case(name, subject), np.random.default_rng(SEED))
    return _kept(subject.module.forward(**given)[1], [part for part in given.values() if isinstance(part, np.ndarray)])


def _kept(cache, arguments: list[np.ndarray]) -> int:
    """Numbers in the cache that are no view of an argument; a view of another part of the cache counts once."""
    counted: list[np.ndarray] = []
    for part in _arrays(cache):
        if not any(np.shares_memory(part, other) for other in [*arguments, *counted]):
            counted.append(part)
    return sum(part.size for part in counted)


def _arrays(part) -> list[np.ndarray]:
    if isinstance(part, np.ndarray):
        return [part] if part.dtype != object else []
    if isinstance(part, tuple | list):
        return [array for inner in part for array in _arrays(inner)]
    return []
