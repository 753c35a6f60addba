"""One update of DDPG, TD2, TD3, QAscent, SAC, SACLite and the first SAC, from their papers' pseudocode.

DDPG       Lillicrap et al. 2016, Algorithm 1
TD2        DDPG with the smaller of two target critics, and noise in both losses
TD3        Fujimoto et al. 2018, Algorithm 1
SAC        Haarnoja et al. 2018, "Algorithms and Applications", Algorithm 1
SACLite    SAC without entropy in the critics' target (Yu, Zhang & Xu 2022)
SACValue   Haarnoja et al. 2018, "Off-Policy Maximum Entropy Deep RL", Algorithm 1

Everything works on dictionaries of named arrays that are changed in place. Shapes: B rows, O observation, A action dimensions.
"""

from dataclasses import dataclass, field
from functools import reduce

import numpy as np

from tests.rl.references.distributions import squashed
from tests.rl.references.networks import STEP, Adam, Plain, clip, follow, gradient, mlp, smaller


@dataclass
class Data:
    """A batch: `discounts` is γ^h, and 0 where the episode terminated."""

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    next_observations: np.ndarray
    discounts: np.ndarray
    weights: np.ndarray


@dataclass
class Settings:
    """What the updates depend on, by its symbol in the papers where it has one."""

    tau: float = 0.005
    lr: float = 3e-4
    activation: str = "relu"
    normalization: str | None = None  # of the critics
    bounds: tuple[float, float] | None = None  # of the target values
    smoothing: float = 0.2
    smoothing_clip: float = 0.5
    delay: int = 2
    temperature: float | None = None  # None: tuned
    target_entropy: float = -1.0
    shared: bool = True  # one network for μ and ln σ
    asymmetry: float = 0.5
    limit: float = np.inf  # of errors
    optimizer: str = "adam"  # of the critics
    policy_noise: float = 0.0
    ascent_steps: int = 20
    ascent_rate: float = 0.1


@dataclass
class Critic:
    """Q(s, a) or V(s), its target, and the statistics of both under batch normalisation."""

    network: dict
    target: dict
    settings: Settings
    running: dict = field(default_factory=dict)
    target_running: dict = field(default_factory=dict)

    def __post_init__(self):
        self.adam = (
            Adam(self.network, self.settings.lr) if self.settings.optimizer == "adam" else Plain(self.network, self.settings.lr)
        )

    def value(self, x, network=None):
        """(…, B), with the running statistics."""
        s = self.settings
        return mlp(network or self.network, x, s.activation, s.normalization, self.running)[..., 0]

    def target_value(self, x):
        s = self.settings
        return mlp(self.target, x, s.activation, s.normalization, self.target_running)[..., 0]

    def fit(self, x, y, weights) -> np.ndarray:
        """One step on (1/B) Σ w f h(Q − y), with the batch's statistics; h is the square by default. Returns |Q − y| before it."""
        s, seen = self.settings, []
        before = mlp(self.network, x, s.activation, s.normalization, seen=seen)[..., 0]

        def loss(network):
            q = mlp(network, x, s.activation, s.normalization)[..., 0]
            return (weights * asymmetric(q - y, s.asymmetry, s.limit)).sum(axis=-1) / len(x)

        self.adam.step(gradient(loss, self.network))
        unbiased = len(x) / (len(x) - 1)
        for i, (mean, variance) in enumerate(seen):  # kept: 0.9 of the old
            for name, new in (("running_mean", mean), ("running_var", unbiased * variance)):
                key = f"{3 * i + 1}.{name}"
                self.running[key] = 0.9 * self.running[key] + 0.1 * new
        return np.abs(before - y)

    def move_target(self, tau):
        if self.target is self.network:
            return
        follow(self.target, self.network, tau)
        follow(self.target_running, self.running, tau)


