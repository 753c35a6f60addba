"""What each operation should compute, written as slowly and as plainly as possible: the independent reference.

One file per folder of deepnp.ops, one function per operation, over Python floats, element by element. A new operation needs one.
"""

from tests.deepnp.references import activation, attention, convolution, embedding, normalization, recurrent, regularization, top

FILES = (top, activation, normalization, regularization, convolution, recurrent, embedding, attention)
REFERENCES = {name: reference for file in FILES for name, reference in file.REFERENCES.items()}
