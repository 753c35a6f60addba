"""Plain references of deepnp.ops.convolution."""

REFERENCES = {}
