"""Whole sequences of steps, as networks with memory take them.

Such a network reads the steps one after the other and carries a state along. It is given

    observations (T, S, …)      of S sequences side by side
    resets (T, S)               before which steps the state is forgotten: a new episode begins with them
    states                      what it remembered before the first step, by the network's name

and returns rows: one for each step that happened, step by step, so that distributions and losses are
what they are without memory.

A rollout is cut into pieces of L steps for learning. Each begins with the state that was found there
when the rollout was collected, with the parameters of that time. Burn-in makes it younger: b steps
before the piece are read again first, which nothing is learned from (Kapturowski et al. 2019).

Shapes: T steps, S sequences, N environments, C = ⌈T/L⌉ pieces of each, B rows, M ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from rl.experience import trees
from rl.experience.trees import Observations

State = tuple[np.ndarray, ...]  # (S, …) each; zeros: nothing is remembered
States = Mapping[str, State]


class Ends(NamedTuple):
    """Observations that sequences led to, and that nothing follows: the last ones of a rollout, and of truncated episodes.

    Attributes
    ----------
    observations : (M, …)
    steps, sequences : int arrays (M,)
        After which step of which sequence each was seen.
    """

    observations: Observations
    steps: np.ndarray
    sequences: np.ndarray


class Pieces(NamedTuple):
    """Where a rollout may be cut.

    Attributes
    ----------
    length : int
        L.
    burn_in : int
        b steps are read before a piece, where there are so many in the rollout.
    states : mapping of str to a tuple of arrays (C, N, …)
        Before the first step that is read for each piece.
    """

    length: int
    burn_in: int
    states: States


@dataclass(frozen=True)
class Sequences(trees.Whole):
    """S sequences of T steps.

    Attributes
    ----------
    observations : (T, S, …)
    resets : bool array (T, S)
    valid : bool array (T, S)
        Which steps give a row.
    states : mapping of str to a tuple of arrays (S, …)
        Before the first step, by the network's name; one that is not named remembers nothing.
    ends : Ends, optional
        They give the last M rows. Only `predict` knows them.
    burn_in : Sequences, optional
        Steps before those of some of the sequences: the states are those before them.
    led : bool array (S,), optional
        Which sequences they belong to.
    """

    observations: Observations
    resets: np.ndarray
    valid: np.ndarray
    states: States
    ends: Ends | None = None
    burn_in: "Sequences | None" = None
    led: np.ndarray | None = None

    def __len__(self) -> int:
        """Rows: of the steps that give one."""
        return int(np.count_nonzero(self.valid))

    @property
    def flat(self) -> Observations:
        """The observations of all steps as rows (T·S, …)."""
        return trees.flat(self.observations)

    def rows(self, column: np.ndarray) -> np.ndarray:
        """A column (T, S, …) as rows (B, …): of the steps that give one."""
        return column.reshape(-1, *column.shape[2:]) if self.valid.all() else column[self.valid]

    def column(self, rows: np.ndarray) -> np.ndarray:
        """Rows (B, …) as a column (T, S, …), with zeros where no row belongs: the transpose of `rows`."""
        if self.valid.all():
            return rows.reshape(*self.valid.shape, *rows.shape[1:])
        column = np.zeros((*self.valid.shape, *rows.shape[1:]), rows.dtype)
        column[self.valid] = rows
        return column


@dataclass(frozen=True)
class Following(trees.Whole):
    """What each step of sequences led to: the step after it, or one of `ends`.

    Attributes
    ----------
    sequences : Sequences
        With ends.
    rows : int array (B,)
        Of what `predict` gives for them, the rows that were led to.
    """

    sequences: Sequences
    rows: np.ndarray


@dataclass(frozen=True)
class RolloutSequences(Sequences):
    """All steps of a rollout, one sequence for each environment.

    Attributes
    ----------
    pieces : Pieces
        Where it may be cut.
    """

    pieces: Pieces = field(kw_only=True)

    def shuffle(self, batch_size: int, rng: np.random.Generator) -> "SequenceShuffle":
        """The pieces in a random order, in parts of about `batch_size` rows, of one piece at least."""
        length, steps = self.pieces.length, len(self.valid)
        happened = np.logical_or.reduceat(self.valid, np.arange(0, steps, length), axis=0)
        pieces = rng.permutation(np.flatnonzero(happened))
        parts = min(max(1, round(np.count_nonzero(self.valid) / batch_size)), len(pieces))
        return SequenceShuffle(self, pieces, np.arange(parts + 1) * len(pieces) // parts)

    def piece(self, numbers: np.ndarray) -> Sequences:
        """Some pieces side by side; number c·N + n is the c-th of environment n. Beyond the rollout's end no step gives a row."""
        (c, n), (length, burn_in, states) = np.divmod(numbers, self.valid.shape[1]), self.pieces
        own = {name: tuple(part[c, n] for part in state) for name, state in states.items()}
        piece, led = self._read(c * length, n, length, own), (c > 0) & (burn_in > 0)
        if not led.any():
            return piece
        before = {name: tuple(part[led] for part in state) for name, state in own.items()}
        return replace(piece, burn_in=self._read(c[led] * length - burn_in, n[led], burn_in, before), led=led)

    def rows_of(self, numbers: np.ndarray) -> np.ndarray:
        """Which of all rows belong to some pieces, in the order in which these give them."""
        c, n = np.divmod(numbers, self.valid.shape[1])
        row = np.cumsum(self.valid).reshape(self.valid.shape) - 1
        steps, inside = self._steps(c * self.pieces.length, self.pieces.length)
        return row[steps, n][self.valid[steps, n] & inside]

    def _read(self, first, n, length, states) -> Sequences:
        """`length` steps of environments n, each from its `first` on."""
        steps, inside = self._steps(first, length)
        observations = trees.each(lambda part: part[steps, n], self.observations)
        return Sequences(observations, self.resets[steps, n], self.valid[steps, n] & inside, states)

    def _steps(self, first, length):
        """Numbers of steps (L, S), and which of them are steps of the rollout."""
        steps = first + np.arange(length)[:, None]
        return np.minimum(steps, len(self.valid) - 1), steps < len(self.valid)


class SequenceShuffle(NamedTuple):
    """The pieces of a rollout in another order, in M parts; in the place of a `Shuffle` of rows.

    Attributes
    ----------
    whole : RolloutSequences
    pieces : int array
        Their numbers.
    bounds : int array (M + 1,)
        Where in the order each part begins, and the last one ends.
    """

    whole: RolloutSequences
    pieces: np.ndarray
    bounds: np.ndarray

    @property
    def parts(self) -> list[np.ndarray]:
        """The pieces of each part."""
        return [self.pieces[slice(*ends)] for ends in pairwise(self.bounds.tolist())]

    @property
    def rows(self) -> list[np.ndarray]:
        """The rows of each part."""
        return [self.whole.rows_of(part) for part in self.parts]

    @property
    def last(self) -> np.ndarray:
        """The rows of the last part."""
        return self.whole.rows_of(self.parts[-1])

    def last_of(self, column: Any) -> Any:
        """The last part's rows of a column; of the sequences, its own."""
        if column is not self.whole:
            return column.take(self.last, axis=0)
        return self.whole.piece(self.parts[-1])

    def minibatches(self, columns: tuple) -> list[tuple]:
        """The columns of each part: first its sequences, then its rows of the others."""
        return [
            (self.whole.piece(part), *(column.take(rows, axis=0) for column in columns[1:]))
            for part, rows in zip(self.parts, self.rows, strict=True)
        ]
