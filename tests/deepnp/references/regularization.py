"""Plain references of deepnp.ops.regularization."""

REFERENCES = {}
