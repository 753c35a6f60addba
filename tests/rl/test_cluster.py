"""Shards of environments, here and on a Ray cluster: the same bits, also when a worker dies."""

import signal
import sys
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

import envs  # noqa: F401  (registers deepnp/…)
from deepnp import Linear
from rl import DPG, PPO, REPS, SAC, DPGConfig, PPOConfig, REPSConfig, evaluate
from rl.cluster.shard import Shard
from rl.cluster.sharded import Here, ShardedVector
from rl.runs.record import read_config
from rl.schedules import Step

ENV = "deepnp/Navigation-v0"
CONFIG = PPOConfig(steps=8, batch_size=16, epochs=1, hidden=(8,))


def trained(workers=None, steps=120, shards=2, config=CONFIG, env=ENV):
    """The agent after so many steps with 5 copies: 3 in one shard, 2 in the other."""
    vector = ShardedVector(env, 5, shards, workers)
    return PPO(vector, config, seed=3).learn(steps)


def bits(agent):
    return np.concatenate([agent.policy.flat.data, agent.value.flat.data, agent.normalizer.moments.mean, agent.scaler.moments.mean])


class Mortal(Here):
    """Loses a shard at the n-th call of `collect`, before or after it did its work."""

    def __init__(self, lost: int, at: int, after: bool):
        super().__init__()
        self.lost, self.at, self.after, self.calls = lost, at, after, 0

    def open(self, makers):
        self.makers = makers
        super().open(makers)

    def call(self, method, arguments, revive):
        if method == "collect":
            self.calls += 1
            if self.calls == self.at:
                if self.after:
                    self.shards[self.lost].collect(*arguments[self.lost])
                self.shards[self.lost] = self.makers[self.lost]()
                for name, *given in revive(self.lost):
                    getattr(self.shards[self.lost], name)(*given)
        return super().call(method, arguments, revive)


def test_same_seed_same_bits_and_it_learns_from_all_copies():
    first, second = trained(), trained()
    np.testing.assert_array_equal(bits(first), bits(second))
    assert first.steps == 120
    assert first.normalizer.moments.count == 120
    assert (bits(trained(shards=1)) != bits(first)).any()  # other draws of actions


def test_reps_learns_from_shards():
    agent = REPS(ShardedVector("deepnp/Crawler-v0", 4, 2), REPSConfig(steps=8, hidden=(8,), updates=2), seed=0).learn(64)
    assert agent.steps == 64


def test_shards_follow_schedules():
    """Without noise from half of the training on, two draws of actions are alike."""
    config = DPGConfig(steps=4, hidden=(8,), lr=0.0, critic_lr=0.0, exploration=Step(0.5, 0.0, at=(0.5,)))
    rollouts = []
    agent = DPG(ShardedVector("deepnp/Crawler-v0", 4, 2), config, seed=0)
    update = agent.update
    with mock.patch.object(DPG, "update", lambda self, rollout, progress: rollouts.append(rollout) or update(rollout, progress)):
        agent.learn(64)
    noise = []
    for r in rollouts:
        means = agent.policy.predict(r.observations.reshape(16, -1)).reshape(r.actions.shape)
        noise.append(np.abs(r.actions - means).max())
    assert min(noise[:2]) > 0.1
    assert max(noise[2:]) < 1e-6


def test_networks_of_one_s_own_are_refused():
    """A shard would make the algorithm's own, and act with the wrong one where as many parameters fit."""
    vector = ShardedVector(ENV, 2, 1)
    space = PPO(ENV, CONFIG).space
    agent = PPO(vector, CONFIG, policy=Linear(space.observations, space.actions))
    with pytest.raises(ValueError, match=r"expected networks that shards can make .* given own ones: .'policy'"):
        agent.learn(16)


def test_sharded_rollouts_equal_those_of_one_vector():
    """With one shard, and nothing that moves within a rollout, training is the local loop's."""
    config = replace(CONFIG, normalize_observations=False, scale_rewards=False)
    rollouts = []

    class Listening(PPO):
        def update(self, rollout, progress):
            rollouts.append(rollout)
            return super().update(rollout, progress)

    vector = ShardedVector(ENV, 3, 1)
    agent = Listening(vector, config, seed=0)
    agent.learn(24)
    replica = vector.workers.shards[0].replica.agent
    local = Listening(ENV, replace(config, num_envs=3), seed=0)
    local.rngs["actions"].bit_generator.state = PPO(ENV, config, seed=replica.seed).rngs["actions"].bit_generator.state
    local.env.reset(seed=0)
    local.learn(24)
    for name in ("observations", "actions", "rewards", "terminated", "truncated", "valid", "last"):
        np.testing.assert_array_equal(getattr(rollouts[0], name), getattr(rollouts[1], name), err_msg=name)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [2, 3])