class OffPolicy:
    """What the six share: critics that are fitted to y, targets that follow."""

    def __init__(self, settings: Settings, policy: dict, critics: list[Critic]):
        self.settings, self.policy, self.critics = settings, policy, critics
        self.policy_adam = Adam(policy, settings.lr)

    def smallest_target(self, s, a):
        x = np.concatenate([s, a], axis=-1)
        q = reduce(np.minimum, [critic.target_value(x) for critic in self.critics])
        return q if self.settings.bounds is None else np.clip(q, *self.settings.bounds)

    def smallest(self, s, a):
        """min_i Q_i(s, a) of the networks themselves; a may be complex, with leading axes."""
        x = np.concatenate([np.broadcast_to(s, (*a.shape[:-1], s.shape[-1])), a], axis=-1)
        return reduce(smaller, [critic.value(x) for critic in self.critics])

    def fit_critics(self, data: Data, y) -> np.ndarray:
        x = np.concatenate([data.observations, data.actions], axis=-1)
        errors = [critic.fit(x, y, data.weights) for critic in self.critics]
        return sum(errors) / len(errors)

    def move_targets(self):
        for critic in self.critics:
            critic.move_target(self.settings.tau)


def asymmetric(error, alpha: float, limit: float):
    """2α, or 2(1 − α), times δ², or κ(2|δ| − κ) beyond κ; the error may be complex."""
    size = np.where(error.real > 0, error, -error)
    square = size**2 if np.isinf(limit) else np.where(size.real <= limit, size**2, limit * (2 * size - limit))
    return square * np.where(error.real > 0, 2 * alpha, 2 * (1 - alpha))


class DDPG(OffPolicy):
    """One critic."""

    def __init__(self, settings, policy, target_policy, critics):
        super().__init__(settings, policy, critics)
        self.target_policy = target_policy

    def act(self, policy, s):
        return np.tanh(mlp(policy, s, self.settings.activation))

    def update(self, data: Data) -> np.ndarray:
        a_next = self.act(self.target_policy, data.next_observations)
        y = data.rewards + data.discounts * self.smallest_target(data.next_observations, a_next)
        errors = self.fit_critics(data, y)
        self.fit_policy(data.observations)
        self.move_targets()
        if self.target_policy is not self.policy:
            follow(self.target_policy, self.policy, self.settings.tau)
        return errors

    def fit_policy(self, s):
        """One step on −(1/B) Σ Q_1(s, μ(s))."""

        def loss(policy):
            a = self.act(policy, s)
            x = np.concatenate([np.broadcast_to(s, (*a.shape[:-1], s.shape[-1])), a], axis=-1)
            return -self.critics[0].value(x).sum(axis=-1) / len(s)

        self.policy_adam.step(gradient(loss, self.policy))


class QAscent(OffPolicy):
    """One critic; the greedy action by gradient ascent. Its `policy` is the critic."""

    def __init__(self, settings, critics):
        self.settings, self.critics = settings, critics
        self.policy, self.target_policy = (
            {f"critic.{k}": p for k, p in net.items()} for net in (critics[0].network, critics[0].target)
        )

    def greedy(self, s) -> np.ndarray:
        """a* of the target: (B, A), each component of the gradient by a complex step."""
        c, a = self.settings, np.zeros((len(s), 2))
        for _ in range(c.ascent_steps):
            moved = a + 1j * STEP * np.eye(2)[:, None]  # (A, B, A)
            x = np.concatenate([np.broadcast_to(s, (2, *s.shape)), moved], axis=-1)
            a = np.clip(a + c.ascent_rate * self.critics[0].target_value(x).imag.T / STEP, -1, 1)
        return a

    def update(self, data: Data) -> np.ndarray:
        s_next = data.next_observations
        errors = self.fit_critics(data, data.rewards + data.discounts * self.smallest_target(s_next, self.greedy(s_next)))
        self.move_targets()
        return errors


class TD2(DDPG):
    """Two critics, and noise on the policy's actions in both losses."""

    def update(self, data: Data, noise_next, noise) -> np.ndarray:
        c = self.settings
        a_next = np.clip(self.act(self.target_policy, data.next_observations) + c.policy_noise * noise_next, -1, 1)
        y = data.rewards + data.discounts * self.smallest_target(data.next_observations, a_next)
        errors = self.fit_critics(data, y)

        def loss(policy):
            a = clip(self.act(policy, data.observations) + c.policy_noise * noise, -1, 1)
            x = np.concatenate([np.broadcast_to(data.observations, (*a.shape[:-1], data.observations.shape[-1])), a], axis=-1)
            return -self.critics[0].value(x).sum(axis=-1) / len(data.observations)

        self.policy_adam.step(gradient(loss, self.policy))
        self.move_targets()
        if self.target_policy is not self.policy:
            follow(self.target_policy, self.policy, c.tau)
        return errors


