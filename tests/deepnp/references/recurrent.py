"""Plain references of deepnp.ops.recurrent."""

REFERENCES = {}