def test_a_lost_worker_is_replaced_and_no_bit_differs(at, after):
    lossy = trained(Mortal(1, at, after))
    assert lossy.steps == 120
    np.testing.assert_array_equal(bits(lossy), bits(trained()))


def test_a_lost_worker_without_a_state_begins_new_episodes(monkeypatch):
    monkeypatch.setattr(Shard, "state", lambda self: {})
    lossy = trained(Mortal(1, 2, False))
    assert lossy.steps == 120
    assert (bits(lossy) != bits(trained())).any()


def test_it_resumes_exactly(tmp_path):
    through = trained(steps=120)
    trained(steps=40).save(tmp_path / "x")
    agent = PPO.load(tmp_path / "x", ShardedVector(ENV, 5, 2)).learn(120)
    np.testing.assert_array_equal(bits(agent), bits(through))
    with pytest.raises(ValueError, match="expected the state of 3 shards, given that of 2"):
        PPO.load(tmp_path / "x", ShardedVector(ENV, 5, 3))


def test_mirror_images_and_evaluation():
    agent = trained(config=replace(CONFIG, mirror=True), env="deepnp/Walker-v0", steps=40)
    assert agent.normalizer.moments.count == 80  # and the reflections
    with pytest.raises(NotImplementedError, match="does not step by itself"):
        evaluate(agent, agent.env, 5)
    assert evaluate(trained(), ENV, 2).shape == (2,)


def test_careless_use():
    with pytest.raises(ValueError, match="3 shards of 2 copies"):
        ShardedVector(ENV, 2, 3)
    with pytest.raises(TypeError, match="expected an environment's id"):
        ShardedVector(lambda: None, 2, 1)
    with pytest.raises(ValueError, match="unknown environment"):
        ShardedVector("Nothing-v0", 2, 1)
    with pytest.raises(NotImplementedError, match="does not step by itself"):
        SAC(ShardedVector(ENV, 2, 1)).learn(10)


@pytest.fixture
def ray():
    """Ray, not started; what it makes of SIGTERM is undone."""
    ray = pytest.importorskip("ray")
    before = signal.getsignal(signal.SIGTERM)
    yield ray
    ray.shutdown()
    signal.signal(signal.SIGTERM, before)


@pytest.mark.filterwarnings("default")
def test_on_a_ray_cluster_of_two_nodes(ray):
    """Start-up takes most of the time. A worker's process is killed between two iterations."""
    from ray.cluster_utils import Cluster

    from rl.cluster.ray_workers import RayWorkers

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False)
        workers, killed = RayWorkers(cores=0.5), []

        def kill(agent, metrics):
            if not killed:
                ray.kill(workers.actors[1])
                killed.append(True)

        vector = ShardedVector(ENV, 5, 2, workers)
        agent = PPO(vector, CONFIG, seed=3).learn(120, kill)
        assert killed
        assert agent.steps == 120
        np.testing.assert_array_equal(bits(agent), bits(trained()))
        vector.close()
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.mark.filterwarnings("default")
def test_seeds_as_tasks_of_a_cluster(tmp_path, ray):
    """The same scores as with processes of one machine; a seed that fails leaves the others alone."""
    from rl.cluster.ray_workers import need_ray
    from rl.cluster.tasks import RayTasks
    from rl.training.judging import evaluate_runs
    from rl.training.seeds import train_seeds

    before = signal.getsignal(signal.SIGTERM)
    need_ray()
    assert signal.getsignal(signal.SIGTERM) is before
    chosen = dict(seeds=2, steps=64, every=64, episodes=2)
    tasks = train_seeds("ppo", ENV, CONFIG, folder=tmp_path / "tasks", runner=RayTasks(), **chosen)
    assert not tasks.failures
    processes = train_seeds("ppo", ENV, CONFIG, folder=tmp_path / "processes", **chosen)
    assert tasks.scores == processes.scores
    assert read_config(tasks.folders[0])["command"] == sys.argv  # not that of Ray's worker
    played = evaluate_runs(list(tasks.folders.values()), 2, seed=1, runner=RayTasks())
    assert {n: played[folder]["return"].mean() for n, folder in tasks.folders.items()} == tasks.scores
    (tmp_path / "failing" / "seed-1").mkdir(parents=True)
    (tmp_path / "failing" / "seed-1" / "progress.csv").write_text("somebody else's")
    failing = train_seeds("ppo", ENV, CONFIG, folder=tmp_path / "failing", runner=RayTasks(), **chosen)
    assert failing.scores == {0: tasks.scores[0]}
    assert "holds a run already" in failing.failures[1]
