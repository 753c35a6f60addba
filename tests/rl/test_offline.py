"""Learning from a data set: the loop, what is given, going on in an environment, files; and what the losses promise."""

import numpy as np
import pytest
from gymnasium import spaces

import rl
from rl.experience.datasets import DataSet, joined
from rl.experience.spaces import SpaceInfo
from rl.losses.advantage_weights import advantage_weights, standardized
from rl.losses.conservative import conservative_loss
from rl.training.resume import resume
from tests.rl.toys import Counter, Target, space, states

NAMES = [name for name, algorithm in rl.ALGORITHMS.items() if algorithm.family == "offline"]
SMALL = dict(hidden=(8,), batch_size=16, memory=400)


@pytest.fixture(scope="module")
def data():
    return rl.collect("random", Target(), 100, seed=0)


@pytest.fixture
def own_data(name, data):
    """Choices, for methods of choices alone."""
    return data if "Box" in rl.ALGORITHMS[name].takes.actions else rl.collect("random", task_of(name), 100, seed=0)


def task_of(name):
    """`Target`, as the method can take it."""
    return Target(discrete="Box" not in rl.ALGORITHMS[name].takes.actions)


def agent_of(name, data, **settings):
    cls = getattr(rl, name)
    own = dict(draws=2) if name == "CQL" else {}
    return cls.of_data(data, cls.Config(**{**SMALL, **own, **settings}), seed=1)


def assert_same(a, b):
    for name, x in states(a).items():
        np.testing.assert_array_equal(states(b)[name], x, err_msg=name)


def untouched(name):
    """An environment that nobody may step."""
    env = task_of(name)
    env.step = lambda action: pytest.fail("it was stepped")
    return env


@pytest.mark.parametrize("name", NAMES)
class TestOffline:
    def test_a_step_is_an_update_and_no_environment_is_needed(self, name, own_data):
        agent, metrics = agent_of(name, own_data), []
        before = agent.policy.flat.data.copy()
        agent.learn(30, lambda agent, m: metrics.append(m))
        assert (agent.steps, agent.policy_optimizer.t, len(agent.memory)) == (30, 15 if name == "TD3BC" else 30, 100)
        assert (agent.policy.flat.data != before).any()
        assert all(np.isfinite(list(m.values())).all() for m in metrics)

    def test_an_environment_waits(self, name, own_data):
        agent = agent_of(name, own_data)
        agent.set_env(untouched(name))
        assert agent.learn(20).collector is None

    def test_it_goes_on_in_the_environment(self, name, own_data):
        agent = agent_of(name, own_data, offline_steps=20)
        with pytest.raises(RuntimeError, match="call set_env"):
            agent.learn(20).learn(40)
        agent.set_env(task_of(name))
        agent.learn(50)
        assert (agent.steps, len(agent.memory)) == (50, 130)
        assert (agent.memory.actions[100:130] != agent.memory.actions[100]).any()
        assert agent.policy_optimizer.t == (25 if name == "TD3BC" else 50)

    def test_resume_equals_uninterrupted(self, name, own_data, tmp_path):
        """Within the data set, where it ends, and in the environment."""
        whole = agent_of(name, own_data, offline_steps=20)
        whole.set_env(task_of(name))
        whole.learn(40)
        for stop in (13, 20):
            part = agent_of(name, own_data, offline_steps=20).learn(stop)
            part.save(tmp_path / "part")
            assert_same(rl.load(tmp_path / "part", task_of(name)).learn(40), whole)

    def test_a_run_without_its_data(self, name, own_data, tmp_path):
        agent_of(name, own_data).learn(5).save(tmp_path / "agent", memory=False)
        agent = rl.load(tmp_path / "agent")
        assert agent.predict(np.zeros(1, np.float32)).shape == own_data.space.action.stored[0]
        with pytest.raises(RuntimeError, match=r"saved without its data set: call learn_from\(data\)"):
            agent.learn(10)
        assert agent.learn_from(own_data).learn(10).steps == 10


