"""A model of the dynamics as an agent keeps it: the ensemble, its optimizer, and when it was last fitted.

Shapes: B rows, O observation, A action dimensions.
"""

from collections.abc import Callable, Sequence

import numpy as np

from deepnp.checks import check_shape
from deepnp.models.mlp import ACTIVATIONS
from deepnp.optim import Adam
from rl.experience.replay import Batch, ReplayMemory
from rl.experience.spaces import SpaceInfo
from rl.networks.dynamics import Dynamics
from rl.networks.dynamics_fit import Schedule, fit, transitions_of
from rl.state import Counter, restore, state_of

Rule = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
NEVER = 0  # at which step a model was fitted that was not


class LearnedModel:
    """A part of an agent: a `Dynamics` that is fitted again and again to what a replay memory holds.

    Parameters
    ----------
    space : SpaceInfo
        With vectors as observations, and a Box of bounded actions or a Discrete.
    hidden : sequence of int
    activation : str
        One of `deepnp.models.mlp.ACTIVATIONS`.
    members, elites : int
        Networks of the ensemble, and how many of them count.
    gaussian : bool
        Whether they predict a variance.
    lr : float
        Adam's.
    plan : Schedule
        How each fit goes.
    ends : bool, or callable
        Whether steps end where the network says so; False: what is imagined never ends. A function of
        (s (B, O), a, s′ (B, O)) -> booleans (B,): they end by this rule. Observations and actions are as
        the environment gives and takes them, observations laid out as vectors.
    rng : numpy.random.Generator
        Source of the initial weights.

    Attributes
    ----------
    rewards : callable or None
        A function of the same that gives the rewards (B,), where they are known; None: they are learned.

    Examples
    --------
    Where an environment's rule is known, it can take the place of what was learned. No file holds a
    function, so it is given again after `load`:

    >>> agent = MBPO("InvertedPendulum-v5", seed=0)
    >>> agent.model.ends = lambda s, a, s_next: np.abs(s_next[:, 1]) > 0.2
    >>> agent.model.rewards = lambda s, a, s_next: np.abs(s_next[:, 1]) <= 0.2
    """

    def __init__(
        self,
        space: SpaceInfo,
        hidden: Sequence[int],
        activation: str,
        members: int,
        elites: int,
        gaussian: bool,
        lr: float,
        plan: Schedule,
        ends: bool | Rule,
        rng: np.random.Generator,
    ):
        made = space.observations, space.action, members, hidden, ACTIVATIONS[activation], gaussian, rng
        self.network = Dynamics(*made, elites=elites)
        self.optimizer, self.plan, self._action = Adam(self.network.flat, lr), plan, space.action
        self.ends, self.rewards, self.fitted = ends, None, Counter()

    @property
    def ends(self) -> bool | Rule:
        return self._ends

    @ends.setter
    def ends(self, ends: bool | Rule) -> None:
        if not (isinstance(ends, bool) or callable(ends)):
            raise TypeError(f"expected ends as a bool, or as a function of (s, a, s′), given {ends!r:.80}")
        self._ends = ends

    @property
    def rewards(self) -> Rule | None:
        return self._rewards

    @rewards.setter
    def rewards(self, rewards: Rule | None) -> None:
        if not (rewards is None or callable(rewards)):
            raise TypeError(f"expected rewards as None, or as a function of (s, a, s′), given {rewards!r:.80}")
        self._rewards = rewards

    def is_due(self, steps: int, interval: int) -> bool:
        """Whether it was never fitted, or `interval` environment steps ago."""
        return self.fitted.count == NEVER or steps - self.fitted.count >= interval

    def fit(self, memory: ReplayMemory, steps: int, rng: np.random.Generator) -> dict[str, float]:
        """Fit it to all that the memory holds after so many steps; returns metrics, see `dynamics_fit.fit`."""
        metrics = fit(self.network, self.optimizer, transitions_of(memory), self.plan, rng)
        self.fitted.count = steps
        return metrics

    def fit_if_due(self, memory: ReplayMemory, steps: int, interval: int, rng: np.random.Generator) -> dict[str, float]:
        """As `fit` where `is_due`; nothing, and {}, where it is not."""
        return self.fit(memory, steps, rng) if self.is_due(steps, interval) else {}

    def step(
        self, observations: np.ndarray, actions: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One imagined step of each row, by an elite drawn for it; see `Dynamics.step`."""
        members = self.network.elites[rng.integers(len(self.network.elites), size=len(observations))]
        return self.step_of(observations, actions, members, rng)

    def step_of(
        self, observations: np.ndarray, actions: np.ndarray, members: np.ndarray, rng: np.random.Generator | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One imagined step of each row, by the member (B,) that it names; see `Dynamics.step`."""
        following, rewards, ended = self.network.step(observations, actions, members, rng)
        taken = actions if self.rewards is None and not callable(self.ends) else self._action.to_environment(actions)
        if self.rewards is not None:
            known = self.rewards(observations, taken, following)
            rewards = _checked("rewards", known, rewards, "finite numbers", np.isfinite)
        if callable(self.ends):
            known = self.ends(observations, taken, following)
            ended = _checked("ends", known, ended, "booleans", lambda x: (x == 0) | (x == 1))
        return following, rewards, ended if self.ends else np.zeros_like(ended)

    def mean_step(self, observations: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One imagined step of each row: the mean of what the elites expect, and the end that most of them expect."""
        members = (np.full(len(observations), e) for e in self.network.elites)
        steps = [self.step_of(observations, actions, own, None) for own in members]
        following, rewards, ended = (np.stack(parts) for parts in zip(*steps, strict=True))
        return following.mean(axis=0), rewards.mean(axis=0), ended.mean(axis=0) > 0.5

    def imagined(self, batch: Batch, gamma: float, rng: np.random.Generator) -> Batch:
        """The same observations and actions, with the outcomes that the model draws; weights are ones."""
        following, rewards, ended = self.step(batch.observations, batch.actions, rng)
        discounts = np.where(ended, np.float32(0), np.float32(gamma))
        weights = np.ones(len(rewards), np.float32)
        return Batch(batch.observations, batch.actions, rewards, following, discounts, weights, batch.rows)

    def state_dict(self) -> dict[str, np.ndarray]:
        return state_of(self._parts())

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        restore(self._parts(), state)

    def _parts(self):
        return {"network": self.network, "optimizer": self.optimizer, "fitted": self.fitted}


def _checked(what: str, given: np.ndarray, like: np.ndarray, kind: str, are_right: Callable) -> np.ndarray:
    """What a rule gave, in the shape and type of what the network gives.

    Raises
    ------
    ValueError
        For another shape, and for other values.
    """
    given = np.asarray(given)
    check_shape(f"{what} of imagined steps", given, like.shape)
    if given.dtype.kind not in "biuf" or not are_right(given).all():
        wrong = given if given.dtype.kind not in "biuf" else given[~are_right(given)]
        raise ValueError(f"expected {what} of imagined steps as {kind} by the rule agent.model.{what}, given {wrong[:5]}")
    return given.astype(like.dtype)
