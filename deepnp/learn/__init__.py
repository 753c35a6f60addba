"""Exercises: write the backward passes yourself.                   python -m deepnp.learn [NAME]

Every operation and every loss is an exercise. Its file has the forward pass and an empty backward
pass, and the check says what is wrong with what the reader wrote. Other packages add exercises
through the entry point `deepnp.exercises`; `rl` does.
"""

from deepnp.learn.catalogue import exercises, find
from deepnp.learn.examination import Report, examine
from deepnp.learn.exercise import Exercise, FunctionExercise, LossExercise, OperationExercise

__all__ = ["Exercise", "FunctionExercise", "LossExercise", "OperationExercise", "Report", "examine", "exercises", "find"]