class TD3(DDPG):
    """Smoothed target actions, delayed policy and targets."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.updates = 0

    def update(self, data: Data, noise) -> np.ndarray:
        c = self.settings
        smooth = np.clip(c.smoothing * noise, -c.smoothing_clip, c.smoothing_clip)
        a_next = np.clip(self.act(self.target_policy, data.next_observations) + smooth, -1, 1)
        y = data.rewards + data.discounts * self.smallest_target(data.next_observations, a_next)
        errors = self.fit_critics(data, y)
        self.updates += 1
        if self.updates % c.delay == 0:
            self.fit_policy(data.observations)
            self.move_targets()
            if self.target_policy is not self.policy:
                follow(self.target_policy, self.policy, c.tau)
        return errors


class SAC(OffPolicy):
    """`policy` holds "body.…" or "mean.…" and "log_sigma.…"; `log_alpha` is an array (1,)."""

    def __init__(self, settings, policy, critics, log_alpha):
        super().__init__(settings, policy, critics)
        self.log_alpha = {"log_alpha": log_alpha}
        self.alpha_adam = Adam(self.log_alpha, settings.lr)

    @property
    def alpha(self) -> float:
        fixed = self.settings.temperature
        return float(np.exp(self.log_alpha["log_alpha"][0])) if fixed is None else fixed

    def draw(self, policy, s, noise):
        """a (…, B, A) and ln π(a) (…, B)."""
        activation = self.settings.activation
        if self.settings.shared:
            y = mlp(part(policy, "body"), s, activation)
            return squashed(y[..., : noise.shape[-1]], y[..., noise.shape[-1] :], noise)
        return squashed(mlp(part(policy, "mean"), s, activation), mlp(part(policy, "log_sigma"), s, activation), noise)

    def next_value(self, s, noise):
        a, log_prob = self.draw(self.policy, s, noise)
        return self.smallest_target(s, a) - self.alpha * log_prob

    def update(self, data: Data, noise_next, noise) -> np.ndarray:
        alpha = self.alpha
        y = data.rewards + data.discounts * self.next_value(data.next_observations, noise_next)
        errors = self.fit_critics(data, y)
        self.move_targets()
        _, log_prob = self.draw(self.policy, data.observations, noise)
        self.fit_policy(data.observations, noise, alpha)
        self.fit_temperature(log_prob)
        return errors

    def fit_policy(self, s, noise, alpha):
        """One step on (1/B) Σ α ln π(ã|s) − min_i Q_i(s, ã)."""

        def loss(policy):
            a, log_prob = self.draw(policy, s, noise)
            return (alpha * log_prob - self.smallest(s, a)).sum(axis=-1) / len(s)

        self.policy_adam.step(gradient(loss, self.policy))

    def fit_temperature(self, log_prob):
        """One step on −ln α·(mean ln π + H̄), where α is tuned."""
        if self.settings.temperature is None:
            gap = log_prob.sum() / len(log_prob) + self.settings.target_entropy
            self.alpha_adam.step(gradient(lambda p: -p["log_alpha"][..., 0] * gap, self.log_alpha))


class SACLite(SAC):
    def next_value(self, s, noise):
        a, _ = self.draw(self.policy, s, noise)
        return self.smallest_target(s, a)


class SACValue(SAC):
    """`value` is a critic of states alone, without normalisation; one draw serves V and π."""

    def __init__(self, settings, policy, critics, log_alpha, value: Critic):
        super().__init__(settings, policy, critics, log_alpha)
        self.value = value

    def update(self, data: Data, noise) -> np.ndarray:
        s, alpha = data.observations, self.alpha
        y = data.rewards + data.discounts * self.value.target_value(data.next_observations)
        errors = self.fit_critics(data, y)
        a, log_prob = self.draw(self.policy, s, noise)
        soft_value = self.smallest(s, a) - alpha * log_prob
        self.fit_policy(s, noise, alpha)
        self.value.fit(s, soft_value, data.weights)
        self.value.move_target(self.settings.tau)
        self.fit_temperature(log_prob)
        return errors


def part(named: dict, prefix: str) -> dict:
    """The entries "prefix.…", under the rest of their names."""
    return {name.removeprefix(f"{prefix}."): p for name, p in named.items() if name.startswith(f"{prefix}.")}
