"""What an agent is asked: its actions, with memory or without."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, overload

import numpy as np

from rl.config import whole_number
from rl.experience import goals, trees
from rl.experience.actions import each
from rl.experience.normalizers import Normalizer
from rl.experience.sequences import State
from rl.experience.spaces import SpaceInfo
from rl.experience.trees import Observations
from rl.names import explained
from rl.networks.recall import check_no_state


class Predictor(ABC):
    """Base of `Agent`: what it knows of observations and actions.

    Attributes
    ----------
    space : SpaceInfo
    normalizer : Normalizer or None
        Frozen while predicting.
    recall : Recall, ReplayRecall or None
        What its networks remember of the episodes under way, where they have memory.
    device : {"cpu", "cuda"}
        Where its networks are.
    """

    space: SpaceInfo
    normalizer: Normalizer | None
    recall: Any = None
    device: str = "cpu"

    @abstractmethod
    def act(self, observations: Observations, rng: np.random.Generator | None) -> np.ndarray:
        """The policy's actions for normalised observations (B, …): drawn with `rng`, or the most probable ones without.

        NumPy's arrays, wherever the networks are.
        """

    def act_after(self, observations: Any, state: Any, episode_start: Any, rng: np.random.Generator | None) -> tuple[Any, Any]:
        """The actions of `act` for normalised observations (B, …) after a state that somebody hands in, and the state after them.

        Raises
        ------
        ValueError
            As `predict` says of states.
        """
        if self.recall is None:
            check_no_state(type(self).__name__, state, episode_start)
            return self.act(observations, rng), None
        return self.recall.acted(self.act, observations, self.recall.checked(state, episode_start, trees.length(observations)), rng)

    def observe(self, observations: Any) -> Any:
        """Observations (B, …), as the space lays them out, as the networks see them: float32, normalised, where they are."""
        if isinstance(observations, trees.Whole):
            return observations  # as the networks see them already
        vector = trees.vector(observations)
        normalized = self.normalizer(vector) if self.normalizer else np.asarray(vector, np.float32)
        return trees.on(trees.with_vector(observations, normalized), self.device)

    def initial_state(self, copies: int = 1) -> State | None:
        """What is remembered at the beginning of episodes in so many environments; None for agents that remember nothing."""
        return self.recall.zeros(whole_number("copies", copies, 1)) if self.recall else None

    def batched(self, observation: Any) -> tuple[Any, bool]:
        """One observation, as the environment gives it, as a batch of one; a batch as it is. And whether it was one.

        Raises
        ------
        ValueError
            If a shape is wrong or a value is not finite.
        """
        if self.space.goal and isinstance(observation, Mapping):
            observation = goals.flat(observation)
        return self.space.observation.batched(observation)

    @overload
    def predict(self, observation: Any, deterministic: bool = ..., rng: np.random.Generator | None = ...) -> np.ndarray: ...

    @overload
    def predict(
        self,
        observation: Any,
        deterministic: bool = ...,
        rng: np.random.Generator | None = ...,
        *,
        state: State,
        episode_start: Any = ...,
    ) -> tuple[np.ndarray, State]: ...

    @explained
    def predict(
        self,
        observation: Any,
        deterministic: bool = True,
        rng: np.random.Generator | None = None,
        *,
        state: State | None = None,
        episode_start: Any = None,
    ) -> Any:
        """The action for one observation, or the actions for a batch of them, as the environment takes them.

        Parameters
        ----------
        observation : array, the space's shape or (B, that shape)
            Or a Dict or Tuple of such arrays, also that of a goal environment.
        deterministic : bool
            The most probable action; otherwise a draw.
        rng : numpy.random.Generator, optional
            What to draw with; fresh entropy by default. Never the training's own generator.
        state : tuple of arrays (B, …)
            What networks with memory remember, or a planner's last plan: at first `initial_state(B)`,
            then what the last call returned. `Player` (rl/training/playing.py) carries it along.
        episode_start : bool or bool array (B,), optional
            Where a new episode begins with this observation: there the state is forgotten.

        Returns
        -------
        array, or a Dict or Tuple of them, and with a state a tuple of it and of the state after the observation

        Raises
        ------
        ValueError
            If the shape is wrong or a value is not finite, or a state does not fit; for networks with
            memory if no state is given, and for agents that remember nothing if one is.
        """
        if not isinstance(deterministic, bool | np.bool_):
            raise TypeError(f"expected deterministic as a bool, given {deterministic!r}")
        if not (rng is None or isinstance(rng, np.random.Generator)):
            raise TypeError(f"expected rng as a numpy.random.Generator or None, given {rng!r}")
        batch, single = self.batched(observation)
        observations = self.space.observation.split(batch, self.space.vector_dtype(self.normalizer is not None))
        seen, rng = self.observe(observations), None if deterministic else rng or np.random.default_rng()
        drawn, state = self.act_after(seen, state, episode_start, rng)
        actions = self.space.action.to_environment(drawn)
        actions = each(lambda rows: rows[0], actions) if single else actions
        return actions if state is None else (actions, state)
