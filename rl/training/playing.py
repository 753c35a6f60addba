"""Playing with any agent, whether it has memory or not, and for so long as episodes last."""

import warnings
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from rl.agent import Agent

LONGEST = 20_000  # steps of an episode, where the environment has no longer time limit


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


class Clock:
    """Counts the steps of episodes that are played side by side, and cuts those that would never end.

    CliffWalking has no time limit, and there a policy that draws nothing may walk in circles.

    Parameters
    ----------
    vector : VectorEnv
        Where they are played.
    """

    def __init__(self, vector: VectorEnv):
        self.steps, self.longest = 0, max(LONGEST, getattr(vector.spec, "max_episode_steps", None) or 0)

    def goes_on(self, running: np.ndarray) -> bool:
        """Whether there is another step to play: `running` (N,) says which copies' episodes have not ended."""
        going = int(np.count_nonzero(running))
        if going and self.steps == self.longest:
            text = f"cut {going} of {len(running)} episodes after {self.longest:,} steps: they do not end"
            warnings.warn(f"{text}; gymnasium.make(…, max_episode_steps=…) gives them a time limit", RuntimeWarning, stacklevel=2)
            return False
        self.steps += 1
        return going > 0