class TestGiven:
    def test_what_does_not_fit(self, data):
        with pytest.raises(ValueError, match="expected a data set of batch_size to memory rows, given 100 rows"):
            agent_of("BC", data, memory=50)
        with pytest.raises(ValueError, match="expected a data set of batch_size to memory rows"):
            agent_of("BC", data.take(np.arange(3)))
        with pytest.raises(TypeError, match=r"expected a DataSet \(rl.load_data reads one from a file\), given str"):
            rl.BC.of_data("data.safetensors")
        with pytest.raises(TypeError, match="given dict"):
            rl.BC(Target(), rl.BCConfig(**SMALL)).learn_from({})
        with pytest.raises(ValueError, match="does not fit the agent"):
            rl.BC(Counter(), rl.BCConfig(**SMALL)).learn_from(data)
        with pytest.raises(ValueError, match="IQL takes continuous actions"):
            rl.IQL.of_data(rl.collect("random", "CartPole-v1", 50))

    def test_steps_that_nothing_follows(self):
        """Every second row of long episodes: there is no next action to learn from."""
        steps = rl.collect("random", "CartPole-v1", 100).take(np.arange(0, 40, 2))
        steps = steps.take(~steps.terminated)
        with pytest.raises(ValueError, match="expected steps whose next action is in the data, given "):
            agent_of("FittedSARSA", steps, batch_size=4)

    def test_choices_are_imitated_and_weighted(self):
        data = rl.collect("random", Target(discrete=True), 400)
        for name, settings in (("AWR", dict(beta=0.2)), ("BC", {})):
            kept = data if name == "AWR" else data.take(data.rewards > 0)
            agent = agent_of(name, kept, lr=1e-2, **settings).learn(300)
            assert rl.evaluate(agent, Target(discrete=True), 20).mean() > 0.95

    def test_the_normaliser_learns_the_data_s_moments(self, data):
        agent = agent_of("BC", data)
        np.testing.assert_allclose(agent.normalizer.shift, data.observations.mean(axis=0), atol=1e-6)
        assert agent.learn(10).normalizer.moments.count == 100

    def test_another_data_set_takes_the_first_one_s_place(self, data):
        agent = agent_of("BC", data).learn(5)
        agent.learn_from(joined([data, data]))
        assert (len(agent.memory), agent.given.count) == (200, 200)

    @pytest.mark.parametrize("normalizer", ["standard", "min-max"])
    def test_so_do_its_moments(self, data, normalizer):
        """Given twice, as to an agent from a file without its data set, or after another one."""
        other = data.take(np.arange(50))
        agent, first = agent_of("BC", other, normalizer=normalizer), agent_of("BC", data, normalizer=normalizer)
        for _ in range(2):
            agent.learn_from(data)
            for name, moments in first.normalizer.state_dict().items():
                np.testing.assert_array_equal(agent.normalizer.state_dict()[name], moments, err_msg=name)

    def test_an_environment_that_will_be_missing_is_asked_for_at_once(self, data):
        agent = agent_of("AWAC", data, offline_steps=10)
        with pytest.raises(RuntimeError, match=r"10 of 20 steps are updates on the data set, and there is no environment"):
            agent.learn(20)
        assert agent.steps == 0
        with pytest.warns(UserWarning, match="nothing to learn"):
            agent.learn(10).learn(10)

    def test_several_copies_deal_it(self, data):
        agent = agent_of("BC", data, num_envs=3)
        assert (agent.memory.copies, len(agent.memory)) == (3, 100)

    def test_a_run_goes_on_without_the_file(self, data, tmp_path):
        def begun():
            agent = rl.BC("Pendulum-v1", rl.BCConfig(**SMALL), seed=0)
            return agent.learn_from(rl.collect("random", "Pendulum-v1", 50))

        whole = begun().learn(30)
        begun().learn(20, log=tmp_path / "run")
        agent, run = resume(tmp_path / "run")
        assert_same(agent.learn(30, log=run), whole)

    def test_without_a_data_set_it_explores_first(self):
        agent = rl.IQL(Target(), rl.IQLConfig(**SMALL, warmup=30), seed=0)
        assert not agent.offline
        assert (agent.learn(30).policy_optimizer.t, len(agent.memory)) == (0, 30)
        assert agent.learn(50).policy_optimizer.t == 20


class TestWeights:
    def test_no_advantage_overflows(self):
        for kind in (np.float32, np.float64):
            w = advantage_weights(np.array([-1e30, -1, 0, 1, 1e30], kind), 0.5, 20)
            np.testing.assert_allclose(w, [0, np.exp(-2), 1, np.exp(2), 20], rtol=1e-6)
            assert w.dtype == kind

    def test_standardized(self, rng):
        x = standardized(rng.normal(3, 7, 500))
        assert (x.mean(), x.std()) == pytest.approx((0, 1), abs=1e-7)
        np.testing.assert_array_equal(standardized(np.ones(4, np.float32)), 0)

    def test_they_solve_the_regularised_problem(self, rng):
        """π ∝ b e^{A/β} has the largest E_π A − β KL(π‖b) of all policies."""
        b, advantages, beta = rng.dirichlet(np.ones(5)), rng.normal(size=5), 0.7

        def objective(p):
            return p @ advantages - beta * (p * np.log(p / b)).sum()

        best = b * advantage_weights(advantages, beta, 1e9)
        best /= best.sum()
        assert all(objective(p) < objective(best) for p in rng.dirichlet(np.ones(5), 1000))
        assert objective(best) == pytest.approx(beta * np.log(b @ np.exp(advantages / beta)))


