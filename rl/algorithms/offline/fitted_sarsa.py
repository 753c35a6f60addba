"""SARSA, fitted to a data set: what the data's own policy b earns, and its best choice. One step of improvement.

    repeat, with a batch of the data set
        y ← r + γ(1 − terminated) Q̄(s′, a′)                 a′: what the data did in s′
        θ ← Adam descent on (Q(s, a) − y)²
        Q̄ ← (1 − τ)Q̄ + τQ
    a ← argmax_c Q(s, c)                                     after it, or whenever somebody asks

Q is Q^b: no maximum stands in the targets, so no value is read of an action that nobody took, and errors
do not feed on themselves. The policy that is greedy for Q^b is at least as good as b (policy improvement).
More steps of it, on values of actions outside the data, often are worse than the first (Brandfonbrener
et al. 2021, "one-step RL").

The last step of a truncated episode counts nothing, as nobody acted in its s′: with T steps an episode,
one in T is left out, and terminations look more frequent by as much. In an environment actions are greedy
but for a random share ε; b is then the mixture of all policies so far, and improvement goes on.

For numbers the greedy step is a regression: awr.py has it on V^b, and iql.py with `expectile=0.5` on
Q^b, whose targets r + γV^b(s′) are the mean over a′ of those above.

Shapes: B rows, C choices.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from rl.algorithms.offline.choices import ChoicesFromData
from rl.algorithms.offline.config import OfflineConfig
from rl.config import rate
from rl.experience.datasets import DataSet
from rl.experience.exploration import replace_by_random
from rl.experience.next_actions import NextBatch, with_next_actions
from rl.names import explained_class
from rl.networks.q_steps import choice_step
from rl.schedules import Rate


@explained_class
@dataclass(frozen=True)
class FittedSARSAConfig(OfflineConfig):
    """Settings of fitted SARSA."""

    algorithm: ClassVar[str] = "FittedSARSA"

    random_share: Rate = rate(0.05, "share of actions in the environment that are random, ε", 0, 1)


class FittedSARSA(ChoicesFromData):
    """A fitted-SARSA agent for choices: `FittedSARSA.of_data(data, config, seed)`, see `FromData`.

    Examples
    --------
    >>> agent = FittedSARSA.of_data(rl.load_data("cartpole-medium.safetensors"), seed=0)
    >>> agent.learn(20_000)
    """

    Config = FittedSARSAConfig

    def learn_from(self, data: DataSet) -> Self:
        """Take in a data set, as `FromData.learn_from`; ValueError, too, if the next action of no step is in it."""
        if isinstance(data, DataSet) and data.truncated[:-1].all() and not data.terminated[-1]:
            raise ValueError(f"expected steps whose next action is in the data, given {len(data):,} rows that are each truncated")
        return super().learn_from(data)

    def act(self, observations, rng) -> np.ndarray:
        return self.policy.predict(observations).argmax(axis=1)

    def explore(self, observations, rng) -> np.ndarray:
        """Greedy actions (N,), some replaced by random ones."""
        mask = self.space.observation.mask_of(observations)
        return replace_by_random(self.act(observations, rng), self.now.random_share, self.space.action, rng, mask)

    def batch(self, rows: np.ndarray) -> NextBatch:
        """Single steps in some rows (B,) of the memory, with the next action of each."""
        return with_next_actions(self.memory, rows, self.config.gamma)

    def update(self, batch: NextBatch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step, after which the target moves; returns metrics, and |Q − y| of each row (B,)."""
        c, s, s_next = self.now, self.observe(batch.observations), self.observe(batch.next_observations)
        self.policy_optimizer.lr = c.lr
        next_values = self.target_policy.outputs(s_next)[np.arange(len(batch.rewards)), batch.next_actions]
        y = batch.rewards + batch.discounts * next_values
        loss, errors = choice_step(self.policy.body, self.policy_optimizer, s, batch.actions, y, batch.weights)
        self.follow(c.tau)
        errors = np.abs(errors)
        return {"critic_loss": loss, "td_error": float(errors.mean()), "target": float(y.mean())}, errors
