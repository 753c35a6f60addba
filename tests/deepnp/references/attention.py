"""Plain references of deepnp.ops.attention."""

REFERENCES = {}
