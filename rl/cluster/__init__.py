"""Rollouts, seeds and evaluations on several machines, with Ray (`pip install ".[cluster]"`)."""
