"""FQI: a data set first, rounds after it."""

import numpy as np
import pytest

import rl
from rl import FQI, FQIConfig
from tests.rl.references.worlds import Choices
from tests.rl.toys import Target, vectorize

SMALL = dict(hidden=(16, 16), batch_size=32, memory=1000, rounds=4, round_steps=25)


class Until(rl.Callback):
    """Ends a training at step 120."""

    def on_step(self, agent, step):
        return agent.steps < 120


def test_nothing_is_learned_before_the_last_step():
    agent = FQI(Choices, FQIConfig(**SMALL), seed=0)
    before = agent.policy.flat.data.copy()
    agent.learn(300, Until())
    assert agent.steps == 120
    np.testing.assert_array_equal(agent.policy.flat.data, before)
    agent.learn(300)
    assert (agent.policy.flat.data != before).any()
    assert agent.policy_optimizer.t == 100
    assert len(agent.memory) == 300
    assert len(set(agent.memory.actions[:300])) == 3


def test_a_round_s_targets_do_not_move():
    agent, targets, networks = FQI(Choices, FQIConfig(**SMALL), seed=0), [], []
    freeze, update = agent.freeze, agent.update

    def freezing():
        freeze()
        networks.append(agent.policy.flat.data.copy())

    def updating(batch):
        targets.append(agent.target_policy.flat.data.copy())
        return update(batch)

    agent.freeze, agent.update = freezing, updating
    agent.learn(100)
    assert len(networks) == 4
    for i, target in enumerate(targets):
        np.testing.assert_array_equal(target, networks[i // 25])


def test_it_learns_from_random_actions():
    def make():
        return Target(discrete=True)

    agent = FQI(vectorize(make, 2), FQIConfig(**SMALL), seed=0).learn(400)
    assert rl.evaluate(agent, make, 20).mean() == 1


def test_a_batch_beyond_the_data_set_is_refused():
    with pytest.raises(ValueError, match="batch_size <= memory, given 64 and 32"):
        FQIConfig(batch_size=64, memory=32)


@pytest.mark.parametrize("saved", [False, True])
def test_rounds_that_were_interrupted_are_made_up_for(saved, tmp_path):
    """All steps were taken then, but not all was learned."""

    def interrupted(agent):
        freeze, frozen = agent.freeze, []

        def freezing():
            frozen.append(freeze())
            if len(frozen) == 3:
                raise KeyboardInterrupt

        agent.freeze = freezing
        with pytest.raises(KeyboardInterrupt):
            agent.learn(100)
        agent.freeze = freeze
        return agent

    whole = FQI(Choices, FQIConfig(**SMALL), seed=0).learn(100)
    agent = interrupted(FQI(Choices, FQIConfig(**SMALL), seed=0))
    assert (agent.steps, agent.policy_optimizer.t) == (100, 50)
    if saved:
        agent.save(tmp_path / "bare.safetensors", memory=False)
        assert not FQI.load(tmp_path / "bare.safetensors").owes  # nothing to make up for it with
        agent.save(tmp_path / "half.safetensors")
        with pytest.warns(UserWarning, match="begins new episodes"):
            agent = FQI.load(tmp_path / "half.safetensors", Choices)
    agent.learn(100)
    assert (agent.steps, agent.policy_optimizer.t) == (100, 100)
    np.testing.assert_array_equal(agent.policy.flat.data, whole.policy.flat.data)
    with pytest.warns(UserWarning, match="nothing to learn"):
        agent.learn(100)
    assert interrupted(FQI(Choices, FQIConfig(**SMALL), seed=0)).learn(150).policy_optimizer.t == 150
