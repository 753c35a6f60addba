"""REINFORCE: whole and cut episodes, clocks that outlive a rollout, baselines, and lengths of scores."""

import numpy as np
import pytest

import rl
from rl import REINFORCE, REINFORCEConfig
from rl.experience.clock import EpisodeClock
from rl.experience.rollout import Rollout
from rl.losses.baselines import minimum_variance, time_means
from rl.networks.scores import squared_score_norms
from tests.rl.references.worlds import Choices, World
from tests.rl.toys import Counter, Target, vectorize

BASELINES = ("value", "time", "mean", "minimum-variance", "none")


def rollout_of(rewards, terminated, valid=None) -> Rollout:
    """Columns (T, N) without anything to see."""
    rewards, terminated = np.array(rewards, np.float32), np.array(terminated, bool)
    steps, copies = rewards.shape
    valid = np.ones((steps, copies), bool) if valid is None else np.array(valid, bool)
    seen, last = np.zeros((steps, copies, 1), np.float32), np.zeros((copies, 1), np.float32)
    return Rollout(seen, np.zeros((steps, copies, 1), np.float32), rewards, terminated, np.zeros_like(terminated), valid, last)


class TestClock:
    def test_it_goes_on_where_the_last_rollout_ended(self):
        clock = EpisodeClock()
        clock.begin(2)
        ages, paid = clock.read(rollout_of([[1, 1], [2, 2], [4, 4]], [[0, 0], [0, 1], [0, 0]]), 0.5)
        np.testing.assert_array_equal(ages, [[0, 0], [1, 1], [2, 0]])
        np.testing.assert_array_equal(paid, [[0, 0], [1, 1], [2, 0]])  # 1; 1 + 2/2
        ages, paid = clock.read(rollout_of([[8, 8]], [[0, 0]]), 0.5)
        np.testing.assert_array_equal(ages, [[3, 1]])
        np.testing.assert_array_equal(paid, [[3, 4]])  # 2 + 4/4; 4

    def test_a_step_that_never_happened_is_not_counted(self):
        clock = EpisodeClock()
        clock.begin(1)
        rollout = rollout_of([[1], [1], [9], [1]], [[0], [1], [0], [0]], [[1], [1], [0], [1]])
        ages, paid = clock.read(rollout, 1.0)
        np.testing.assert_array_equal(ages[:, 0], [0, 1, 0, 0])
        np.testing.assert_array_equal(paid[:, 0], [0, 1, 0, 0])

    def test_its_state_is_checked(self):
        clock = EpisodeClock()
        clock.begin(3)
        clock.load_state_dict({"ages": np.array([1, 2]), "paid": np.zeros(2)})
        for wrong in ({"ages": np.array([-1]), "paid": np.zeros(1)}, {"ages": np.array([1]), "paid": np.zeros(2)}):
            with pytest.raises(ValueError, match="expected ages as integers"):
                clock.load_state_dict(wrong)
        np.testing.assert_array_equal(clock.ages, [1, 2])

    @pytest.mark.parametrize("steps", [1, 2, 5])
    def test_an_agent_s_clock_counts_the_episodes_as_they_are(self, steps):
        """Episodes of three steps, read in pieces of any length."""
        agent = REINFORCE(
            vectorize(lambda: Counter(3), 1), REINFORCEConfig(steps=steps, num_envs=1, hidden=(4,), batch_size=min(2, steps))
        )
        seen, read = [], agent.clock.read
        agent.clock.read = lambda *arguments: seen.append(read(*arguments)) or seen[-1]
        agent.learn(20)
        np.testing.assert_array_equal(np.concatenate([ages[:, 0] for ages, _ in seen]), np.arange(20) % 3)


