"""A checkpoint that is written while training goes on holds the moment at which it was frozen, to the bit."""

import threading
import time

import numpy as np
import pytest

import deepnp
import envs  # noqa: F401  (registers deepnp/…)
import rl
from deepnp.storage import Pieces, load_tensors
from rl import checkpoint
from rl.experience import frozen
from rl.experience.episodes import Episodes
from rl.experience.frozen import intervals
from rl.experience.prioritized import Priorities
from rl.experience.replay import ReplayMemory
from tests.rl.test_checkpoint import agent_of
from tests.rl.test_replay import history
from tests.rl.toys import space

ROW = 4 * (2 * 3 + 2 + 1) + 1  # bytes of a row in the columns that are read in place


def memory_of(copies: int, slots: int = 20) -> ReplayMemory:
    memory = ReplayMemory(copies * slots, space(3, 2), priorities=Priorities(0.6, 0.1), episodes=Episodes())
    memory.prepare(copies)
    return memory


def train(memory, rng, steps, dead=0.0):
    """Whatever training does to a memory, `steps` times."""
    for _ in range(steps):
        history(rng, memory, 1, memory.copies, dead)
        rows = memory.priorities.draw(4, rng)
        memory.priorities.update(rows, rng.exponential(size=4))
    memory.begin(memory.copies)


def is_state(memory_state, expected) -> bool:
    return memory_state.keys() == expected.keys() and all(
        np.array_equal(np.asarray(array), expected[name]) for name, array in memory_state.items()
    )


@pytest.mark.parametrize("ahead", [1, 3, 8, 30])
@pytest.mark.parametrize("before", [1, 7, 20, 33, 47])
@pytest.mark.parametrize(("copies", "dead"), [(1, 0.0), (1, 0.3), (3, 0.0), (3, 0.4)])
def test_it_holds_its_moment_as_long_as_add_need_not_wait(rng, monkeypatch, copies, dead, before, ahead):
    """Rings that are full and not full, of unequal sizes; rows copied ahead: some, up to a ring's end and over it, all."""
    monkeypatch.setattr(frozen, "COPIED", ahead * copies * ROW)
    memory = memory_of(copies)
    train(memory, rng, before, dead)
    expected = {name: array.copy() for name, array in memory.state_dict().items()}
    held = memory.frozen()
    for _ in range(min(ahead, 20)):
        train(memory, rng, 1)
        with held as state:
            assert is_state(state, expected)
    assert not is_state(memory.state_dict(), expected)


def test_what_is_read_in_place_is_not_copied(rng, monkeypatch):
    monkeypatch.setattr(frozen, "COPIED", 5 * ROW)
    memory = memory_of(1)
    train(memory, rng, 33)  # the head is at slot 13
    with memory.frozen() as state:
        for name in memory.stable():
            pieces, column = state[name].pieces, memory.columns()[name]
            assert [len(piece) for piece in pieces] == [13, 5, 2]
            assert [np.shares_memory(piece, column) for piece in pieces] == [True, False, True]
    assert memory.stable() == {"observations0", "next_observations0", "actions", "rewards", "terminated"}


def test_intervals_of_rings():
    sizes, heads = np.array([4, 4, 2, 0, 4]), np.array([0, 3, 2, 0, 1])
    assert intervals(heads, sizes, 4) == [(0, 10, False), (16, 20, False)]
    assert intervals(heads, np.zeros(5, int), 4) == [(0, 0, False)]
    copied = np.array([1, 2, 1, 0, 4])  # of the second ring slots 3 and 0, of the last all, from slot 1 on
    expected = [(0, 1, True), (1, 4, False), (4, 5, True), (5, 7, False), (7, 9, True), (9, 10, False), (16, 20, True)]
    assert intervals(heads, sizes, 4, copied) == expected


