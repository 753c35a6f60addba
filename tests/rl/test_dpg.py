"""DPG: the deterministic policy gradient theorem, the linear-quadratic regulator, and the compatible critic."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from deepnp import Linear, Module
from deepnp.gradcheck import numerical_gradient
from rl import DPG, DPGConfig, schedules
from rl.experience.rollout import Rollout
from rl.networks.compatible import CompatibleCritic
from tests.rl.references.worlds import World
from tests.rl.toys import vectorize

GAMMA, COST, NOISE, LIMIT = 0.9, 0.1, 0.1, 10.0  # r = −(s² + COST·a²), s′ = s + a + NOISE·ξ, |a| ≤ LIMIT


def riccati() -> float:
    """The best gain k of a = −k s: P = 1 + γP − (γP)²/(COST + γP), k = γP/(COST + γP)."""
    p = 1.0
    for _ in range(1000):
        p = 1 + GAMMA * p - (GAMMA * p) ** 2 / (COST + GAMMA * p)
    return GAMMA * p / (COST + GAMMA * p)


class Regulator(gymnasium.Env):
    """One number to hold at 0; episodes are truncated after 10 steps."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = spaces.Box(-LIMIT, LIMIT, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state, self.count = self.np_random.uniform(-1, 1), 0
        return np.float32([self.state]), {}

    def step(self, action):
        reward = -(self.state**2 + COST * float(action[0]) ** 2)
        self.state += float(action[0]) + NOISE * self.np_random.normal()
        self.count += 1
        return np.float32([self.state]), reward, False, self.count == 10, {}


class Quadratic(Module):
    """w · (s², s·a, a², 1), with a as the environment takes it."""

    def __init__(self):
        self.linear = Linear(4, 1, rng=np.random.default_rng(0))
        self.linear.weight.data[...] = 0

    def features(self, x):
        s, a = x[:, 0], LIMIT * x[:, 1]
        return np.stack([s * s, s * a, a * a, np.ones_like(s)], axis=1)

    def forward(self, x):
        self._cache = x
        return self.linear.forward(self.features(x))

    def predict(self, x):
        return self.linear.predict(self.features(x))

    def backward(self, dy, params=True, inputs=True):
        x, df = self.cache, self.linear.backward(dy, params)
        s, a = x[:, 0], LIMIT * x[:, 1]
        return np.stack([2 * s * df[:, 0] + a * df[:, 1], LIMIT * (s * df[:, 1] + 2 * a * df[:, 2])], axis=1)


def regulator_agent(seed=0, **settings) -> DPG:
    body = Linear(1, 1, rng=np.random.default_rng(0))
    body.weight.data[...] = 0
    plain = dict(gamma=GAMMA, normalize_observations=False, scale_rewards=False)
    return DPG(vectorize(Regulator, 64), DPGConfig(**plain, **settings), seed, policy=body, critic=lambda rng: Quadratic())


def gain(agent) -> float:
    """k of a = −k s near 0."""
    return -float(LIMIT * agent.policy.predict(np.float32([[0.1]]))[0, 0]) / 0.1


@pytest.mark.parametrize("next_action", ["policy", "taken"])
def test_it_finds_the_regulator_s_gain(next_action):
    rates = dict(lr=schedules.Linear(5e-3, 0.0), critic_lr=0.1)
    agent = regulator_agent(**rates, exploration=0.05, next_action=next_action).learn(40_000)
    assert gain(agent) == pytest.approx(riccati(), rel=0.05)


def test_plain_steps_find_it_too():
    rates = dict(lr=schedules.Linear(1e-2, 0.0), critic_lr=0.1)
    agent = regulator_agent(**rates, exploration=0.05, optimizer="sgd").learn(80_000)
    assert gain(agent) == pytest.approx(riccati(), rel=0.05)


def value_of(k: float) -> float:
    """J(k) from s_0² = 1/3 on average: with E s_{t+1}² = (1 − k)² E s_t² + NOISE², as a sum to its end."""
    j, square = 0.0, 1 / 3
    for t in range(2000):
        j -= GAMMA**t * (1 + COST * k * k) * square
        square = (1 - k) ** 2 * square + NOISE**2
    return j