class TestConservative:
    def test_it_estimates_the_integral(self, rng):
        """∫ e^{Q(a)} da over [−1, 1] for Q(a) = 3a, from uniform actions of density ½."""
        a = rng.uniform(-1, 1, (1, 200_000))
        value, *_ = conservative_loss(3 * a, np.zeros(1), np.full_like(a, np.log(0.5)), 1.0)
        assert value == pytest.approx(np.log((np.exp(3) - np.exp(-3)) / 3), abs=0.01)

    def test_large_values_do_not_overflow(self):
        value, ddrawn, dstored = conservative_loss(np.array([[1e4, 0]], "f"), np.zeros(1, "f"), np.zeros((1, 2), "f"), 2.0)
        assert value == pytest.approx(2 * (1e4 - np.log(2)))
        np.testing.assert_allclose(ddrawn, [[2, 0]])
        np.testing.assert_allclose(dstored, [-2])

    def test_what_does_not_fit(self):
        with pytest.raises(ValueError, match="log_p"):
            conservative_loss(np.zeros((2, 3)), np.zeros(2), np.zeros((2, 2)), 1.0)
        with pytest.raises(ValueError, match="expected a form among"):
            conservative_loss(np.zeros((2, 3)), np.zeros(2), np.zeros((2, 3)), 1.0, "max")

    def test_values_of_other_actions_fall(self):
        """All actions of the data lie in [−0.3, 0.3] and pay 0; with α_c, those beyond are worth less than those within."""
        rng = np.random.default_rng(0)
        data = one_state(rng.uniform(-0.3, 0.3, 300), np.zeros(300))
        gaps = []
        for conservatism in (0.0, 5.0):
            agent = agent_of("CQL", data, lr=3e-3, hidden=(16,), draws=4, conservatism=conservatism).learn(300)
            s = np.zeros((2, 1), np.float32)
            within = agent.critics.action_gradient(s, np.float32([[0.1], [-0.1]]))[0].mean()
            gaps.append(within - agent.critics.action_gradient(s, np.float32([[0.9], [-0.9]]))[0].mean())
        assert gaps[1] > gaps[0] + 1


def one_state(actions, rewards) -> DataSet:
    """Steps that end at once, all in the same state."""
    count, nothing = len(actions), np.zeros((len(actions), 1), np.float32)
    columns = np.float32(actions)[:, None], np.float32(rewards)
    return DataSet(space(1, 1), nothing, *columns, nothing, np.ones(count, bool), np.zeros(count, bool))


def test_the_expectile_goes_from_the_mean_to_the_best_action():
    """Three actions that pay 0, 1 and 2: V rises with τ, from their mean to the largest."""
    actions = np.tile([-0.5, 0.0, 0.5], 100)
    data, values = one_state(actions, np.tile([0.0, 1.0, 2.0], 100)), []
    for expectile in (0.5, 0.7, 0.9, 0.99):
        settings = dict(normalize_observations=False, hidden=(16,), batch_size=64, lr=1e-2, tau=0.1)
        agent = agent_of("IQL", data, expectile=expectile, **settings).learn(500)
        values.append(float(agent.value.target(np.zeros((1, 1), np.float32))[0]))
    assert values == sorted(values)
    assert values[0] == pytest.approx(1, abs=0.15)
    assert values[-1] == pytest.approx(2, abs=0.2)


def two_states(rng, discrete: bool) -> tuple[DataSet, np.ndarray]:
    """10,000 steps of a policy that knows two states and two actions, and the exact Q of that policy (S, A).

    Action a leads to state a with probability 0.9. A step is the last one with probability 0.3; the next episode begins in
    state 1. γ = 0.9.
    """
    b, rewards = np.array([[0.7, 0.3], [0.6, 0.4]]), np.array([[0.0, 1.0], [-1.0, 3.0]])
    moves, state, steps = np.array([[0.9, 0.1], [0.1, 0.9]]), 1, []
    for _ in range(10_000):
        a, ends = int(rng.random() < b[state, 1]), rng.random() < 0.3
        following = int(rng.random() < moves[a, 1])
        steps.append((state, a, following, ends))
        state = 1 if ends else following
    states, choices, following, terminated = map(np.array, zip(*steps, strict=True))
    layout = SpaceInfo.of(spaces.Box(0, 1, (2,), np.float32), spaces.Discrete(2)) if discrete else space(2, 1)
    seen, actions = np.eye(2, dtype=np.float32), choices if discrete else np.float32(choices - 0.5)[:, None]
    columns = seen[states], actions, np.float32(rewards[states, choices]), seen[following]
    values = np.linalg.solve(np.eye(2) - 0.63 * b @ moves, (b * rewards).sum(axis=1))
    return DataSet(layout, *columns, terminated, np.zeros(10_000, bool)), rewards + 0.63 * moves @ values