class TestSlowWriter:
    """More is added than was copied: `add` waits."""

    def read_slowly(self, held, found, begun):
        with held as state:
            begun.set()
            for name, array in state.items():
                time.sleep(0.02)
                found[name] = np.array(array)

    @pytest.mark.parametrize("copies", [1, 2])
    @pytest.mark.parametrize("before", [7, 20, 33])
    def test_add_waits_for_it(self, rng, monkeypatch, copies, before):
        monkeypatch.setattr(frozen, "COPIED", 2 * copies * ROW)
        memory, found, begun = memory_of(copies), {}, threading.Event()
        train(memory, rng, before)
        expected = {name: array.copy() for name, array in memory.state_dict().items()}
        held = memory.frozen()
        reader = threading.Thread(target=self.read_slowly, args=(held, found, begun))
        reader.start()
        begun.wait()
        train(memory, rng, 60)
        assert len(found) == len(expected)  # it had read all of it before the last `add`
        reader.join()
        assert is_state(found, expected)
        assert not memory._frozen
        with pytest.raises(RuntimeError, match="expected a frozen memory to be read before training overwrites it"), held:
            pass

    def test_add_waits_for_one_that_has_not_begun_but_not_for_ever(self, rng, monkeypatch):
        monkeypatch.setattr(frozen, "COPIED", 2 * ROW)
        monkeypatch.setattr(frozen, "PATIENCE", 0.05)
        memory = memory_of(1)
        train(memory, rng, 33)
        held = memory.frozen()
        begin = time.perf_counter()
        train(memory, rng, 10)
        assert 0.05 < time.perf_counter() - begin < 1
        with pytest.raises(RuntimeError, match="read it at once"), held:
            pass

    def test_nothing_waits_for_one_that_is_let_go(self, rng, monkeypatch):
        monkeypatch.setattr(frozen, "COPIED", 2 * ROW)
        memory = memory_of(1)
        train(memory, rng, 33)
        memory.frozen()
        begin = time.perf_counter()
        train(memory, rng, 10)
        assert time.perf_counter() - begin < 5
        assert not memory._frozen

    def test_a_memory_that_is_dealt_or_loaded_meanwhile(self, rng):
        memory = memory_of(2)
        train(memory, rng, 33)
        expected = {name: array.copy() for name, array in memory.state_dict().items()}
        held = memory.frozen()
        memory.prepare(1)
        train(memory, rng, 60)
        memory.load_state_dict(expected)
        train(memory, rng, 60)
        with held as state:
            assert is_state(state, expected)


SETTINGS = [dict(), dict(priority_exponent=0.6, n_step=3), dict(memory=100)]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("env", ["deepnp/Navigation-v0", "deepnp/ArmReach-v0"])
def test_a_frozen_agent_is_written_as_it_was(tmp_path, settings, env):
    settings = settings | (dict(hindsight="future") if "Arm" in env else {})
    agent = agent_of(rl.ALGORITHMS["TD3"], env, **settings)
    agent.learn(180)
    agent.save(tmp_path / "then.safetensors")
    held = checkpoint.frozen(agent)
    agent.learn(260)
    held.write(tmp_path / "frozen.safetensors")
    assert (tmp_path / "frozen.safetensors").read_bytes() == (tmp_path / "then.safetensors").read_bytes()
    agent.save(tmp_path / "now.safetensors")
    assert (tmp_path / "now.safetensors").read_bytes() != (tmp_path / "then.safetensors").read_bytes()


@pytest.mark.parametrize("algorithm", ["PPO", "SAC"])
def test_in_a_thread_while_it_learns(tmp_path, algorithm):
    """Twenty checkpoints from callbacks, each beside what `save` wrote at that moment."""
    agent, threads = agent_of(rl.ALGORITHMS[algorithm], "deepnp/Navigation-v0", normalize_observations=True), []

    def write(agent, metrics):
        agent.save(tmp_path / f"{agent.steps}-then")
        threads.append(threading.Thread(target=checkpoint.frozen(agent).write, args=(tmp_path / f"{agent.steps}-frozen",)))
        threads[-1].start()

    if algorithm == "SAC":
        for steps in range(40, 800, 40):
            agent.learn(steps, write)
    else:
        agent.learn(800, write)
    for thread in threads:
        thread.join()
    assert len(threads) >= 19
    for then in tmp_path.glob("*-then"):
        assert then.read_bytes() == then.with_name(then.name.replace("then", "frozen")).read_bytes()


def test_without_the_memory(tmp_path):
    agent = agent_of(rl.ALGORITHMS["SAC"]).learn(100)
    checkpoint.frozen(agent, memory=False).write(tmp_path / "x")
    agent.save(tmp_path / "y", memory=False)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
    assert not [name for name in load_tensors(tmp_path / "x")[0] if "memory" in name]


def test_what_is_not_finite_is_refused(tmp_path):
    agent = agent_of(rl.ALGORITHMS["SAC"]).learn(100)
    agent.memory.rewards[3] = np.nan
    with pytest.raises(deepnp.NonFiniteError, match=r"agent\.memory\.rewards holds NaN"):
        checkpoint.frozen(agent).write(tmp_path / "x")
    assert not (tmp_path / "x").exists()
    agent.policy.flat.data[0] = np.inf
    with pytest.raises(deepnp.NonFiniteError, match=r"agent\.policy\."):
        checkpoint.frozen(agent)


def test_state_dict_has_arrays_and_pieces_share_them(rng):
    memory = memory_of(2)
    train(memory, rng, 7)
    assert all(isinstance(array, np.ndarray) for array in memory.state_dict().values())
    pieces = memory.pieces()["observations0"]
    assert isinstance(pieces, Pieces)
    assert all(np.shares_memory(piece, memory.observations) for piece in pieces.pieces)
