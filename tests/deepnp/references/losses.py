"""What each loss should be worth, over Python floats, one element or row at a time."""

import math

import numpy as np


def elementwise(function):
    """Mean of function(y, t, …) over the kept elements, each times its weight."""

    def reference(y, target, weight=None, mask=None, **options):
        values = []
        for i in np.ndindex(y.shape):
            if mask is None or mask[i[: mask.ndim]]:
                share = 1.0 if weight is None else float(weight[i])
                own = {k: v if np.ndim(v) == 0 else float(v[i[-1]]) for k, v in options.items()}
                values.append(share * function(float(y[i]), float(target[i]), **own))
        return sum(values) / len(values)

    return reference


def rows_of(shape, mask):
    return [i for i in np.ndindex(shape) if mask is None or mask[i[: mask.ndim]]]


def huber(y, t, delta=1.0):
    e = abs(y - t)
    return e * e / 2 if e <= delta else delta * (e - delta / 2)


def bce_with_logits(z, t, pos_weight=1.0):
    p = 1 / (1 + math.exp(-z))
    return -(pos_weight * t * math.log(p) + (1 - t) * math.log(1 - p))


def bce(p, t, eps=1e-12):
    return -(t * math.log(p + eps) + (1 - t) * math.log(1 - p + eps))


def poisson(y, t, log_input=True, eps=1e-8):
    return math.exp(y) - t * y if log_input else y - t * math.log(y + eps)


def gaussian_nll(mean, variance, target, eps=1e-6, mask=None):
    values = []
    for i in rows_of(mean.shape, mask):
        v = max(float(variance[i]), eps)
        density = math.exp(-((float(target[i]) - float(mean[i])) ** 2) / (2 * v)) / math.sqrt(2 * math.pi * v)
        values.append(-math.log(density) - math.log(2 * math.pi) / 2)
    return sum(values) / len(values)


def cross_entropy(y, target, weight=None, label_smoothing=0.0, mask=None, ignore_index=None, logarithm=None):
    """PyTorch's definition, label by label: a weighted mean for labels, a plain one for distributions."""
    total, norm, classes = 0.0, 0.0, y.shape[-1]
    w = [1.0] * classes if weight is None else weight.tolist()
    for i in rows_of(y.shape[:-1], mask):
        if ignore_index is not None and target[i] == ignore_index:
            continue
        row = y[i].tolist()
        logs = logarithm(row)
        if target.dtype.kind == "f":
            smooth = [(1 - label_smoothing) * t + label_smoothing / classes for t in target[i].tolist()]
            total -= sum(w[c] * smooth[c] * logs[c] for c in range(classes))
            norm += 1
        else:
            label = int(target[i])
            total -= (1 - label_smoothing) * w[label] * logs[label]
            total -= label_smoothing / classes * sum(w[c] * logs[c] for c in range(classes))
            norm += w[label]
    return total / norm


def of_logits(logits, target, **options):
    def log_softmax(row):
        return [v - math.log(sum(math.exp(u) for u in row)) for v in row]

    return cross_entropy(logits, target, **options, logarithm=log_softmax)


def of_probabilities(p, target, eps=1e-12, **options):
    return cross_entropy(p, target, **options, logarithm=lambda row: [math.log(v + eps) for v in row])


def kl_divergence(log_q, target, mask=None):
    rows = rows_of(log_q.shape[:-1], mask)
    return sum(
        t * math.log(t / math.exp(q)) for i in rows for q, t in zip(log_q[i].tolist(), target[i].tolist(), strict=True) if t > 0
    ) / len(rows)


def cosine(a, b, target=None, margin=0.0, mask=None):
    values = []
    for i in rows_of(a.shape[:-1], mask):
        angle = math.acos(float(a[i] @ b[i]) / math.sqrt(float(a[i] @ a[i]) * float(b[i] @ b[i])))
        same = target is None or target[i] == 1
        values.append(1 - math.cos(angle) if same else max(0.0, math.cos(angle) - margin))
    return sum(values) / len(values)


def renamed(reference, name):
    """The reference under the loss's own name for its first argument."""
    return lambda **arguments: reference(arguments.pop(name), **arguments)


LOSSES = {
    "mse": elementwise(lambda y, t: (y - t) ** 2),
    "rmse": lambda **arguments: math.sqrt(LOSSES["mse"](**arguments)),
    "l1": elementwise(lambda y, t: abs(y - t)),
    "huber": elementwise(huber),
    "cross_entropy": of_logits,
    "cross_entropy_probabilities": of_probabilities,
    "bce_with_logits": renamed(elementwise(bce_with_logits), "logits"),
    "bce": renamed(elementwise(bce), "p"),
    "hinge": elementwise(lambda y, t: max(0.0, 1 - t * y)),
    "hinge_embedding": elementwise(lambda y, t, margin=1.0: y if t == 1 else max(0.0, margin - y)),
    "kl_divergence": kl_divergence,
    "gaussian_nll": gaussian_nll,
    "poisson_nll": elementwise(poisson),
    "cosine": cosine,
}
