"""How good predictions are, as one number: for people, not for gradients.

Arguments come in the order of the losses: what was predicted, then what is true. Classes are integers from 0.
"""

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_array
from deepnp.losses.checks import check_labels


def accuracy(predicted, target) -> float:
    """Share of the labels that were predicted.

    Parameters
    ----------
    predicted, target : integer arrays of one shape
        From scores, `scores.argmax(axis=-1)`.
    """
    _check_classes(predicted, target)
    return float((predicted == target).mean())


def top_k_accuracy(scores, target, k: int = 5) -> float:
    """Share of the labels that are among the k classes of the highest scores.

    Of equal scores the lower class comes first, as in argmax, so that k = 1 is `accuracy`. NaN is no high score.

    Parameters
    ----------
    scores : array (B…, C)
    target : integer array (B…)
        In [0, C).
    k : int
        In [1, C].
    """
    check_array(scores, "scores")
    check_array(target, "labels", "numpy.asarray(…)")
    classes = scores.shape[-1]
    if scores.shape[:-1] != target.shape:
        raise ValueError(f"expected labels of shape {scores.shape[:-1]}, given {target.shape}")
    if not 1 <= k <= classes:
        raise ValueError(f"expected k in [1, {classes}], given {k}")
    _check_shapes(target, target)
    _check_integers(target)
    check_labels(target, classes)
    xp = array_module(scores)
    own = xp.take_along_axis(scores, target[..., None], axis=-1)
    later = xp.arange(classes) > target[..., None]
    beaten = (scores < own) | ((scores == own) & later)
    return float((beaten.sum(axis=-1) >= classes - k).mean())


def confusion_matrix(predicted, target, classes: int | None = None) -> np.ndarray:
    """Counts of (true class, predicted class), an integer array (C, C): rows are what is true.

    Parameters
    ----------
    predicted, target : integer arrays of one shape
    classes : int, optional
        C; by default the largest class that occurs, plus 1.
    """
    _check_classes(predicted, target)
    if classes is None:
        classes = int(max(predicted.max(), target.max())) + 1
    for labels in (predicted, target):
        check_labels(labels, classes)
    pairs = target.astype("int64") * classes + predicted.astype("int64")
    return array_module(target).bincount(pairs.reshape(-1), minlength=classes * classes).reshape(classes, classes)


def precision(predicted, target, average: str = "macro") -> float:
    """Of what was predicted to be of a class, the share that is: TP/(TP + FP).

    Parameters
    ----------
    predicted, target : integer arrays of one shape
    average : str
        "macro", the mean over the classes that occur in either; "weighted", that mean by how often each is true;
        "micro", all decisions together. A class that was never predicted counts as 0.
    """
    hits, predicted_count, true_count = _counts(predicted, target)
    return _average(hits, predicted_count, true_count, average)


def recall(predicted, target, average: str = "macro") -> float:
    """Of what is of a class, the share that was found: TP/(TP + FN). Parameters as for `precision`."""
    hits, _, true_count = _counts(predicted, target)
    return _average(hits, true_count, true_count, average)


def f1(predicted, target, average: str = "macro") -> float:
    """Harmonic mean of precision and recall, class by class: 2TP/(2TP + FP + FN). Parameters as for `precision`."""
    hits, predicted_count, true_count = _counts(predicted, target)
    return _average(2 * hits, predicted_count + true_count, true_count, average)


def mse(y, target) -> float:
    """Mean squared error of arrays of one shape."""
    y, target = _numbers(y, target)
    return float(((y - target) ** 2).mean())


def mae(y, target) -> float:
    """Mean absolute error of arrays of one shape."""
    y, target = _numbers(y, target)
    return float(abs(y - target).mean())


def r2(y, target) -> float:
    """Coefficient of determination, the share of the targets' variance that y explains: 1 − Σ(t − y)²/Σ(t − t̄)².

    Arrays (B,) or (B, K), at least two rows; with K columns, the mean of their R². A target that never varies has nothing
    to explain: R² is 1 where y hits it exactly, 0 where it does not.
    """
    y, target = _numbers(y, target)
    if len(y) < 2:
        raise ValueError(f"expected at least two rows, given shape {y.shape}")
    xp = array_module(y)
    rest, total = ((target - y) ** 2).sum(axis=0), ((target - target.mean(axis=0)) ** 2).sum(axis=0)
    varies = total > 0
    explained = xp.where(varies, 1 - rest / xp.where(varies, total, 1), rest == 0)
    return float(explained.mean())


def _counts(predicted, target):
    """True positives, predictions and truths of each class that occurs."""
    _check_classes(predicted, target)
    classes = int(max(predicted.max(), target.max())) + 1
    for labels in (predicted, target):
        check_labels(labels, classes)
    bincount = array_module(target).bincount
    labelled = (target[predicted == target], predicted.reshape(-1), target.reshape(-1))
    hits, predicted_count, true_count = (bincount(x.astype("int64"), minlength=classes) for x in labelled)
    occurs = predicted_count + true_count > 0
    return hits[occurs], predicted_count[occurs], true_count[occurs]


def _average(parts, wholes, true_count, average: str) -> float:
    """parts/wholes, 0 where there is no whole, averaged over the classes."""
    if average == "micro":
        return float(parts.sum() / wholes.sum())
    shares = parts / array_module(parts).maximum(wholes, 1)
    if average == "macro":
        return float(shares.mean())
    if average == "weighted":
        return float((shares * true_count).sum() / true_count.sum())
    raise ValueError(f'expected average "macro", "micro" or "weighted", given {average!r}')


def _numbers(y, target):
    """Both in float64: bytes would wrap around when they are subtracted."""
    _check_shapes(y, target)
    return y.astype("float64"), target.astype("float64")


def _check_shapes(y, target) -> None:
    check_array(y, "predictions", "numpy.asarray(…)")
    check_array(target, "targets", "numpy.asarray(…)")
    if y.shape != target.shape:
        raise ValueError(f"expected predictions and targets of one shape, given {y.shape} and {target.shape}")
    if y.size == 0:
        raise ValueError(f"expected at least one element, given shape {y.shape}")


def _check_classes(predicted, target) -> None:
    _check_shapes(predicted, target)
    _check_integers(predicted)
    _check_integers(target)


def _check_integers(labels) -> None:
    if labels.dtype.kind not in "biu":
        raise TypeError(f"expected integer classes, given {labels.dtype}: from scores, take the argmax")
