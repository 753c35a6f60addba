"""Learned models against references in float64: a whole fit, imagined steps, and updates of Dyna, MBA, MVE and MBPO."""

import numpy as np
import pytest

from deepnp.optim import Adam
from rl.experience.replay import Batch
from rl.networks.dynamics_fit import transitions_of
from tests.rl.references import adapter, models, values
from tests.rl.references.off_policy import Data
from tests.rl.references.worlds import Choices, World
from tests.rl.test_value_updates import body

SMALL = dict(hidden=(8, 6), lr=3e-3, tau=0.1, batch_size=16, memory=100, activation="tanh", gamma=0.75, error_limit=9.0)
MODEL = dict(model_hidden=(5,), model_activation="tanh", members=3, elites=2, model_lr=0.1, model_batch_size=16, model_epochs=8)
MODEL |= dict(model_interval=10**6, holdout=0.25, model_patience=2)
KINDS = ("deterministic", "gaussian")


def made(name, rng, model="gaussian", **settings):
    """An agent of float64 with 48 transitions, in numbers whose differences float32 holds, and the reference of its model."""
    config = getattr(adapter.rl, name).Config
    given = {key: x for key, x in {**SMALL, **MODEL, **settings}.items() if key in config.__dataclass_fields__}
    agent = adapter.learner(name, Choices() if name == "Dyna" else World(), model=model, **given)
    agent.model.optimizer = Adam(agent.model.network.to(np.float64).flat, agent.config.model_lr)
    agent.memory.prepare(1)
    for _ in range(48):
        s, noise = np.round(64 * rng.normal(size=(2, 1, 3))) / 64
        a = rng.integers(3, size=1) if name == "Dyna" else np.round(64 * rng.uniform(-1, 1, (1, 2))) / 64
        row = s, a, 2 * s.sum(axis=1) - 0.25, s / 2 + noise / 8, s[:, 0] > 0.5, np.zeros(1, bool), np.ones(1, bool)
        agent.memory.add(*row)
    agent.steps = 1
    return agent, models.Model(agent.config, adapter.parameters(agent.model.network), model == "gaussian")


def assert_same(network, reference):
    for name, p in adapter.parameters(network).items():
        np.testing.assert_allclose(p, reference.p[name], rtol=1e-8, atol=1e-9, err_msg=name)
    np.testing.assert_array_equal(network.elites, reference.elites)
    np.testing.assert_allclose(network.lowest.data, reference.low)
    np.testing.assert_allclose(network.highest.data, reference.high)


@pytest.mark.parametrize("model", KINDS)
def test_a_fit_equals_the_reference(rng, model):
    """Two, the second on twice the rows: weights and moments of Adam go on."""
    agent, reference = made("MVE", rng, model)
    for rows in (24, 48):
        agent.memory.sizes[0] = rows
        agent.rngs["model"].drawn.clear()
        agent.model.fit(agent.memory, 1, agent.rngs["model"])
        reference.fit(transitions_of(agent.memory), iter(agent.rngs["model"].drawn))
        assert_same(agent.model.network, reference)
    assert 0 < reference.worse < 24  # some passes were kept, and some were not


@pytest.mark.parametrize("model", KINDS)
@pytest.mark.parametrize("name", ["MVE", "Dyna"])
def test_imagined_steps_equal_the_reference(rng, name, model):
    agent, reference = made(name, rng, model)
    agent.model.fit(agent.memory, 1, agent.rngs["model"])
    reference.fit(transitions_of(agent.memory), iter(agent.rngs["model"].drawn))
    s, noise = 2 * rng.normal(size=(30, 3)), agent.rngs["model"]
    a = rng.integers(3, size=30) if name == "Dyna" else rng.uniform(-1, 1, (30, 2))
    noise.drawn.clear()
    given = agent.model.step(s, a, noise)
    members = np.array(reference.elites)[noise.drawn[0]]
    expected = reference.step(s, a, members, noise.drawn[1] if model == "gaussian" else None)
    for x, y in zip(given, expected, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-8)
    assert 0 < given[2].mean() < 1
    assert (given[0] == reference.high[:3]).any()  # some are held in their range
    assert len(set(members)) == 2


def rows_of(agent, rows, rng) -> Data:
    """Rows of the memory as the reference takes them, with weights of their own."""
    b = agent.memory.batch(rows, agent.config.gamma)
    columns = b.observations, b.actions, b.rewards, b.next_observations, b.discounts
    return Data(*(x.astype(float) if x.dtype.kind == "f" else x for x in columns), rng.uniform(0.2, 1, len(rows)))


