"""Playing with any agent, whether it has memory or not."""

from typing import Any

import numpy as np

from rl.agent import Agent


class Player:
    """Plays one episode in each of some environments: it carries along what the agent remembers.

    Parameters
    ----------
    agent : Agent
    copies : int
        Environments.
    deterministic : bool
        The most probable actions instead of draws.
    rng : numpy.random.Generator, optional
        What to draw with.
    """

    def __init__(self, agent: Agent, copies: int = 1, deterministic: bool = True, rng: np.random.Generator | None = None):
        self.agent, self.deterministic, self.rng = agent, deterministic, rng
        self._state = agent.initial_state(copies)

    def act(self, observations: Any) -> np.ndarray:
        """The actions for the next observations: as `Agent.predict` takes and gives them."""
        if self._state is None:
            return self.agent.predict(observations, self.deterministic, self.rng)
        actions, self._state = self.agent.predict(observations, self.deterministic, self.rng, state=self._state)
        return actions
