"""One update of each offline method, from its paper's pseudocode; see off_policy.py for how.

BC         Pomerleau 1989
TD3BC      Fujimoto & Gu 2021, and their code for the mean over action dimensions
SACBC      the same term in SAC, the form ours
DDQNBC     double DQN (van Hasselt et al. 2016) with the cross-entropy of softmax(Q/κ), the form ours
SARSA      Brandfonbrener et al. 2021: Q of the data's policy by single steps with its own next action
AWR        Peng et al. 2019, Algorithm 1, with λ = 1
AWAC       Nair et al. 2020, Algorithm 1
ForwardKL  −Q and the likelihood of the data's actions, the form ours
ReverseKL  Wu, Tucker & Nachum 2019, with the KL as a penalty of values, between Gaussians
IQL        Kostrikov, Nair & Levine 2021, Algorithm 1
CQL        Kumar et al. 2020, Algorithm 1 and Eq. 4; the importance weights of appendix F

Shapes: B rows, O observation, A action dimensions, C choices, n draws of each kind.
"""

import numpy as np

from tests.rl.references import off_policy
from tests.rl.references.distributions import Gaussian
from tests.rl.references.networks import Adam, clip, follow, gradient, mlp, shorten, smaller
from tests.rl.references.off_policy import Critic, Data, part
from tests.rl.references.values import taken


def log_prob(policy: dict, s, a, activation: str):
    """ln N(a; μ(s), σ²), with σ = e^{ln σ} independent of s: (…, B)."""
    log_sigma = policy["log_sigma"][..., None, :]
    z = (a - mlp(part(policy, "mean"), s, activation)) * np.exp(-log_sigma)
    return (-(z**2) / 2 - log_sigma - np.log(2 * np.pi) / 2).sum(axis=-1)


class BC:
    """`policy` holds "mean.…" and "log_sigma"."""

    def __init__(self, c, policy: dict):
        self.c, self.policy, self.adam = c, policy, Adam(policy, c.lr)

    def fit_policy(self, data: Data, weights) -> None:
        """One step on −(1/B) Σ w ln π(a|s), its gradient shortened."""

        def loss(policy):
            terms = weights * log_prob(policy, data.observations, data.actions, self.c.activation)
            return -terms.sum(axis=-1) / len(weights)

        self.adam.step(shorten(gradient(loss, self.policy), self.c.max_grad_norm))

    def weights(self, advantages):
        return np.minimum(np.exp(advantages / self.c.beta), self.c.largest_weight)

    def draw(self, s, noise):
        """a ~ π(·|s), held in [−1, 1]."""
        mean = mlp(part(self.policy, "mean"), s, self.c.activation)
        return np.clip(mean + np.exp(self.policy["log_sigma"]) * noise, -1, 1)

    def update(self, data: Data):
        self.fit_policy(data, data.weights)
        return data.weights


class AWR(BC):
    """`value` is a critic of states alone, and its own target."""

    def __init__(self, c, policy, value: Critic):
        super().__init__(c, policy)
        self.value = value

    def update(self, data: Data):
        s = data.observations
        returns = data.rewards + data.discounts * self.value.value(data.next_observations)
        errors = self.value.fit(s, returns, data.weights)
        advantages = returns - self.value.value(s)
        advantages = (advantages - advantages.mean()) / (np.sqrt(((advantages - advantages.mean()) ** 2).mean()) + 1e-8)
        self.fit_policy(data, self.weights(advantages))
        return errors


class AWAC(BC):
    """Two critics of state and action."""

    def __init__(self, c, policy, critics: list[Critic]):
        super().__init__(c, policy)
        self.critics = critics

    def smallest(self, s, a, target=False):
        x = np.concatenate([s, a], axis=1)
        return np.minimum(*(critic.target_value(x) if target else critic.value(x) for critic in self.critics))

    def fit_critics(self, data: Data, y):
        x = np.concatenate([data.observations, data.actions], axis=1)
        return sum(critic.fit(x, y, data.weights) for critic in self.critics) / 2

    def move_targets(self):
        for critic in self.critics:
            critic.move_target(self.c.tau)

    def update(self, data: Data, noise_next, *noises):
        s, s_next = data.observations, data.next_observations
        y = data.rewards + data.discounts * self.smallest(s_next, self.draw(s_next, noise_next), target=True)
        errors = self.fit_critics(data, y)
        expected = sum(self.smallest(s, self.draw(s, noise)) for noise in noises) / len(noises)
        self.fit_policy(data, self.weights(self.smallest(s, data.actions) - expected))
        self.move_targets()
        return errors


