"""Damaged files, loaded: see `__main__`."""
