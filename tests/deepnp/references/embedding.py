"""Plain references of deepnp.ops.embedding."""

REFERENCES = {}
