"""Environments in other processes: importing sets nothing, drawing finds its library, a fork leaves native threads behind."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DISPLAY = {"DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL", "PYOPENGL_PLATFORM"}

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems draw as MuJoCo does by itself")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def run(code, **variables):
    """The output of a program that starts without a display; a warning ends it."""
    environment = {name: value for name, value in os.environ.items() if name not in DISPLAY} | variables
    command = [sys.executable, "-W", "error", "-W", "ignore:.*fork:DeprecationWarning", "-c", textwrap.dedent(code)]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.strip()


STEP = """
    import os, gymnasium, envs
    env = gymnasium.make("deepnp/Walker-v0", render_mode="rgb_array")
    env.reset(seed=0)
    env.step(env.action_space.sample())
"""
PICTURE = STEP + "    image = env.render(); env.close(); print(image.shape, len(set(image.reshape(-1).tolist())) > 20)\n"


@linux
class TestDrawing:
    def test_importing_and_stepping_set_no_variable_and_load_no_graphics(self):
        code = "import os; before = dict(os.environ)\n" + textwrap.dedent(STEP)
        code += "import sys; print({name for name in os.environ if os.environ[name] != before.get(name) and 'GL' in name})\n"
        code += "print([name for name in sys.modules if name.startswith(('OpenGL', 'mujoco.egl', 'mujoco.osmesa'))])"
        assert run(code) == "set()\n[]"

    def test_without_a_display_it_draws_off_screen(self):
        assert run(PICTURE) == "(480, 640, 3) True"

    def test_a_display_that_is_not_there_is_passed_over(self):
        assert run(PICTURE, DISPLAY=":9876") == "(480, 640, 3) True"

    def test_mujocos_own_variable_decides(self):
        assert run(PICTURE, MUJOCO_GL="egl") == "(480, 640, 3) True"

    def test_a_machine_without_any_library_steps_and_says_why_it_does_not_draw(self):
        code = """
            import envs.bodies.rendering as rendering
            rendering.OFF_SCREEN = {"egl": ("libNoEGL.so",), "osmesa": ("libNoMesa.so",)}
        """
        refused = """
            try:
                env.render()
            except RuntimeError as error:
                print(error)
        """
        message = run(textwrap.dedent(code) + textwrap.dedent(STEP) + textwrap.dedent(refused))
        assert "expected a way to draw, found none (there is no display, no libEGL and no libOSMesa)" in message


FORK = """
    import os, signal, sys
    import numpy as np, gymnasium, envs
    env = gymnasium.make_vec("deepnp/{name}", 4, "vector_entry_point", num_threads=2)
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(6)]
    for a in actions[:3]:
        env.step(a)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # a child that waits for ever is ended
        for a in actions[3:]:
            result = env.step(a)
        os.write(writer, np.float64(result[1]).tobytes())
        del env
        sys.exit(0)  # in full, destructors and all
    for a in actions[3:]:
        rewards = env.step(a)[1]
    given = np.frombuffer(os.read(reader, 32))
    print(os.waitpid(child, 0)[1], np.array_equal(given, rewards), env.core.body.batch.nthread)
"""


@forks
class TestFork:
    @pytest.mark.parametrize("name", ["Walker-v0", "ArmReach-v0", "HalfCheetah-v5", "Ant-v5"])
    def test_a_child_goes_on_bit_for_bit_on_threads_of_its_own(self, name):
        assert run(FORK.format(name=name)) == "0 True 2"

    def test_drawing_in_a_fork_of_a_process_that_drew_is_refused_in_words(self):
        code = """
            image = env.render()
            child = os.fork()
            if child == 0:
                import signal
                signal.alarm(20)
                env.step(env.action_space.sample())
                try:
                    env.render()
                except RuntimeError as error:
                    assert "given a fork of one that drew" in str(error)
                    env.close()
                    sys.exit(0)
                sys.exit(1)
            print(os.waitpid(child, 0)[1], (env.render() == image).all())
        """
        assert run("import sys" + textwrap.dedent(STEP) + textwrap.dedent(code)) == "0 True"

    def test_a_core_of_the_parents_is_refused_in_words(self):
        code = """
            import os, signal
            import numpy as np
            from envs.bodies.walker import Walker
            core = Walker(4, num_threads=2)
            core.reset(np.arange(4), [np.random.default_rng(i) for i in range(4)])
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                for call in (lambda: core.step(np.zeros((4, 36))), lambda: core.reset(np.arange(4), [np.random.default_rng()] * 4)):
                    try:
                        call()
                    except RuntimeError as error:
                        assert "of its parent's, whose native threads were lost in the fork" in str(error)
                    else:
                        os._exit(1)
                os._exit(0)
            print(os.waitpid(child, 0)[1])
        """
        assert run(code) == "0"
