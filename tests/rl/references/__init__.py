"""Whole updates of the learners, written a second time from the papers' pseudocode, in float64 NumPy.

Nothing here imports `deepnp` or `rl`, but for `adapter.py`, which is the only file to change when their interface does.
A reference writes losses only: their gradients come from the complex step (see `networks.gradient`), so no derivative is
written twice and none can be wrong in the same way twice.
"""
