"""The loop that judges many candidates at once: every score is that of its candidate, every step counts, and nothing is lost."""

import copy
import signal

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

import deepnp
import rl
from rl.experience.collector import Step
from rl.experience.generation import NOBODY, Generation
from rl.loops import population
from rl.networks.ensemble import act_by_row, act_one_by_one
from rl.runs.stopping import end_soon
from tests.rl.toys import Remembering, states, vectorize

MODES = pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP], ids=["same", "next"])


class Telling(gymnasium.Env):
    """What a policy without hidden layers pays is its bias b, whatever it sees: r_t = b + t, for as many steps as b says."""

    def __init__(self, truncates: bool = False, limit: int | None = None):
        self.observation_space = spaces.Box(-1, 1, (1,), np.float32)
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)
        self.truncates, self.limit = truncates, limit

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.count += 1
        done = self.count >= (length_of(action[0]) if self.limit is None else self.limit)
        reward = float(action[0]) + self.count - 1
        return np.zeros(1, np.float32), reward, done and not self.truncates, done and self.truncates, {}


def length_of(bias) -> int:
    return 3 + int(4 * abs(bias))


def searcher(make, copies: int, mode=AutoresetMode.SAME_STEP, name: str = "CEM", **settings):
    algorithm = getattr(rl, name)
    config = algorithm.Config(**{"population": 7, "hidden": (), "initial_sigma": 0.4, **settings})
    env = make if isinstance(make, str) else vectorize(make, copies, mode)
    return algorithm(env, config, seed=1)


