"""Plain references of deepnp.ops.activation."""

import math

from tests.deepnp.references.loops import elementwise, rowwise


def softmax(row, temperature=1.0):
    exponentials = [math.exp(v / temperature) for v in row]
    return [e / sum(exponentials) for e in exponentials]


REFERENCES = {
    "activation.relu": elementwise(lambda v: v if v > 0 else 0.0),
    "activation.tanh": elementwise(math.tanh),
    "activation.sigmoid": elementwise(lambda v: 1 / (1 + math.exp(-v))),
    "activation.softplus": elementwise(lambda v, beta=1.0, scale=1.0: scale / beta * math.log(1 + math.exp(beta * v))),
    "activation.softmax": rowwise(softmax),
}
