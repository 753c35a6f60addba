"""The guides, and `docs.site`, which makes a web site of them and of the source."""
