"""What FQI, DDQN+BC and fitted SARSA share: DQN's network and its target, on a data set."""

from deepnp.models.mlp import ACTIVATIONS
from deepnp.optim import Adam
from rl.algorithms.offline.from_data import FromData
from rl.networks.encoders import network
from rl.networks.q_networks import QNetwork
from rl.networks.targets import target_of
from rl.state import Part, spawn_rngs
from rl.takes import Takes


class ChoicesFromData(FromData):
    """Base of agents that learn values of choices from a data set."""

    takes = Takes(actions=("Discrete",), masks=True, on_policy=False, dataset=True)

    def build(self) -> None:
        space, c = self.space, self.now
        self.rngs = spawn_rngs(self.seed, "weights", "explore", "replay", "environment")
        body = network(space.observation, c.hidden, space.actions, ACTIVATIONS[c.activation], self.rngs["weights"])
        self.policy = QNetwork(space, body)
        self.policy_optimizer = Adam(self.policy.flat, c.lr)
        self.target_policy, self.follow = target_of(self.policy)
        self.make_memory()

    def parts(self) -> dict[str, Part]:
        networks: dict[str, Part] = {"policy": self.policy, "target_policy": self.target_policy}
        return {**networks, "policy_optimizer": self.policy_optimizer, **self.data_parts()}