def test_the_gradient_is_the_theorem_s():
    """∇J = (1/(1 − γ)) E_{d_γ}[∇μ ∇_a Q], with the true Q of a = −k s; without the factor it is ten times too small."""
    k = 0.6
    p = -(1 + COST * k * k) / (1 - GAMMA * (1 - k) ** 2)  # V(s) = p s² + constant
    agent = regulator_agent()
    linear = agent.critics.networks[0].linear
    linear.weight.data[0] = [-1 + GAMMA * p, 2 * GAMMA * p, -COST + GAMMA * p, 0]  # Q = r + γ p (s + a)² + constant
    agent.policy.flat.data[:] = [-k * 1e-3 / LIMIT, 0]  # so small that tanh is straight, with s a thousand times as large
    square, share, total = 1 / 3, 1 - GAMMA, 0.0
    for t in range(2000):
        total += share * GAMMA**t * square  # E_{d_γ} s²
        square = (1 - k) ** 2 * square + NOISE**2
    s = np.float32([[1.0], [-1.0]])
    agent.policy.forward(s)
    _, dactions = agent.critics.action_gradient(1e-3 * s, agent.policy.predict(s), dvalue=1 / 2)
    agent.policy.zero_grad()
    agent.policy.backward(dactions, inputs=False)
    # da/dk = −s; the network's weight is −k·1e-3/LIMIT and reads s, of which the critic sees a thousandth.
    exact = float(numerical_gradient(lambda x: value_of(x[0]), np.array([k]))[0])
    given = -float(agent.policy.flat.grad[0]) / LIMIT * 1e3 * total / (1 - GAMMA)
    assert given == pytest.approx(exact, rel=1e-3)


class TestCompatible:
    def critic(self):
        agent = DPG(World, DPGConfig(hidden=(5,), num_envs=1), seed=1)
        (critic,) = agent.critics.networks
        critic.w.data[:] = np.random.default_rng(0).normal(size=len(critic.w.data))
        return agent.policy, critic

    def test_its_gradients_are_those_of_its_values(self, rng):
        policy, critic = self.critic()
        policy, value = policy.to(np.float64), critic.value.to(np.float64)
        compatible = CompatibleCritic(policy, value, 2).to(np.float64)
        compatible.w.data[:] = rng.normal(size=len(compatible.w.data))
        x, dy = rng.normal(size=(7, 5)), rng.normal(size=(7, 1))
        compatible.forward(x)
        compatible.zero_grad()
        dx = compatible.backward(dy)
        assert (policy.flat.grad == 0).all()
        theta = compatible.flat.data

        def at(w):
            before = theta.copy()
            theta[:] = w
            y = float((compatible.predict(x) * dy).sum())
            theta[:] = before
            return y

        np.testing.assert_allclose(compatible.flat.grad, numerical_gradient(at, theta.copy()), rtol=1e-6, atol=1e-8)

        def with_actions(a):
            return float((compatible.predict(np.concatenate([x[:, :3], a], axis=1)) * dy).sum())

        np.testing.assert_allclose(dx[:, 3:], numerical_gradient(with_actions, x[:, 3:].copy()), rtol=1e-6, atol=1e-8)
        assert (dx[:, :3] == 0).all()

    def test_at_the_policy_s_action_it_is_the_value(self, rng):
        policy, critic = self.critic()
        s = rng.normal(size=(7, 3)).astype(np.float32)
        x = np.concatenate([s, policy.predict(s)], axis=1)
        np.testing.assert_allclose(critic.predict(x), critic.value.predict(s), rtol=1e-5, atol=1e-6)

    def test_the_policy_is_no_part_of_it(self):
        policy, critic = self.critic()
        names = [name for name, _ in critic.named_parameters()]
        assert "w" in names
        assert len(critic.flat) == len(policy.flat) + len(critic.value.flat)


class TestNextActions:
    def rollout(self, rng):
        terminated, truncated = np.zeros((2, 3, 2), bool)
        terminated[0, 0] = truncated[1, 1] = True
        actions = rng.normal(size=(3, 2, 2)).astype(np.float32)
        final = {(1, 1): np.full((1, 3), 9, np.float32)}
        observations = rng.normal(size=(3, 2, 3)).astype(np.float32)
        last, rewards = np.zeros((2, 3), np.float32), np.zeros((3, 2), np.float32)
        return Rollout(observations, actions, rewards, terminated, truncated, np.ones((3, 2), bool), last, final)

    def test_what_follows_is_of_the_same_episode(self, rng):
        rollout = self.rollout(rng)
        after = rollout.following()
        np.testing.assert_array_equal(after[0], rollout.observations[1])
        np.testing.assert_array_equal(after[1, 1], [9, 9, 9])
        np.testing.assert_array_equal(after[2], rollout.last)

    def test_the_action_taken_next_where_it_is_known(self, rng):
        agent, rollout = DPG(World, DPGConfig(next_action="taken", num_envs=1, exploration=0.0)), self.rollout(rng)
        s_next = rollout.following().reshape(-1, 3)
        given, drawn = agent.next_actions(rollout, s_next).reshape(3, 2, 2), agent.policy.predict(s_next).reshape(3, 2, 2)
        for t, n in np.ndindex(3, 2):
            known = t < 2 and not rollout.ended[t, n]
            np.testing.assert_array_equal(given[t, n], rollout.actions[t + 1, n] if known else drawn[t, n])
