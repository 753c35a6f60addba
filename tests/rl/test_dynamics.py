"""Training dynamics: the change of the loss that kernels predict against the measured one, and the alignment of updates."""

import numpy as np
import pytest

import rl
from deepnp import LayerNorm, Tanh
from deepnp.models import mlp
from deepnp.optim import polyak
from rl.training.dynamics import UpdateAlignment, semi_gradient_change
from tests.rl.toys import Target, states, vectorize


def problem(rng, normalization=None):
    critic = mlp((3, 6, 5, 1), Tanh, rng=rng, dtype=np.float64, normalization=normalization).to(np.float64)
    x, x_next = rng.normal(size=(8, 3)), rng.normal(size=(8, 3))
    return critic, x, x_next, rng.normal(size=8), 0.9 * (rng.random(8) > 0.2)


def loss(critic, target, x, x_next, rewards, discounts):
    errors = critic.predict(x)[:, 0] - rewards - discounts * target.predict(x_next)[:, 0]
    return 0.5 * float(np.mean(errors**2)), errors


@pytest.mark.parametrize("normalization", [None, LayerNorm])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_predicted_change_is_the_measured_one(rng, share, normalization):
    """Both sides of a step, ±η: the central difference of L."""
    critic, *data = problem(rng, normalization)
    x, x_next, _, discounts = data
    _, errors = loss(critic, critic, *data)
    own, targets = semi_gradient_change(critic, x, x_next, discounts, errors, share)
    critic.forward(x)
    critic.zero_grad()
    critic.backward(errors[:, None] / len(errors))
    theta, gradient, measured = critic.flat.data.copy(), critic.flat.grad.copy(), []
    for eta in (1e-5, -1e-5):
        target = mlp((3, 6, 5, 1), Tanh, dtype=np.float64, normalization=normalization).to(np.float64)
        target.flat.data[...] = theta
        critic.flat.data[...] = theta - eta * gradient
        polyak(target.flat.data, critic.flat.data, share)
        measured.append(loss(critic, target, *data)[0])
    assert own + targets == pytest.approx((measured[0] - measured[1]) / 2e-5, rel=1e-6)
    assert own < 0
    assert (targets == 0) == (share == 0)


def test_a_moving_target_can_make_the_loss_larger(rng):
    """Two states with the same features, the next one twice as large: the classic divergence."""
    critic = mlp((1, 1), rng=rng, dtype=np.float64)
    critic.flat.data[...] = [1.0, 0.0]
    x, x_next, discounts = np.ones((1, 1)), np.full((1, 1), 2.0), np.array([0.99])
    errors = critic.predict(x)[:, 0] - discounts * critic.predict(x_next)[:, 0]
    own, targets = semi_gradient_change(critic, x, x_next, discounts, errors)
    assert own < 0 < own + targets


@pytest.mark.parametrize("rows", [(0, 0, 0, 0), (4, 4, 4, 3), (4, 4, 3, 4), (4, 3, 4, 4), (3, 4, 4, 4)])
def test_rows_that_do_not_belong_together_are_refused(rng, rows):
    critic, (x, x_next, discounts, errors) = mlp((3, 1), dtype=np.float64), rows
    with pytest.raises(ValueError, match="B >= 1"):
        semi_gradient_change(critic, np.ones((x, 3)), np.ones((x_next, 3)), np.ones(discounts), np.ones(errors))
    with pytest.raises(ValueError, match=r"errors.*\(4, 1\)"):
        semi_gradient_change(critic, np.ones((4, 3)), np.ones((4, 3)), np.ones(4), np.ones((4, 1)))


def test_alignment_is_measured_and_leaves_training_as_it_was():
    config = rl.TD3Config(hidden=(8, 8), batch_size=16, warmup=50, memory=500, num_envs=2)
    watched, plain = (rl.TD3(vectorize(Target, 2), config, seed=0) for _ in range(2))
    alignment = UpdateAlignment(every=20)
    watched.learn(300, alignment)
    plain.learn(300)
    assert 8 <= len(alignment.values) <= 13
    assert np.all(np.diff(alignment.steps) >= 20)
    assert np.all(np.abs(alignment.values) <= 1)
    assert np.mean(alignment.values) > 0
    for name, array in states(plain).items():
        np.testing.assert_array_equal(states(watched)[name], array, err_msg=name)
    assert not watched.critics.watched


def test_preqn_tells_the_alignment_that_it_searched_for():
    config = rl.PreQNConfig(hidden=(8,), batch_size=8, warmup=20, updates=2, memory=200, alignment=0.9)
    alignment = UpdateAlignment(every=20)
    rl.PreQN(vectorize(Target, 1), config, seed=0).learn(400, alignment)
    assert alignment.values
    assert min(alignment.values) >= 0.9


def test_a_step_towards_the_targets_is_aligned(rng):
    """One linear critic with plain descent on one row: its value moves along the error."""
    config = rl.DDPGConfig(hidden=(), critic_optimizer="sgd", batch_size=1, memory=10)
    agent = rl.DDPG(vectorize(Target, 1), config, seed=0)
    critics, one = agent.critics, np.ones(1, np.float32)
    s, a = rng.normal(size=(1, 1)).astype("f"), rng.normal(size=(1, 1)).astype("f")
    critics.watched = True
    critics.fit(s, a, targets=5 * one, weights=one)
    assert critics.alignment == pytest.approx(1, abs=1e-6)


def test_agents_without_critics_are_refused():
    with pytest.raises(TypeError, match="expected an agent with critics, given PPO"):
        rl.PPO(vectorize(Target, 1), rl.PPOConfig(hidden=(4,))).learn(10, UpdateAlignment())
