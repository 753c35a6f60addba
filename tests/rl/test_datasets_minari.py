"""Data sets of Minari's: there and back, and nothing is left behind where they are refused."""

import sys
import warnings
from dataclasses import replace

import gymnasium
import numpy as np
import pytest

from rl.training.collect import collect
from rl.training.minari_data import load_minari, save_minari
from tests.rl.test_datasets import of_counter
from tests.rl.toys import Counter


class TestMinari:
    @pytest.fixture
    def here(self, tmp_path, monkeypatch):
        pytest.importorskip("minari")
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))

    @pytest.mark.parametrize("env", ["Pendulum-v1", "CartPole-v1", "FrozenLake-v1"])
    def test_there_and_back(self, here, env):
        data = collect("random", env, 250, seed=3)
        save_minari(data, "house/some-v0")
        back = load_minari("house/some-v0")
        for name, x in data.columns().items():
            np.testing.assert_allclose(back.columns()[name], x, atol=1e-6, err_msg=name)
        assert (back.env, back.space, back.about) == (env, data.space, {"minari": "house/some-v0"})

    def test_settings_that_change_the_spaces(self, here):
        settings = {"stacked_inputs": 2, "decision_period": 2}
        data = collect("random", "Pendulum-v1", 30, env_settings=settings)
        with pytest.raises(ValueError, match=r"expected data of the spaces that Pendulum-v1 has here .*env_settings"):
            save_minari(data, "house/some-v0")
        save_minari(data, "house/some-v0", settings)
        back = load_minari("house/some-v0")
        assert back.space == data.space
        np.testing.assert_array_equal(back.observations, data.observations)

    @pytest.mark.parametrize(
        ("id", "name", "message"),
        [
            ("Drift-v0", "house/some-v0", "expected a registration of Drift-v0 that JSON holds, with entry_point="),
            ("Counter", "house/some-v0", 'unknown environment "Counter"'),
            ("Drift-v1", "house/no name", "expected a name of Minari's, such as .* given 'house/no name'"),
        ],
    )
    def test_a_refusal_leaves_nothing_behind(self, here, tmp_path, monkeypatch, id, name, message):
        monkeypatch.setattr(gymnasium.envs.registration, "registry", dict(gymnasium.registry))
        gymnasium.register("Drift-v0", Counter)
        gymnasium.register("Drift-v1", "tests.rl.toys:Counter")
        data = replace(of_counter(), env=id)
        with pytest.raises(ValueError, match=message):
            save_minari(data, name)
        assert not list(tmp_path.iterdir())
        save_minari(replace(data, env="Drift-v1"), "house/some-v0")
        assert len(load_minari("house/some-v0")) == len(data)

    def test_nor_does_a_write_that_fails(self, here, tmp_path, monkeypatch):
        from minari.dataset.minari_storage import MinariStorage

        def full(*_):
            raise OSError("no space left")

        data = collect("random", "Pendulum-v1", 30)
        save_minari(data, "house/other-v0")
        before = sorted(tmp_path.rglob("*"))
        with monkeypatch.context() as patch:
            patch.setattr(MinariStorage, "update_metadata", full)
            for name in ("house/some-v0", "street/house/some-v0", "some-v0"):
                with pytest.raises(OSError, match="no space left"):
                    save_minari(data, name)
                assert sorted(tmp_path.rglob("*")) == before
        with pytest.raises(ValueError, match="already exists"):
            save_minari(data, "house/other-v0")
        assert sorted(tmp_path.rglob("*")) == before

    def test_actions_out_of_their_bounds(self, here):
        import minari
        from minari.data_collector.episode_buffer import EpisodeBuffer

        rows = dict(rewards=[0.0], terminations=[True], truncations=[False], actions=np.full((1, 1), 9.0, np.float32))
        episode = EpisodeBuffer(id=0, observations=np.zeros((2, 3), np.float32), **rows)
        with warnings.catch_warnings(action="ignore"):
            minari.create_dataset_from_buffers("house/some-v0", [episode], env="Pendulum-v1")
        with pytest.raises(ValueError, match=r"expected actions within \[-2.0, 2.0\], given 9.0 in row 0"):
            load_minari("house/some-v0")

    def test_several_parts_are_refused(self, here):
        with pytest.raises(ValueError, match="expected observations in one Box or Discrete, of a registered environment"):
            save_minari(replace(of_counter(), env=None), "house/some-v0")

    def test_without_the_package(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "minari", None)
        with pytest.raises(ImportError, match="pip install"):
            load_minari("house/some-v0")
