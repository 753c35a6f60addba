"""MuJoCo's word on deprecated models is left out where environments are made, and nothing else is."""

import gymnasium
import pytest

import envs  # noqa: F401  (registers deepnp/…)
from rl.experience.environments import make_vector
from rl.experience.mujoco_words import deprecations_left_out, loads_gymnasium_s_models

mujoco = pytest.importorskip("mujoco")
SPEC = gymnasium.spec("InvertedPendulum-v5")


@pytest.mark.parametrize("make", [lambda name: make_vector(name, 2), lambda name: make_vector([name])], ids=["id", "list"])
@pytest.mark.parametrize("name", ["InvertedPendulum-v5", "HalfCheetah-v5", "deepnp/HalfCheetah-v5"])
def test_nothing_is_said_of_deprecated_words(capfd, tmp_path, monkeypatch, make, name):
    monkeypatch.chdir(tmp_path)
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(None)  # as in a new process
    try:
        make(name).close()
    finally:
        mujoco.set_mju_user_warning(before)
    assert "".join(capfd.readouterr()) == ""
    assert not list(tmp_path.iterdir())  # no MUJOCO_LOG.TXT


def say(*words):
    with deprecations_left_out(SPEC):
        for word in words:
            mujoco.get_mju_user_warning()(word)


def test_other_words_become_warnings_and_the_handler_of_before_comes_back():
    heard, before = [], mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(heard.append)
    own = mujoco.get_mju_user_warning()
    try:
        with pytest.warns(UserWarning, match="^MuJoCo: nearly singular$"):
            say("a deprecated word", "nearly singular")
        assert mujoco.get_mju_user_warning() is own
    finally:
        mujoco.set_mju_user_warning(before)
    assert heard == []


def test_only_mujoco_s_tasks_are_listened_to():
    assert loads_gymnasium_s_models(SPEC)
    assert loads_gymnasium_s_models(gymnasium.spec("deepnp/HalfCheetah-v5"))
    assert not loads_gymnasium_s_models(gymnasium.spec("CartPole-v1"))
    with deprecations_left_out(gymnasium.spec("CartPole-v1")):
        pass
