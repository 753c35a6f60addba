"""Mutants that once survived all tests, and must die."""

from benchmarks.mutants.sources import Named

NAMED: tuple[Named, ...] = ()
