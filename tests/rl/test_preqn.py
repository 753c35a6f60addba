"""PreQN: its algebra on small networks in float64, the steps that it accepts, and those that it does not try."""

import numpy as np
import pytest
from gymnasium import spaces

import deepnp
import rl
from deepnp import Linear, Sequential
from deepnp.tangents import pairs, row_gradients, tangent_kernel, weighted_gradient
from rl import schedules
from rl.solvers.least_squares import cosine, truncated
from tests.rl.toys import Target, states, vectorize

SMALL = dict(hidden=(5, 4), batch_size=12, memory=200, warmup=20, update_interval=1, updates=1)


def learner(**settings):
    agent = rl.PreQN(vectorize(Target, 2), rl.PreQNConfig(**{**SMALL, **settings}), seed=0)
    agent.critics.optimizers[0].vector = agent.critics.networks[0].to(np.float64).flat
    return agent


def test_the_direction_is_the_sum_of_weighted_gradients(rng):
    q, x, z = deepnp.models.mlp((3, 5, 4, 1), rng=rng, dtype=np.float64), rng.normal(size=(7, 3)), rng.normal(size=7)
    q.forward(x)
    rows = pairs(q, np.ones((7, 1)))
    q.zero_grad()
    q.backward(z[:, None])
    np.testing.assert_allclose(weighted_gradient(rows, z), q.flat.grad, rtol=1e-12)
    np.testing.assert_allclose(weighted_gradient(rows, z), row_gradients(rows).T @ z, rtol=1e-12)


def test_values_of_a_linear_critic_move_as_the_errors_say(rng):
    """Q linear in θ and K invertible: Q′ − Q = αΔ exactly."""
    agent = learner(hidden=(), tolerance=1e-12, alignment=0.999, critic_step=0.3)
    critic = agent.critics.networks[0]
    x, weights = rng.normal(size=(2, 2)), np.ones(2)
    before = critic.predict(x)[:, 0]
    y = before + rng.normal(size=2)
    metrics, errors = agent.fit_critic(x, y, weights, agent.config)
    np.testing.assert_allclose(errors, y - before, rtol=1e-12)
    np.testing.assert_allclose(critic.predict(x)[:, 0] - before, 0.3 * errors, rtol=1e-9)
    assert metrics["accepted"] == metrics["step"] == 1


