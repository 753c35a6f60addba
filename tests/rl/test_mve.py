"""MVE: its targets against a reference row by row, and DDPG where nothing is expanded."""

from dataclasses import fields

import numpy as np
import pytest

from rl import DDPG, MVE, DDPGConfig, MVEConfig
from tests.rl.references.worlds import World
from tests.rl.toys import MODEL, states, vectorize

SMALL = dict(hidden=(8,), batch_size=8, warmup=20, memory=500, gamma=0.9)


def made(cls=MVE, make=MVEConfig, **settings):
    known = {f.name for f in fields(make)}
    given = {name: value for name, value in (MODEL | SMALL | settings).items() if name in known}
    return cls(vectorize(World, 1), make(**given), seed=0)


def ending(s, a):
    """s′ = 0.5 s + 0.1 Σa, r = s_0 + a_0, the end where sin 50 s_0 > ½: of one row."""
    following = 0.5 * s + 0.1 * a.sum()
    return following, s[0] + a[0], np.sin(50 * s[0]) > 0.5


@pytest.mark.parametrize("expansion", [0, 1, 3])
def test_targets_by_the_definition(rng, expansion):
    agent = made(expansion=expansion, actor_gain=1.0).learn(40)

    def mean_step(s, a):
        rows = [ending(*pair) for pair in zip(s, a, strict=True)]
        return tuple(np.array(column) for column in zip(*rows, strict=True))

    agent.model.mean_step = mean_step
    batch = agent.memory.batch(agent.memory.draw(40, rng), 0.9)
    wide = agent.expanded(batch)
    last = wide.next_observations.astype("f")
    value = agent.critics.target(last, agent.target_policy.predict(last))
    given = wide.rewards + wide.discounts * value
    lives = 0
    for row in range(40):
        s, weight, total = batch.next_observations[row], batch.discounts[row], batch.rewards[row]
        for _ in range(expansion):
            r, (s, reward, end) = weight, ending(s, agent.target_policy.predict(s[None].astype("f"))[0])
            total, weight = total + r * reward, 0.0 if end else 0.9 * weight
        lives += weight > 0
        s = s[None].astype("f")
        total += weight * agent.critics.target(s, agent.target_policy.predict(s))[0]
        assert given[row] == pytest.approx(total, rel=1e-4, abs=1e-5)
    assert lives > 0


def test_without_expansion_it_is_ddpg():
    theirs, ours = made(DDPG, DDPGConfig).learn(60), made(expansion=0).learn(60)
    for name, array in states(theirs).items():
        if name.startswith(("policy.", "critics.")):
            np.testing.assert_array_equal(array, states(ours)[name], err_msg=name)


SETTINGS = [("expansion", 1, 2), ("model", "deterministic", "gaussian"), ("members", 2, 3), ("model_interval", 5, 100)]


@pytest.mark.parametrize(("name", "low", "high"), SETTINGS)
def test_settings_are_felt(name, low, high):
    first, second = (states(made(**{name: value}).learn(50)) for value in (low, high))
    assert any(not np.array_equal(first[key], second[key]) for key in first if key.startswith("critics."))
