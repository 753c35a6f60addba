"""Plain references of deepnp.ops.activation."""

import math

import numpy as np

from tests.deepnp.references.loops import elementwise, rowwise


def softmax(row, temperature=1.0):
    exponentials = [math.exp(v / temperature) for v in row]
    return [e / sum(exponentials) for e in exponentials]


def sigmoid(v):
    return 1 / (1 + math.exp(-v))


def glu(row):
    middle = len(row) // 2
    return [a * sigmoid(b) for a, b in zip(row[:middle], row[middle:], strict=True)]


def halved_rows(f):
    """f maps a list of 2n to a list of n."""

    def forward(x):
        rows = x.reshape(-1, x.shape[-1])
        return np.array([f([float(v) for v in row]) for row in rows]).reshape(*x.shape[:-1], x.shape[-1] // 2)

    return forward


def prelu(x, weight):
    out = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        slope = float(weight[place[1] if len(weight) > 1 else 0])
        out[place] = float(x[place]) * (1.0 if x[place] > 0 else slope)
    return out


def soft_plus_plus(x, k, c):
    out = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        sharpness, tilt = (float(p[place[1] if len(p) > 1 else 0]) for p in (k, c))
        out[place] = math.log((1 + math.exp(sharpness * float(x[place]))) / 2) + float(x[place]) / tilt
    return out


def rrelu(x, slopes):
    pairs = zip(x.ravel(), slopes.ravel(), strict=True)
    return np.array([float(v) if v > 0 else float(a) * float(v) for v, a in pairs]).reshape(x.shape)


def elu(v, alpha=1.0, scale=1.0):
    return scale * (v if v > 0 else alpha * (math.exp(v) - 1))


def gelu_tanh(v):
    return 0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)))


REFERENCES = {
    "activation.relu": elementwise(lambda v: v if v > 0 else 0.0),
    "activation.leaky_relu": elementwise(lambda v, slope=0.01: v if v > 0 else slope * v),
    "activation.prelu": prelu,
    "activation.rrelu": rrelu,
    "activation.soft_plus_plus": soft_plus_plus,
    "activation.elu": elementwise(elu),
    "activation.selu": elementwise(lambda v: elu(v, 1.6732632423543772, 1.0507009873554805)),
    "activation.tanh": elementwise(math.tanh),
    "activation.hard_tanh": elementwise(lambda v, low=-1.0, high=1.0: low if v < low else high if v > high else v),
    "activation.sigmoid": elementwise(sigmoid),
    "activation.softplus": elementwise(lambda v, beta=1.0, scale=1.0: scale / beta * math.log(1 + math.exp(beta * v))),
    "activation.gelu": elementwise(lambda v: v * (1 + math.erf(v / math.sqrt(2))) / 2),
    "activation.gelu_tanh": elementwise(gelu_tanh),
    "activation.silu": elementwise(lambda v: v * sigmoid(v)),
    "activation.mish": elementwise(lambda v: v * math.tanh(math.log(1 + math.exp(v)))),
    "activation.sine": elementwise(lambda v, omega=1.0: math.sin(omega * v)),
    "activation.softmax": rowwise(softmax),
    "activation.log_softmax": rowwise(lambda row: [math.log(s) for s in softmax(row)]),
    "activation.glu": halved_rows(glu),
}