def scores_of(agent, steps: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Candidates and scores of each generation in a training."""
    found, update = [], agent.update

    def recording(candidates, scores):
        found.append((candidates.copy(), scores.copy()))
        return update(candidates, scores)

    agent.update = recording
    agent.learn(steps)
    return found


class TestScores:
    @MODES
    @pytest.mark.parametrize(("copies", "episodes"), [(1, 1), (3, 1), (4, 3), (20, 1)])
    def test_each_is_the_return_of_its_candidate(self, mode, copies, episodes):
        """Also with candidates whose episodes are of different lengths, and with more copies than candidates."""
        generations = scores_of(searcher(Telling, copies, mode, episodes=episodes), 400)
        assert len(generations) >= 2
        for candidates, scores in generations:
            for (_, bias), score in zip(candidates, scores, strict=True):
                action = np.clip(bias, -1, 1)
                assert score == pytest.approx(sum(action + t for t in range(length_of(action))), rel=1e-5)

    def test_discounted(self):
        for candidates, scores in scores_of(searcher(Telling, 3, gamma=0.5), 200):
            for (_, bias), score in zip(candidates, scores, strict=True):
                action = np.clip(bias, -1, 1)
                assert score == pytest.approx(sum(0.5**t * (action + t) for t in range(length_of(action))), rel=1e-5)

    @MODES
    def test_of_a_horizon_goes_on_where_an_episode_is_truncated(self, mode):
        """Five steps a candidate, episodes cut every two: rewards b, b + 1, b, b + 1, b."""
        generations = scores_of(searcher(lambda: Telling(truncates=True, limit=2), 2, mode, horizon=5), 200)
        assert len(generations) >= 2
        for candidates, scores in generations:
            np.testing.assert_allclose(scores, 5 * np.clip(candidates[:, 1], -1, 1) + 2, atol=1e-4)

    @MODES
    @pytest.mark.parametrize("copies", [1, 2, 9])
    @pytest.mark.parametrize("limit", [3, 4, 100])
    @pytest.mark.parametrize("truncates", [True, False])
    def test_of_a_horizon_begin_with_an_episode(self, mode, copies, limit, truncates):
        """Rewards b, b + 1, b + 2, whatever the candidate before did, and however long the episode goes on."""
        agent = searcher(lambda: Telling(truncates, limit), copies, mode, horizon=3, episodes=2)
        generations = scores_of(agent, 400)
        assert len(generations) >= 2
        for candidates, scores in generations:
            np.testing.assert_allclose(scores, 3 * np.clip(candidates[:, 1], -1, 1) + 3, atol=1e-4)

    def test_of_a_horizon_ends_with_an_episode_that_terminates(self):
        for candidates, scores in scores_of(searcher(lambda: Telling(limit=2), 2, horizon=5), 200):
            np.testing.assert_allclose(scores, 2 * np.clip(candidates[:, 1], -1, 1) + 1, rtol=1e-5, atol=1e-5)


class TestSteps:
    def test_all_of_them_count(self):
        agent = searcher(Telling, 4)
        steps = []

        class Counting(rl.Callback):
            def on_step(self, agent, step):
                steps.append(int(step.valid.sum()))

        agent.learn(300, Counting())
        assert agent.steps == sum(steps)
        assert 300 <= agent.steps < 304

    def test_idle_ones_are_told(self):
        """Seven tasks of two steps in five copies: 7 of 10 tasks' time is used, and all of it with one copy."""
        shares = {}
        for copies in (1, 5):
            metrics = []
            searcher(lambda: Telling(limit=2), copies).learn(100, lambda agent, m, metrics=metrics: metrics.append(m))
            shares[copies] = metrics[0]["idle"]
        assert shares == {1: 0, 5: pytest.approx(0.3)}

    def test_a_copy_without_a_candidate_plays_the_mean(self, monkeypatch):
        agent, idle = searcher(Telling, 5), []

        def checking(policy, parameters, observations):
            for task, own in zip(agent.generation.tasks, parameters, strict=True):
                expected = policy.flat.data if task == NOBODY else agent.generation.candidates[task % 7]
                np.testing.assert_array_equal(own, expected)
                idle.append(task == NOBODY)
            return act_by_row(policy, parameters, observations)

        monkeypatch.setattr(population, "act_by_row", checking)
        agent.learn(200)
        assert 0 < sum(idle) < len(idle)

    def test_a_generation_begins_new_episodes_in_all_copies(self):
        agent, lengths = searcher(Telling, 5), []
        observe, draw = agent.observe, agent.draw
        agent.draw = lambda: lengths.append([]) or draw()
        agent.observe = lambda observations: lengths[-1].append(agent.collector.lengths.copy()) or observe(observations)
        agent.learn(300)
        assert len(lengths) > 3
        assert not any(generation[0].any() for generation in lengths)
        ends = [generation[-1] for generation in lengths]
        assert any((end > 0).any() for end in ends)  # somebody was in the middle of an episode before


def in_the_middle(agent):
    """Trained until three candidates of a generation are judged, and others are not."""

    class Stop(rl.Callback):
        def on_step(self, agent, step):
            return agent.generation.done.sum() != 3

    return agent.learn(10_000, Stop())


@pytest.mark.parametrize("name", ["CEM", "CMAES"])
class TestResume:
    def assert_alike(self, agent, twin):
        assert agent.steps == twin.steps
        for key, array in states(agent).items():
            np.testing.assert_array_equal(array, states(twin)[key], err_msg=key)

    @pytest.mark.parametrize("stop", [1, 50, 137, 400])
    @pytest.mark.parametrize("normalize", [False, True])
    def test_in_the_middle_of_a_generation_to_the_bit(self, name, stop, normalize, tmp_path):
        def make():
            return searcher([Remembering] * 3, 3, name=name, episodes=2, normalize_observations=normalize)

        whole, halves = self.trained(make, name, normalize).learn(900), self.trained(make, name, normalize).learn(stop)
        halves.save(tmp_path / "half.safetensors")
        again = getattr(rl, name).load(tmp_path / "half.safetensors", [Remembering] * 3)
        self.assert_alike(whole, again.learn(900))
        self.assert_alike(whole, halves.learn(900))

    def trained(self, make, name, normalize):
        algorithm = getattr(rl, name)
        config = algorithm.Config(num_envs=3, population=7, hidden=(4,), episodes=2, normalize_observations=normalize)
        return algorithm([Remembering] * 3, config, seed=1)

    def test_a_copy_goes_on_alike(self, name):
        agent = searcher("Pendulum-v1", 1, name=name, num_envs=3).learn(700)
        twin = copy.deepcopy(agent)
        self.assert_alike(agent.learn(2500), twin.learn(2500))

    def test_new_episodes_lose_no_score_and_no_candidate(self, name):
        """Somebody played in the environment: what is done stays, what was under way is played again."""
        agent = searcher(Telling, 3, name=name, initial_sigma=0.3)
        in_the_middle(agent)
        before = agent.generation.done.copy(), agent.generation.returns.copy(), agent.generation.candidates.copy()
        agent.env.reset(seed=5)
        agent.forget_episodes()
        (candidates, scores), *_ = scores_of(agent, 200)
        np.testing.assert_array_equal(candidates, before[2])
        np.testing.assert_array_equal(scores[before[0][0]], before[1][before[0]])
        action = np.clip(candidates[:, 1], -1, 1)
        np.testing.assert_allclose(scores, [sum(a + t for t in range(length_of(a))) for a in action], rtol=1e-5)

    def test_another_number_of_copies_goes_on_with_the_same_candidates(self, name, tmp_path):
        agent = in_the_middle(searcher(Telling, 3, name=name))
        agent.save(tmp_path / "a.safetensors")
        with pytest.warns(UserWarning, match="begins new episodes"):
            again = getattr(rl, name).load(tmp_path / "a.safetensors", vectorize(Telling, 5))
        (candidates, scores), *_ = scores_of(again, 300)
        done = agent.generation.done[0]
        np.testing.assert_array_equal(candidates, agent.generation.candidates)
        np.testing.assert_array_equal(scores[done], agent.generation.returns[0, done])

    def test_an_interrupt_leaves_a_whole_generation(self, name):
        agent = searcher(Telling, 3, name=name)

        class Stop(rl.Callback):
            def on_step(self, agent, step):
                if agent.steps > 40:
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            agent.learn(300, Stop())
        for candidates, scores in scores_of(agent, 300):
            action = np.clip(candidates[:, 1], -1, 1)
            np.testing.assert_allclose(scores, [sum(a + t for t in range(length_of(a))) for a in action], rtol=1e-5)

    def test_a_signal_ends_it_after_the_step(self, name):
        class Signalled(rl.Callback):
            def on_step(self, agent, step):
                if agent.steps > 40:
                    end_soon(agent)  # as Interrupt and StopOnSignal do

        assert searcher(Telling, 3, name=name).learn(10_000, Signalled()).steps < 48

    def test_ctrl_c_waits_for_the_step_and_no_longer(self, name):
        class Pressed(rl.Callback):
            def on_step(self, agent, step):
                if agent.steps == 30:
                    signal.raise_signal(signal.SIGINT)

        agent = searcher(Telling, 3, name=name)
        with pytest.raises(KeyboardInterrupt):
            agent.learn(10_000, Pressed())
        assert agent.steps == 33

    def test_a_callback_ends_it_at_once(self, name):
        class Stop(rl.Callback):
            def on_step(self, agent, step):
                return False

        assert searcher(Telling, 3, name=name).learn(300, Stop()).steps == 3


class TestGeneration:
    def step(self, ended, rewards=None):
        ended = np.array(ended)
        rewards = np.ones(len(ended)) if rewards is None else np.array(rewards)
        return Step(rewards, ended, np.zeros(len(ended), bool), np.ones(len(ended), bool), {})

    def test_tasks_are_dealt_in_order_and_once(self):
        generation = Generation(3, 1, 2, 1.0, None)
        assert generation.complete
        generation.start(np.arange(3.0)[:, None])
        generation.begin(2)
        given = generation.tasks.tolist()
        while not generation.complete:
            given += generation.tasks[generation.record(self.step([False, True]))].tolist()
            given += generation.tasks[generation.record(self.step([True, False]))].tolist()
        assert sorted(task for task in given if task != NOBODY) == list(range(6))

    def test_after_a_horizon_the_next_task_waits_for_a_new_episode(self):
        generation = Generation(5, 1, 1, 1.0, 2)
        generation.start(np.zeros((5, 1)))
        generation.begin(2)
        told = []
        for ended in ([False, True], [False, False], [True, False], [False, False], [False, False]):
            changed = generation.record(self.step(ended)).tolist()
            told.append((changed, generation.tasks.tolist(), generation.waiting))
        assert told == [
            ([1], [0, 2], False),  # copy 1 is at a beginning
            ([0], [NOBODY, 2], False),  # copy 0 is not, and plays on
            ([0, 1], [3, NOBODY], False),  # now it is; copy 1 has reached the horizon
            ([], [3, NOBODY], False),
            ([0], [NOBODY, NOBODY], True),
        ]
        generation.begin(2)
        assert generation.tasks.tolist() == [4, NOBODY]
        assert not generation.waiting
        np.testing.assert_array_equal(generation.returns, [[2, 1, 2, 2, 0]])

    def test_a_file_that_does_not_fit_is_refused(self):
        generation = Generation(3, 1, 2, 1.0, None)
        generation.start(np.zeros((3, 1)))
        generation.begin(2)
        good = {name: np.array(array) for name, array in generation.state_dict().items()}
        for name, wrong in {
            "tasks": np.array([0, 0]),
            "lengths": np.zeros(3, int),
            "candidates": np.zeros((2, 1), np.float32),
            "done": np.zeros((1, 3), bool),
        }.items():
            with pytest.raises(ValueError, match="expected"):
                generation.load_state_dict({**good, name: wrong})
        for tasks in ([-2, 1], [6, 1]):
            with pytest.raises(ValueError, match="expected different tasks below 6"):
                generation.load_state_dict({**good, "tasks": np.array(tasks)})
        generation.load_state_dict(good)


class TestEnsemble:
    SPACES = {
        "Box": spaces.Box(-1, 1, (2,), np.float32),
        "Discrete": spaces.Discrete(4),
        "MultiDiscrete": spaces.MultiDiscrete([3, 2]),
        "MultiBinary": spaces.MultiBinary(3),
        "Tuple": spaces.Tuple([spaces.Discrete(3), spaces.Box(-1, 1, (2,), np.float32)]),
    }

    @pytest.mark.parametrize("kind", SPACES)
    @pytest.mark.parametrize("hidden", [(), (5,), (6, 4)])
    def test_equals_one_network_after_the_other(self, rng, kind, hidden):
        seen = spaces.Box(-np.inf, np.inf, (3,), np.float32)
        agent = rl.CEM.of_spaces(seen, self.SPACES[kind], rl.CEMConfig(hidden=hidden))
        self.compare(agent, rng, rng.normal(size=(9, 3)).astype(np.float32))

    @pytest.mark.parametrize("activation", ["relu", "elu", "gelu", "silu", "leaky_relu"])
    def test_whatever_the_activation(self, rng, activation):
        seen, action = spaces.Box(-np.inf, np.inf, (3,), np.float32), self.SPACES["Box"]
        agent = rl.CEM.of_spaces(seen, action, rl.CEMConfig(activation=activation))
        self.compare(agent, rng, rng.normal(size=(9, 3)).astype(np.float32))

    def test_with_a_mask(self, rng):
        vector, mask = rng.normal(size=(9, 3)).astype(np.float32), np.ones((9, 4), bool)
        mask[:, 1] = False
        seen = spaces.Dict({"x": spaces.Box(-9, 9, (3,), np.float32), "action_mask": spaces.MultiBinary(4)})
        agent = rl.CEM.of_spaces(seen, spaces.Discrete(4), rl.CEMConfig())
        actions = self.compare(agent, rng, (vector, mask))
        assert 1 not in actions

    def test_with_images(self, rng):
        seen = spaces.Box(0, 255, (12, 12, 1), np.uint8)
        agent = rl.CEM.of_spaces(seen, spaces.Discrete(2), rl.CEMConfig())
        pixels = agent.space.observation.split(rng.integers(0, 255, (3, 12, 12, 1), dtype=np.uint8), np.float32)
        self.compare(agent, rng, pixels)

    def test_of_a_network_of_ones_own(self, rng):
        net = deepnp.Sequential(deepnp.Linear(3, 4, bias=False, rng=rng), deepnp.Tanh(), deepnp.Linear(4, 2, rng=rng))
        agent = rl.CEM(Plane(), rl.CEMConfig(population=4), networks={"policy": net})
        self.compare(agent, rng, rng.normal(size=(9, 3)).astype(np.float32))
        agent.learn(50)

    def compare(self, agent, rng, observations):
        kept = agent.policy.flat.data.copy()
        rows = len(observations[0]) if isinstance(observations, tuple) else len(observations)
        parameters = rng.normal(size=(rows, len(kept))).astype(np.float32)
        actions = act_by_row(agent.policy, parameters, observations)
        np.testing.assert_allclose(actions, act_one_by_one(agent.policy, parameters, observations), rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(agent.policy.flat.data, kept)
        return actions


class Plane(gymnasium.Env):
    """Three numbers, two actions, one step."""

    observation_space, action_space = spaces.Box(-1, 1, (3,), np.float32), spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(3, np.float32), {}

    def step(self, action):
        return np.zeros(3, np.float32), float(action.sum()), True, False, {}