@pytest.mark.parametrize("name", ["FittedSARSA", "IQL", "AWR"])
def test_one_step_of_improvement_learns_the_values_of_the_data_s_policy(name, rng):
    """By the data's next action, by V of single steps (the expectile ½), and by returns. The best policy's are far above."""
    data, q = two_states(rng, discrete=name == "FittedSARSA")
    settings = dict(normalize_observations=False, hidden=(16,), batch_size=256, memory=10_000, lr=1e-2, gamma=0.9)
    settings |= {"FittedSARSA": dict(tau=0.1), "IQL": dict(tau=0.1, expectile=0.5), "AWR": {}}[name]
    agent = agent_of(name, data, **settings).learn(500)
    v = (np.array([[0.7, 0.3], [0.6, 0.4]]) * q).sum(axis=1)
    s = np.eye(2, dtype=np.float32)
    if name == "FittedSARSA":
        np.testing.assert_allclose(agent.policy.predict(s), q, atol=0.25)
    else:
        np.testing.assert_allclose(agent.value.target(s), v, atol=0.25)


def test_the_kl_methods_find_the_best_policy_near_the_data_s(rng):
    """b = N(0, 0.3²), Q(a) = −(a − 0.5)², β = 0.5.

    Reverse: π ∝ b e^{Q/β} is a Gaussian of precision 1/0.3² + 2/β and mean 2·0.5/β over it. Forward: the smallest of
    E_π(a − 0.5)² + β E_b[(a − μ)²/2σ² + ln σ], where its derivatives vanish: 2(μ − 0.5) + βμ/σ² = 0 and
    2σ² + β = β(0.3² + μ²)/σ².
    """
    actions = np.clip(0.3 * rng.standard_normal(400), -1, 1)
    data, precision = one_state(actions, -((actions - 0.5) ** 2)), 1 / 0.3**2 + 2 / 0.5
    mean, sigma = 0.0, 0.3
    for _ in range(100):
        mean, sigma = 1 / (2 + 0.5 / sigma**2), np.sqrt(0.5 * (0.3**2 + mean**2) / (2 * sigma**2 + 0.5))
    best = {"ReverseKL": (2 / precision, precision**-0.5), "ForwardKL": (mean, sigma)}
    settings = dict(normalize_observations=False, hidden=(16,), batch_size=128, lr=1e-2, tau=0.1, beta=0.5, max_grad_norm=10.0)
    for name, expected in best.items():
        pi = agent_of(name, data, **settings).learn(800).policy.predict(np.zeros((1, 1), np.float32))
        assert (pi.mean[0, 0], pi.sigma[0]) == pytest.approx(expected, abs=0.04)


def test_without_weight_on_values_td3_imitates(data):
    """α = 0: μ goes to the mean action of each state, whatever it earns."""
    data = one_state(np.tile([-0.2, 0.6], 100), np.tile([100.0, -100.0], 100))
    agent = agent_of("TD3BC", data, value_weight=0.0, lr=1e-2, normalize_observations=False).learn(400)
    assert agent.policy.predict(np.zeros((1, 1), np.float32))[0, 0] == pytest.approx(0.2, abs=0.08)


class TestFittedIteration:
    """FQI takes the same data sets; their rows count as its steps."""

    def test_it_fits_a_data_set(self):
        data = rl.collect("random", Target(discrete=True), 300)
        config = rl.FQIConfig(**SMALL, rounds=3, round_steps=60, lr=1e-2)
        agent = rl.FQI.of_data(data, config, seed=0).learn(300)
        assert (agent.steps, agent.policy_optimizer.t, agent.owes) == (300, 180, False)
        assert rl.evaluate(agent, Target(discrete=True), 20).mean() == 1
        with pytest.raises(RuntimeError, match="call set_env"):
            agent.learn(400)
        agent.set_env(Target(discrete=True))
        agent.learn(400)
        assert (len(agent.memory), agent.policy_optimizer.t) == (400, 360)

    def test_more_steps_need_an_environment(self):
        agent = rl.FQI.of_data(rl.collect("random", Target(discrete=True), 50), rl.FQIConfig(**SMALL), seed=0)
        with pytest.raises(RuntimeError, match="50 steps are to be taken, and there is no environment"):
            agent.learn(100)