class ForwardKL(AWAC):
    """A policy that draws, and learns through its draws."""

    def gaussian(self, policy, s):
        return Gaussian(mlp(part(policy, "mean"), s, self.c.activation), np.exp(policy["log_sigma"])[..., None, :])

    def divergence(self, policy, data):
        """A row's (…, B)."""
        return -log_prob(policy, data.observations, data.actions, self.c.activation)

    def next_value(self, s, noise):
        return self.smallest(s, self.draw(s, noise), target=True)

    def update(self, data: Data, noise_next, noise):
        s, size = data.observations, len(data.rewards)
        errors = self.fit_critics(data, data.rewards + data.discounts * self.next_value(data.next_observations, noise_next))

        def loss(policy):
            pi = self.gaussian(policy, s)
            a = clip(pi.mean + pi.sigma * noise, -1, 1)
            x = np.concatenate([np.broadcast_to(s, (*a.shape[:-1], s.shape[-1])), a], axis=-1)
            q = smaller(*(critic.value(x) for critic in self.critics))
            return (self.c.beta * self.divergence(policy, data) - q).sum(axis=-1) / size

        self.adam.step(shorten(gradient(loss, self.policy), self.c.max_grad_norm))
        self.move_targets()
        return errors


class ReverseKL(ForwardKL):
    """`behavior` is a policy that is cloned."""

    def __init__(self, c, policy, critics, behavior: dict):
        super().__init__(c, policy, critics)
        self.behavior, self.clone = behavior, BC(c, behavior)

    def divergence(self, policy, data):
        return self.gaussian(policy, data.observations).divergence(self.gaussian(self.behavior, data.observations))

    def next_value(self, s, noise):
        kl = self.gaussian(self.policy, s).divergence(self.gaussian(self.behavior, s))
        return super().next_value(s, noise) - self.c.beta * kl

    def update(self, data: Data, noise_next, noise):
        self.clone.fit_policy(data, data.weights)
        return super().update(data, noise_next, noise)


class IQL(AWAC):
    """And a value, whose loss is an expectile's."""

    def __init__(self, c, policy, critics, value: dict):
        super().__init__(c, policy, critics)
        self.value, self.value_adam = value, Adam(value, c.lr)

    def value_of(self, s, value=None):
        return mlp(value or self.value, s, self.c.activation)[..., 0]

    def fit_value(self, data: Data, q):
        """One step on (2/B) Σ w |τ − 1(u < 0)| u²: twice the paper's."""

        def loss(value):
            u = q - self.value_of(data.observations, value)
            return 2 * (data.weights * np.abs(self.c.expectile - (u.real < 0)) * u**2).sum(axis=-1) / len(q)

        self.value_adam.step(gradient(loss, self.value))

    def update(self, data: Data):
        q = self.smallest(data.observations, data.actions, target=True)
        self.fit_value(data, q)
        self.fit_policy(data, self.weights(q - self.value_of(data.observations)))
        errors = self.fit_critics(data, data.rewards + data.discounts * self.value_of(data.next_observations))
        self.move_targets()
        return errors


class TD3BC(off_policy.TD3):
    """TD3 with another loss of the policy."""

    def __init__(self, settings, policy, target_policy, critics, value_weight: float):
        super().__init__(settings, policy, target_policy, critics)
        self.value_weight = value_weight

    def update(self, data: Data, noise):
        self.data_actions = data.actions
        return super().update(data, noise)

    def fit_policy(self, s):
        def value(a):
            return self.critics[0].value(np.concatenate([np.broadcast_to(s, (*a.shape[:-1], s.shape[-1])), a], axis=-1))

        scale = self.value_weight / np.abs(value(self.act(self.policy, s))).mean()

        def loss(policy):
            a = self.act(policy, s)
            distance = ((a - self.data_actions) ** 2).sum(axis=-1) / a.shape[-1]
            return (distance - scale * value(a)).sum(axis=-1) / len(s)

        self.policy_adam.step(gradient(loss, self.policy))


class SACBC(off_policy.SAC):
    """SAC with another loss of the policy."""

    def __init__(self, settings, policy, critics, log_alpha, value_weight: float):
        super().__init__(settings, policy, critics, log_alpha)
        self.value_weight = value_weight

    def update(self, data: Data, noise_next, noise):
        self.data_actions = data.actions
        return super().update(data, noise_next, noise)

    def fit_policy(self, s, noise, alpha):
        scale = self.value_weight / np.abs(self.smallest(s, self.draw(self.policy, s, noise)[0])).mean()

        def loss(policy):
            a, log_prob = self.draw(policy, s, noise)
            mode, _ = self.draw(policy, s, 0 * noise)
            distance = ((mode - self.data_actions) ** 2).sum(axis=-1) / a.shape[-1]
            return (scale * (alpha * log_prob - self.smallest(s, a)) + distance).sum(axis=-1) / len(s)

        self.policy_adam.step(gradient(loss, self.policy))


