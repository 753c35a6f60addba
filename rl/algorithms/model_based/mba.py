"""Model-based acceleration, MBA (Gu, Lillicrap, Sutskever & Levine 2016): NAF on real and imagined steps.

    repeat
        a ← clip(μ(s) + noise, ±1), step, remember (s, a, r, s′) in D_env
        every `model_interval` steps: fit the model to D_env
        for each minibatch of D_env
            s, a ← other rows of D_env;  r̂, ŝ′, end ← the model
            θ ← NAF's step on the minibatch and on (s, a, r̂, ŝ′)

Deviations: the paper keeps what the model says in a memory of its own, and draws from both; here the model is asked when
a row is drawn, so that no row is older than the model. Half of a minibatch is imagined, where neither paper nor notes say.

Shapes: B rows, O observation, A action dimensions.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rl.algorithms.model_based.config import KINDS, ModelConfig, make_model
from rl.algorithms.value_based.naf import NAF, NAFConfig
from rl.config import setting
from rl.experience.imagined import joined
from rl.experience.replay import Batch
from rl.names import explained_class
from rl.state import Part, add_rngs
from rl.takes import Takes


@explained_class
@dataclass(frozen=True)
class MBAConfig(ModelConfig, NAFConfig):
    """Settings of MBA."""

    algorithm: ClassVar[str] = "MBA"

    batch_size: int = setting(64, "real transitions of an update", 1, 1_000_000)
    imagined_batch: int = setting(64, "imagined transitions of an update", 1, 1_000_000)
    model: str = setting("deterministic", "what members predict: a mean, or a mean and a variance", choices=KINDS)
    members: int = setting(1, "networks of the ensemble, E", 1, 1000)


class MBA(NAF):
    """An MBA agent for continuous, bounded actions: `MBA(env, config, seed)`, see `NAF`.

    Examples
    --------
    >>> agent = MBA("Pendulum-v1", MBAConfig(exploration=0.3), seed=0)
    >>> agent.learn(5_000)
    """

    Config = MBAConfig
    takes = Takes(bounded=True, images=False, on_policy=False, model=True)

    def build(self) -> None:
        super().build()
        self.rngs = add_rngs(self.rngs, self.seed, "members", "model", "imagined")
        self.model = make_model(self.space, self.config, self.rngs["members"])

    def parts(self) -> dict[str, Part]:
        return {**super().parts(), "model": self.model}

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step on real and imagined rows; first a fit of the model, where it is due.

        Returns metrics, and |Q − y| of each real row.
        """
        c = self.now
        metrics = self.model.fit_if_due(self.memory, self.steps, c.model_interval, self.rngs["model"])
        rows = self.memory.batch(self.memory.draw(c.imagined_batch, self.rngs["imagined"]), c.gamma)
        own, errors = super().update(joined(batch, self.model.imagined(rows, c.gamma, self.rngs["model"])))
        return {**own, **metrics}, errors[: len(batch.rewards)]