def update(agent, data: Data):
    columns = data.observations, data.actions, data.rewards, data.next_observations, data.discounts, data.weights
    return agent.update(Batch(*columns, np.arange(len(data.rewards))))[1]


@pytest.mark.parametrize("model", KINDS)
def test_mve_equals_the_reference(rng, model):
    agent, reference = made("MVE", rng, model, expansion=3)
    base, drawn = adapter.reference(agent), agent.rngs["model"].drawn
    for i in range(3):
        data = rows_of(agent, rng.integers(48, size=16), rng)
        errors = update(agent, data)
        if i == 0:
            reference.fit(transitions_of(agent.memory), iter(drawn))
            assert_same(agent.model.network, reference)
        expected = base.update(reference.expanded(data, lambda s: base.act(base.target_policy, s)))
        np.testing.assert_allclose(errors, expected, rtol=1e-7, atol=1e-9)
        for name, (given, x) in adapter.compared(agent, base).items():
            np.testing.assert_allclose(given, x, rtol=1e-7, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("model", KINDS)
@pytest.mark.parametrize("name", ["Dyna", "MBA"])
def test_dyna_and_mba_equal_their_references(rng, name, model):
    agent, reference = made(name, rng, model, planning=2, imagined_batch=8, target_interval=4)
    base = (values.DQN if name == "Dyna" else values.NAF)(agent.config, body(agent.policy), body(agent.target_policy))
    asked = agent.rngs["planning" if name == "Dyna" else "imagined"].drawn
    for i in range(3):
        agent.rngs["model"].drawn.clear()
        asked.clear()
        data = rows_of(agent, rng.integers(48, size=16), rng)
        errors, draws = update(agent, data), iter(agent.rngs["model"].drawn)
        if i == 0:
            reference.fit(transitions_of(agent.memory), draws)
        if name == "Dyna":
            expected = base.update(data)
            for rows in asked:
                base.update(reference.imagined(rows_of(agent, rows, rng), draws))
        else:
            expected = base.update(models.joined(data, reference.imagined(rows_of(agent, asked[0], rng), draws)))[:16]
        np.testing.assert_allclose(errors, expected, rtol=1e-7, atol=1e-9)
        for given, named in ((body(agent.policy), base.network), (body(agent.target_policy), base.target)):
            for key, x in named.items():
                np.testing.assert_allclose(given[key], x, rtol=1e-7, atol=1e-9, err_msg=key)


def test_mbpo_equals_the_reference(rng):
    """What it imagines is kept in float32; the update on it is exact."""
    agent, reference = made("MBPO", rng, rollouts=5, rollout_length=2.0, imagined_memory=10, imagined_batch=12)
    base, draws = adapter.reference(agent), agent.rngs["model"].drawn
    for _ in range(3):
        data = rows_of(agent, rng.integers(48, size=16), rng)
        agent.rngs["imagined"].drawn.clear()
        agent.rngs["noise"].drawn.clear()
        errors = update(agent, data)
        if not hasattr(reference, "elites"):
            reference.fit(transitions_of(agent.memory), iter(draws))
            m = agent.imagined.memory
            for k, members, noise in ((0, *draws[-4:-2]), (1, *draws[-2:])):
                rows = 2 * np.arange(5) + k
                s, a = (x[rows].astype(float) for x in (m.observations, m.actions))
                np.testing.assert_allclose(a, base.draw(base.policy, s, agent.rngs["imagined"].drawn[1 + k])[0], atol=1e-6)
                following, rewards, ended = reference.step(s, a, np.array(reference.elites)[members], noise)
                np.testing.assert_allclose(m.next_observations[rows], following, rtol=1e-5, atol=1e-6)
                np.testing.assert_allclose(m.rewards[rows], rewards, rtol=1e-5, atol=1e-6)
                np.testing.assert_array_equal(m.terminated[rows], ended)
        b = agent.imagined.memory.batch(agent.rngs["imagined"].drawn[-1], 0.75)
        columns = b.observations, b.actions, b.rewards, b.next_observations, b.discounts, b.weights
        imagined = Data(*(x.astype(float) for x in columns))
        expected = base.update(models.joined(data, imagined), *agent.rngs["noise"].drawn)[:16]
        np.testing.assert_allclose(errors, expected, rtol=1e-7, atol=1e-9)
        for name, (given, x) in adapter.compared(agent, base).items():
            np.testing.assert_allclose(given, x, rtol=1e-7, atol=1e-9, err_msg=name)
