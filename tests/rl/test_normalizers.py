"""The normalisers of observations that settings choose from; the standardiser itself is in test_parts."""

import numpy as np
import pytest
from gymnasium import spaces

import rl
from rl import PPO, PPOConfig
from rl.experience.normalize import ObservationNormalizer
from rl.experience.normalizers import NORMALIZERS, MinMaxNormalizer, normalizer_of
from rl.training.export.torch_file import export_torch, import_torch
from tests.rl.test_export import WAYS, check
from tests.rl.toys import Counter, states

X, BOX = spaces.Box(-9, 9, (3,), np.float32), spaces.Box(-1, 1, (2,), np.float32)
TINY = dict(steps=16, batch_size=16, epochs=1, hidden=(8,))


def test_min_max_is_equation_39_of_everything_seen(rng):
    normalizer, batches = MinMaxNormalizer(3), [rng.normal(5, 3, (n, 3)) for n in (1, 7, 20)]
    for batch in batches:
        normalizer.update(batch)
    x = np.concatenate(batches)
    low, high = x.min(axis=0), x.max(axis=0)
    np.testing.assert_allclose(normalizer(x), (x - low) / (high - low), rtol=1e-6, atol=1e-7)
    assert normalizer(x).min() == 0
    assert normalizer(x).max() == 1
    assert normalizer(x).dtype == np.float32


def test_min_max_survives_constants_emptiness_and_outliers():
    normalizer = MinMaxNormalizer(2, clip=3.0)
    normalizer.update(np.zeros((0, 2)))
    np.testing.assert_array_equal(normalizer(np.array([[0.5, 9.0]])), [[0.5, 3.0]])  # nothing seen: as it is, held
    normalizer.update(np.array([[7.0, 1.0], [7.0, 2.0]]))
    np.testing.assert_array_equal(normalizer(np.array([[7.0, 1.5], [7.0, 1e30], [7.0, -1e30]])), [[0, 0.5], [0, 3], [0, -3]])
    normalizer.update(np.array([[7.0, 101.0]]))
    assert normalizer(np.array([[7.0, 2.0]]))[0, 1] == np.float32(0.01)


def test_calling_does_not_learn_and_states_are_whole(rng):
    first, second = MinMaxNormalizer(3), MinMaxNormalizer(3)
    first.update(rng.normal(size=(10, 3)))
    first(rng.normal(100, 1, (10, 3)))
    second.load_state_dict(first.state_dict())
    x = rng.normal(size=(5, 3))
    np.testing.assert_array_equal(first(x), second(x))
    assert second.count == 10
    assert second.low is not first.low


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"low": np.zeros(2)}, "finite bounds of 3 features, given low"),
        ({"high": np.full(3, np.nan)}, "finite bounds of 3 features, given high"),
        ({"low": np.full(3, 5.0)}, "bounds low <= high"),
        ({"count": np.array(-1.0)}, "of -1.0"),
    ],
)
def test_damaged_states_are_refused(change, match):
    state = MinMaxNormalizer(3).state_dict() | change
    with pytest.raises(ValueError, match=match):
        MinMaxNormalizer(3).load_state_dict(state)


def test_settings_choose():
    assert normalizer_of(PPOConfig(normalize_observations=False, normalizer="min-max"), 3) is None
    assert normalizer_of(PPOConfig(), 0) is None
    for name, kind in NORMALIZERS.items():
        made = normalizer_of(PPOConfig(normalizer=name, observation_clip=5.0), 3)
        assert type(made) is kind
        assert made.clip == 5.0
    assert type(normalizer_of(PPOConfig(), 3)) is ObservationNormalizer
    for field, value in (("normalizer", "minmax"), ("normalizer", None), ("observation_clip", 0.0)):
        with pytest.raises(ValueError, match=f"expected SACConfig.{field} as .*given"):
            rl.SACConfig(**{field: value})


@pytest.mark.parametrize("algorithm", ["PPO", "SAC"])
def test_a_resumed_training_has_the_same_bits(algorithm, tmp_path):
    cls = getattr(rl, algorithm)
    known = TINY | dict(anneal_lr=False) if algorithm == "PPO" else dict(warmup=10, batch_size=8, memory=100, hidden=(8,))
    config = cls.Config(**known, normalize_observations=True, normalizer="min-max", observation_clip=2.0)
    whole, half = (cls("Pendulum-v1", config, seed=1) for _ in range(2))
    whole.learn(96)
    half.learn(48).save(tmp_path / "half.safetensors")
    rest = cls.load(tmp_path / "half.safetensors", "Pendulum-v1").learn(96)
    for name, array in states(whole).items():
        np.testing.assert_array_equal(array, states(rest)[name], err_msg=name)
    np.testing.assert_array_equal(whole.normalizer.high, rest.normalizer.high)
    with pytest.raises(ValueError, match="normalizer='standard'"):
        cls.load(tmp_path / "half.safetensors", normalizer="standard")


def test_networks_read_what_it_gives():
    agent = PPO(Counter(3), PPOConfig(**TINY, normalizer="min-max")).learn(16)
    np.testing.assert_array_equal(agent.normalizer.low, [0, 1])
    assert agent.normalizer.high[0] == 2
    np.testing.assert_allclose(agent.observe(np.array([[1.0, 1.0]])), [[0.5, 0.0]])


@WAYS
def test_it_exports(actions_of, tmp_path):
    check(PPO.of_spaces(X, BOX, PPOConfig(hidden=(12, 8), normalizer="min-max", observation_clip=0.9)), actions_of, tmp_path)


def test_weights_of_pytorch_come_with_its_range(tmp_path, rng):
    config = PPOConfig(hidden=(8,), normalizer="min-max")
    agent, other = (PPO.of_spaces(X, BOX, config, seed=seed) for seed in (1, 2))
    agent.normalizer.update(rng.normal(size=(9, 3)))
    export_torch(agent, tmp_path / "weights.safetensors")
    import_torch(other, tmp_path / "weights.safetensors")
    x = rng.normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_array_equal(agent.predict(x), other.predict(x))
    with pytest.raises(ValueError, match=r"expected \['normalizer.count', 'normalizer.mean', 'normalizer.sigma'\]"):
        import_torch(PPO.of_spaces(X, BOX, PPOConfig(hidden=(8,))), tmp_path / "weights.safetensors")