class TestBaselines:
    def test_means_of_steps(self):
        returns, ages = np.array([1.0, 2, 5, 10]), np.array([0, 3, 0, 1])
        np.testing.assert_array_equal(time_means(returns, ages), [3, 2, 3, 10])

    def test_the_best_one_is_the_least_of_a_parabola(self, rng):
        psi, squares = rng.normal(3, 2, 50), rng.uniform(0, 4, 50)
        best = minimum_variance(psi, squares)
        around = [(squares * (psi - b) ** 2).sum() for b in (best - 1e-3, best, best + 1e-3)]
        assert around[1] < min(around[0], around[2])
        assert minimum_variance(psi, np.zeros(50)) == psi.mean()

    def test_shapes_are_checked(self):
        for function in (time_means, minimum_variance):
            with pytest.raises(ValueError, match="expected"):
                function(np.zeros(3), np.zeros(4, int))

    @pytest.mark.parametrize("env", [World, Choices], ids=["numbers", "choices"])
    def test_lengths_of_scores_are_those_of_each_row(self, rng, env):
        agent = REINFORCE(env, REINFORCEConfig(num_envs=1, hidden=(5,)), seed=2)
        observations = rng.normal(size=(6, 3)).astype(np.float32)
        distribution = agent.policy.forward(observations)
        actions, total = distribution.sample(rng), 0.0
        norms = squared_score_norms(agent.policy, observations, actions)
        for i in range(6):
            agent.policy.forward(observations)
            agent.policy.zero_grad()
            agent.policy.backward(distribution.log_prob_backward(actions, np.eye(6, dtype=np.float32)[i]), inputs=False)
            total = (agent.policy.flat.grad.astype(float) ** 2).sum()
            assert norms[i] == pytest.approx(total, rel=1e-4)

    @pytest.mark.parametrize("baseline", BASELINES)
    @pytest.mark.parametrize("returns", ["to-go", "total"])
    def test_each_of_them_learns_the_right_choice(self, baseline, returns):
        settings = dict(num_envs=8, steps=16, hidden=(16,), lr=2e-2, batch_size=64, baseline=baseline, returns=returns)
        agent = REINFORCE(vectorize(lambda: Target(discrete=True), 8), REINFORCEConfig(**settings)).learn(3000)
        assert rl.evaluate(agent, Target(discrete=True), 20).mean() > 0.95


class TestFragments:
    def rows(self, monkeypatch, fragments, steps=5, total=5):
        """The observations of the policy's step, from episodes of three steps."""
        seen = []

        def recording(policy, optimizer, observations, actions, psi, c):
            seen.append(observations[:, 0].tolist())
            return {}

        monkeypatch.setattr("rl.algorithms.policy_gradient.reinforce.policy_step", recording)
        config = REINFORCEConfig(num_envs=1, steps=steps, fragments=fragments, normalize_observations=False, hidden=(4,))
        REINFORCE(Counter(3), config).learn(total)
        return seen

    def test_the_unfinished_rest_is_dropped(self, monkeypatch):
        assert self.rows(monkeypatch, "drop") == [[0, 1, 2]]

    def test_or_kept(self, monkeypatch):
        assert self.rows(monkeypatch, "bootstrap") == [[0, 1, 2, 0, 1]]

    def test_a_rollout_without_an_end_teaches_nothing(self, monkeypatch):
        assert self.rows(monkeypatch, "drop", steps=2, total=4) == [[2]]

    def test_a_cut_return_is_completed_by_the_value(self):
        """One step of Counter pays 1; V says 100 for whatever comes."""
        agent = REINFORCE(Counter(3), REINFORCEConfig(num_envs=1, steps=1, gamma=0.5, scale_rewards=False, hidden=(4,), epochs=1))
        agent.value.flat.data[:] = 0
        agent.value.flat.data[-1] = 100
        targets = []
        agent.baseline = lambda samples, psi, ages: targets.append(psi) or 0.0
        agent.learn(1)
        np.testing.assert_allclose(targets[0], [1 + 0.5 * 100])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(returns="total", discount_steps=True), "expected discount_steps=False, as a total return is discounted"),
        (dict(baseline="minimum-variance", memory="gru"), "expected memory=None, as minimum-variance looks at each row"),
        (dict(baseline="median"), "expected REINFORCEConfig.baseline as one of"),
        (dict(fragments=None), "expected REINFORCEConfig.fragments as one of"),
    ],
)
def test_what_does_not_belong_together_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        REINFORCEConfig(**settings)
