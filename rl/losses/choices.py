"""The error of the value of what was chosen, among the values of all choices.

Losses return their value and their gradient; the mean over the batch is taken here. Shapes: B rows, C choices.
"""

import math

import numpy as np

from deepnp.cases import Integers, Kinked, Uniform
from rl.losses.td import td_loss


def choice_loss(
    values: np.ndarray, choices: np.ndarray, targets: np.ndarray, weights: np.ndarray, limit: float = math.inf
) -> tuple[float, np.ndarray, np.ndarray]:
    """The TD loss of Q(s, a) for the choices a that were made; the other values stay out of it.

        δ_b = Q_b(a_b) − y_b                         y is a plain number: nothing flows into it
        L = (1/B) Σ_b w_b δ_b²                       beyond κ linear: κ(2|δ| − κ), see `rl.losses.td.td_loss`
        dQ_b(a) = (2/B) w_b clip(δ_b, ±κ)            at a = a_b, 0 elsewhere

    Parameters
    ----------
    values : array (B, C)
        Q.
    choices : int array (B,)
        a.
    targets, weights : arrays (B,)
        y and w.
    limit : float
        κ > 0.

    Returns
    -------
    value : float
    dvalues : array (B, C)
    errors : array (B,)
        δ.

    Raises
    ------
    ValueError
        For other shapes, or no rows.
    """
    check_choices(values, choices)
    rows = np.arange(len(values))
    loss, dtaken, errors = td_loss(values[rows, choices], targets, weights, limit=limit)
    dvalues = np.zeros_like(values)
    dvalues[rows, choices] = dtaken
    return loss, dvalues, errors


def check_choices(outputs: np.ndarray, choices: np.ndarray) -> None:
    """Raise ValueError unless there is one choice for each row of outputs (B, C, …)."""
    if outputs.ndim < 2 or choices.shape != outputs.shape[:1]:
        raise ValueError(f"expected values (B, C) and choices (B,), given {outputs.shape} and {choices.shape}")


CASES = {
    choice_loss: [
        dict(values=(7, 3), choices=Integers((7,), 3), targets=(7,), weights=Uniform((7,), 0.1, 1.0)),
        dict(values=(1, 1), choices=Integers((1,), 1), targets=(1,), weights=Uniform((1,), 1.0, 1.0)),
        dict(
            values=Kinked((12, 2), (-0.5, 0.5)),
            choices=Integers((12,), 2),
            targets=Uniform((12,), 0.0, 0.0),
            weights=(12,),
            limit=0.5,
        ),
    ]
}