class OfChoices:
    """`policy` and `target_policy` hold "body.…"."""

    def __init__(self, c, policy: dict, target_policy: dict):
        self.c, self.policy, self.target_policy = c, policy, target_policy
        self.adam = Adam(policy, c.lr)

    def q(self, policy, s):
        return mlp(part(policy, "body"), s, self.c.activation)


class DDQNBC(OfChoices):
    def update(self, data: Data):
        c, s, s_next = self.c, data.observations, data.next_observations
        best = taken(self.q(self.target_policy, s_next), self.q(self.policy, s_next).argmax(axis=1))
        y = data.rewards + data.discounts * best
        errors = np.abs(taken(self.q(self.policy, s), data.actions) - y)

        def loss(policy):
            q = self.q(policy, s)
            stored = taken(q, data.actions)
            imitation = np.log(np.exp(q / c.choice_temperature).sum(axis=-1)) - stored / c.choice_temperature
            return (data.weights * (stored - y) ** 2 + c.imitation * imitation).sum(axis=-1) / len(y)

        self.adam.step(gradient(loss, self.policy))
        follow(self.target_policy, self.policy, c.tau)
        return errors


class FittedSARSA(OfChoices):
    def update(self, data: Data, next_actions):
        s, count = data.observations, len(data.rewards)
        y = data.rewards + data.discounts * taken(self.q(self.target_policy, data.next_observations), next_actions)
        errors = np.abs(taken(self.q(self.policy, s), data.actions) - y)

        def loss(policy):
            return (data.weights * (taken(self.q(policy, s), data.actions) - y) ** 2).sum(axis=-1) / count

        self.adam.step(gradient(loss, self.policy))
        follow(self.target_policy, self.policy, self.c.tau)
        return errors


class CQL(off_policy.SACLite):
    """SAC without entropy in the targets, and the penalty in the critics' loss."""

    def __init__(self, settings, policy, critics, log_alpha, c):
        super().__init__(settings, policy, critics, log_alpha)
        self.c = c

    def update(self, data: Data, noise_next, noise, *draws):
        alpha, s = self.alpha, data.observations
        rows, size = data.actions.shape
        y = data.rewards + data.discounts * self.next_value(data.next_observations, noise_next)
        actions, log_p = self.drawn(data, draws, rows, size)
        before = []
        for critic in self.critics:
            before.append(np.abs(critic.value(np.concatenate([s, data.actions], axis=1)) - y))
            critic.adam.step(gradient(lambda p, q=critic: self.critic_loss(q, p, data, y, actions, log_p), critic.network))
        self.move_targets()
        _, log_prob = self.draw(self.policy, s, noise)
        self.fit_policy(s, noise, alpha)
        self.fit_temperature(log_prob)
        return sum(before) / len(before)

    def drawn(self, data, draws, rows, size):
        """All actions (B, K, A), and their ln p (B, K)."""
        actions, log_p, draws = [], [], list(draws)
        if self.c.penalty != "policy":
            actions.append(np.float32(draws.pop(0)).astype(float))
            log_p.append(np.full((rows, self.c.draws), float(np.float32(-size * np.log(2)))))
        for s, noise in zip((data.observations, data.next_observations), draws, strict=False):
            for_rows = np.repeat(s, self.c.draws, axis=0)
            a, lp = self.draw(self.policy, for_rows, noise)
            actions.append(a.reshape(rows, self.c.draws, size))
            log_p.append(lp.reshape(rows, self.c.draws))
        return np.concatenate(actions, axis=1), np.concatenate(log_p, axis=1)

    def critic_loss(self, critic, network, data, y, actions, log_p):
        s, (rows, count) = data.observations, log_p.shape
        stored = critic.value(np.concatenate([s, data.actions], axis=1), network)
        x = np.concatenate([np.repeat(s, count, axis=0), actions.reshape(rows * count, -1)], axis=1)
        q = critic.value(x, network)
        q = q.reshape(*q.shape[:-1], rows, count)
        high = np.log(np.exp(q - log_p).sum(axis=-1)) if self.c.penalty == "logsumexp" else q.sum(axis=-1) / count
        return ((stored - y) ** 2 + self.c.conservatism * (high - stored)).sum(axis=-1) / rows
