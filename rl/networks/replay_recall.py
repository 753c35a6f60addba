"""What an off-policy agent remembers of the episodes under way.

Only the policy's state is carried along, as it is needed to act. It goes on through random actions, too: what they led to
is read. All states that are learned from are made anew from the replay memory (rl/experience/stretches.py).

Shapes: N environments, B rows, A action dimensions.
"""

from typing import Any

import numpy as np

from rl.experience.sequences import State
from rl.experience.trees import Observations
from rl.networks.memory import Remembered, forgotten
from rl.networks.recall import POLICY, Act, EpisodeStates
from rl.networks.recalling import RecallingActor
from rl.state import Part


class ReplayRecall(EpisodeStates):
    """The policy's state in every environment; see `EpisodeStates`.

    Parameters
    ----------
    policy : RecallingActor
    """

    def __init__(self, policy: RecallingActor):
        super().__init__({POLICY: policy})

    def read(self, observations: Observations) -> Remembered:
        """What the policy reads for the next observations (N, …)."""
        state = forgotten(self.states[POLICY], self.starts)
        remembered, after = self.networks[POLICY].read(observations, state)
        self.states[POLICY] = (*after, state[-1])
        return remembered

    def took(self, actions: np.ndarray, starts: np.ndarray) -> None:
        """These actions (N, A) were taken, the policy's or not; new episodes begin where `starts` (N,) says so."""
        self.states[POLICY] = _with_action(self.states[POLICY][:-1], actions)
        self.starts = starts

    def acted(
        self, act: Act, observations: Observations, state: State, rng: np.random.Generator | None
    ) -> tuple[np.ndarray, State]:
        """The actions that `act` takes for observations (B, …) after a state, and the state after them."""
        remembered, after = self.networks[POLICY].read(observations, state)
        actions = act(remembered, rng)
        return actions, _with_action(after, actions)


def recall_of(c: Any, policy: Any) -> ReplayRecall | None:
    """What carries the policy's state along, where the settings ask for memory."""
    return ReplayRecall(policy) if c.recall else None


def carried(recall: ReplayRecall | None) -> dict[str, Part]:
    """It as a part of the agent, where there is one."""
    return {} if recall is None else {"recall": recall}


def _with_action(state: State, actions: np.ndarray) -> State:
    return (*state, np.array(actions, np.float32))