def test_it_is_natural_gradient_q_learning(rng):
    """Lemma 4: along (ΦΦᵀ)†ΦΔ, the natural gradient of a small network, and along ΦK†Δ the parameters move alike."""
    q, x, errors = deepnp.models.mlp((2, 4, 1), rng=rng, dtype=np.float64), rng.normal(size=(30, 2)), rng.normal(size=30)
    q.forward(x)
    rows = pairs(q, np.ones((30, 1)))
    phi = row_gradients(rows).T  # (P, B), more rows than parameters
    ours = weighted_gradient(rows, truncated(tangent_kernel(rows), errors, 1e-10).z)
    natural = np.linalg.pinv(phi @ phi.T, rcond=1e-10, hermitian=True) @ phi @ errors
    np.testing.assert_allclose(ours, natural, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("solver", ["ridge", "truncated"])
def test_equal_rows_with_unequal_targets_are_not_tried(rng, solver):
    agent = learner(solver=solver)
    critic = agent.critics.networks[0]
    x = np.repeat(rng.normal(size=(1, 2)), 2, axis=0)
    y = critic.predict(x)[:, 0] + np.array([1.0, -1.0])
    before, calls, predict = critic.flat.data.copy(), [], critic.predict
    critic.predict = lambda x: calls.append(x) or predict(x)
    metrics, _ = agent.fit_critic(x, y, np.ones(2), agent.config)
    np.testing.assert_array_equal(critic.flat.data, before)
    assert metrics["accepted"] == 0
    assert metrics["reached"] == pytest.approx(0, abs=1e-6)
    assert not calls
    assert "alignment" not in metrics


def test_no_error_no_step(rng):
    agent = learner()
    critic, x = agent.critics.networks[0], rng.normal(size=(4, 2))
    before = critic.flat.data.copy()
    agent.fit_critic(x, critic.predict(x)[:, 0], np.ones(4), agent.config)
    np.testing.assert_array_equal(critic.flat.data, before)


def test_a_step_too_long_is_shortened_until_it_is_aligned(rng):
    agent = learner(critic_step=8.0, hidden=(6, 6), alignment=0.99)
    critic, x = agent.critics.networks[0], rng.normal(size=(5, 2))
    before = critic.predict(x)[:, 0]
    metrics, errors = agent.fit_critic(x, before + rng.normal(size=5), np.ones(5), agent.config)
    assert metrics["accepted"]
    assert metrics["step"] < 1
    assert cosine(critic.predict(x)[:, 0] - before, errors) == pytest.approx(metrics["alignment"])
    assert metrics["alignment"] >= 0.99


def test_where_no_try_is_aligned_nothing_moves(rng):
    agent = learner(critic_step=8.0, hidden=(6, 6), alignment=0.99, tries=1)
    critic, x = agent.critics.networks[0], rng.normal(size=(5, 2))
    start = critic.flat.data.copy()
    metrics, _ = agent.fit_critic(x, critic.predict(x)[:, 0] + rng.normal(size=5), np.ones(5), agent.config)
    np.testing.assert_array_equal(critic.flat.data, start)
    assert metrics["accepted"] == 0
    assert metrics["reached"] > 0.99


def test_weights_are_those_of_weighted_least_squares(rng):
    """More rows than parameters: the step is that of min Σ w (∇Q·d − Δ)²."""
    agent = learner(hidden=(), solver="truncated", tolerance=1e-10, alignment=-1.0, critic_step=1.0)
    critic, x, weights = agent.critics.networks[0], rng.normal(size=(9, 2)), rng.uniform(0.2, 1, 9)
    start, before = critic.flat.data.copy(), critic.predict(x)[:, 0]
    _, errors = agent.fit_critic(x, before + rng.normal(size=9), weights, agent.config)
    columns = np.concatenate([x, np.ones((9, 1))], axis=1)
    root = np.sqrt(weights)
    expected = np.linalg.lstsq(root[:, None] * columns, root * errors, rcond=None)[0]
    np.testing.assert_allclose(critic.flat.data - start, expected, rtol=1e-8)


def test_every_accepted_step_is_aligned_while_learning():
    agent = rl.PreQN(vectorize(Target, 2), rl.PreQNConfig(**{**SMALL, "hidden": (32, 32), "batch_size": 32}), seed=0)
    seen, update = [], agent.update

    def recording(batch):
        result = update(batch)
        seen.append(result[0])
        return result

    agent.update = recording
    agent.learn(400)
    accepted = [m["alignment"] for m in seen if m["accepted"]]
    assert len(accepted) > 50
    assert min(accepted) >= agent.config.alignment


def test_the_step_follows_a_schedule():
    settings = {**SMALL, "critic_step": schedules.Linear(0.5, 0.1)}
    moving, fixed = (
        states(rl.PreQN(vectorize(Target, 2), rl.PreQNConfig(**s), seed=0).learn(60))
        for s in (settings, {**SMALL, "critic_step": 0.5})
    )
    assert any((moving[name] != fixed[name]).any() for name in moving if name.startswith("critics"))


def test_images_are_refused():
    images = spaces.Box(0, 255, (3, 16, 16), np.uint8)
    with pytest.raises(ValueError, match="PreQN takes vectors"):
        rl.PreQN.of_spaces(images, spaces.Box(-1, 1, (1,)))


@pytest.mark.parametrize("layer", [deepnp.BatchNorm1d, deepnp.PReLU])
def test_a_critic_of_unknown_layers_is_refused_at_once(layer):
    with pytest.raises(TypeError, match="expected layers"):
        rl.PreQN("Pendulum-v1", critic=lambda rng: Sequential(Linear(4, 8, rng=rng), layer(8), Linear(8, 1, rng=rng)))
