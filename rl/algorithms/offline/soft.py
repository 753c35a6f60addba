"""What SAC+BC and CQL share: SAC's networks and its temperature, on a data set."""

from typing import Any

from deepnp.models.mlp import ACTIVATIONS
from deepnp.optim import Adam
from rl.algorithms.actor_critic.sac import SAC
from rl.algorithms.offline.config import twin_critics
from rl.algorithms.offline.from_data import FromData
from rl.networks.actors import SquashedGaussianPolicy
from rl.networks.parallel import Halves
from rl.networks.temperature import Temperature
from rl.state import Part, spawn_rngs
from rl.takes import Takes


class SoftFromData(FromData):
    """Base of agents that learn from a data set with a squashed policy, twin critics and a temperature, as `SAC`."""

    takes = Takes(bounded=True, on_policy=False, dataset=True)
    target_entropy: Any = SAC.target_entropy  # Any: mypy wants to see a SAC in `self`
    set_rates: Any = SAC.set_rates
    act: Any = SAC.act
    explore = act

    def build(self) -> None:
        space, c = self.space, self.now
        self.rngs = spawn_rngs(self.seed, "weights", "explore", "replay", "noise", "environment")
        rng = self.rngs["weights"]
        self.policy = SquashedGaussianPolicy(space, c.hidden, ACTIVATIONS[c.activation], True, rng)
        self.policy_optimizer = Adam(self.policy.flat, c.lr)
        self.critics = twin_critics(space, c, rng)
        self.halves = Halves(self.policy, critics=self.critics)
        self.temperature = Temperature(c.temperature, 1.0, self.target_entropy(c), c.lr)
        self.make_memory()

    def parts(self) -> dict[str, Part]:
        policy: dict[str, Part] = {"policy": self.policy, "policy_optimizer": self.policy_optimizer}
        return {**policy, "temperature": self.temperature, "critics": self.critics, **self.data_parts()}
