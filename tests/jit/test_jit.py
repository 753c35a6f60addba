"""Kernels run wherever Python runs, and give the same bits whether they are compiled or loaded."""

import os
import re
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest

from jit import Kernel, kernel

ROOT = Path(__file__).resolve().parents[2]

KERNELS = """
    import numpy as np
    from jit import kernel

    FACTOR = 3.0

    @kernel
    def square(x):
        return x * x

    @kernel
    def total(values):
        s = 0.0
        for v in values:
            s += FACTOR * square(v)
        return s
"""
CODE = """
    import numpy as np, some_kernels as m
    result, stats = m.total(np.arange(4.0)), getattr(m.total.compiled, "stats", None)
    print(result, stats and sum(stats.cache_hits.values()))
"""


def run(code: str, cache=None, path=ROOT, **environment: str) -> tuple[str, str]:
    """What a fresh process prints, and what it says on stderr."""
    keep = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT", "PYTHONWARNINGS")}
    places = {} if cache is None else {"NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=keep | places | {"PYTHONPATH": os.pathsep.join([str(path), str(ROOT)]), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=path if Path(path).is_dir() else None,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip(), done.stderr


def module(folder: Path, source: str = KERNELS) -> Path:
    (folder / "some_kernels.py").write_text(textwrap.dedent(source))
    return folder


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A folder whose kernels one process has compiled, and its cache."""
    folder = module(tmp_path_factory.mktemp("kernels"))
    assert run(CODE, folder / "cache", folder) == ("42.0 0", "")
    return folder, folder / "cache"


def test_the_second_process_loads_what_the_first_compiled(compiled):
    folder, cache = compiled
    assert run(CODE, cache, folder) == ("42.0 1", "")


LOGGED = """
    import logging, sys
    logging.basicConfig(stream=sys.stdout, level="INFO", format="%(levelname)s %(name)s: %(message)s")
    import numpy as np, some_kernels as m
    for _ in range(2):
        m.total(np.arange(4.0))
"""


def test_compiling_is_logged_and_loading_is_not(tmp_path):
    folder = module(tmp_path)
    first, second = (run(LOGGED, tmp_path / "cache", folder)[0].splitlines() for _ in range(2))
    assert first[0] == "INFO deepnp.jit: compiling some_kernels.total, once on this machine"
    assert re.fullmatch(r"INFO deepnp\.jit: compiled some_kernels\.total in [\d.]+ s", first[1])
    assert len(first) == 2  # the kernel that it calls is a part of it
    assert second == []


def test_what_is_compiled_in_each_process_does_not_say_once(tmp_path):
    folder, blocked = module(tmp_path), tmp_path / "file"
    blocked.write_text("")
    (folder / "__pycache__").write_text("in the way")
    logged, _ = run(LOGGED, blocked / "cache", folder, HOME=str(blocked), XDG_CACHE_HOME=str(blocked))
    assert logged.splitlines()[0] == "INFO deepnp.jit: compiling some_kernels.total"


def test_a_change_of_what_is_inlined_is_noticed(compiled):
    folder, cache = compiled
    try:
        for old, new, expected in (("x * x", "x + x", "36.0"), ("FACTOR = 3.0", "FACTOR = 5.0", "70.0"), ("x * x", "-x", "-18.0")):
            module(folder, KERNELS.replace(old, new))
            assert run(CODE, cache, folder)[0] == f"{expected} 0", new
    finally:
        module(folder)


def spoil_cut(path):
    path.write_bytes(path.read_bytes()[:100])


def spoil_empty(path):
    path.write_bytes(b"")


def spoil_flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_damaged_files_are_compiled_anew_with_one_warning(compiled):
    folder, cache = compiled
    run(CODE, cache, folder)  # of this source again, whatever a test before has changed
    files = list(cache.rglob("*.code"))
    assert files
    for spoil in (spoil_cut, spoil_empty, spoil_flip):
        for path in files:
            spoil(path)
        output, errors = run(CODE, cache, folder)
        assert output == "42.0 0"
        assert errors.count("RuntimeWarning") == 1, spoil
        assert "damaged" in errors
        assert run(CODE, cache, folder) == ("42.0 1", "")  # and replaced


def test_nowhere_to_write(tmp_path):
    folder, blocked = module(tmp_path), tmp_path / "file"
    blocked.write_text("")
    (folder / "__pycache__").write_text("in the way")
    code = "import some_kernels as m, numpy as np; print(m.square(3.0), m.total(np.arange(4.0)))"
    for cache in (None, blocked / "cache"):
        output, errors = run(code, cache, folder, HOME=str(blocked), XDG_CACHE_HOME=str(blocked))
        assert output == "9.0 42.0"
        assert errors.count("RuntimeWarning") == 1  # for two kernels


@pytest.mark.parametrize("ending", ["zip", "whl"])
def test_imported_from_an_archive(tmp_path, ending):
    archive = tmp_path / f"package.{ending}"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("some_kernels.py", textwrap.dedent(KERNELS))
    (tmp_path / "file").write_text("")
    for home in (tmp_path, tmp_path / "file"):
        output, errors = run(CODE, None, archive, HOME=str(home), XDG_CACHE_HOME=str(home / "cache"))
        assert output == "42.0 0"
        assert errors.count("RuntimeWarning") <= 1


def test_compiling_switched_off(tmp_path):
    assert run(CODE, tmp_path / "cache", module(tmp_path), NUMBA_DISABLE_JIT="1") == ("42.0 None", "")
    code = """
        import numpy as np
        from deepnp.backend import kernels_enabled, use_kernels
        from deepnp.models import mlp
        from deepnp.optim import Adam
        use_kernels(True)
        net = mlp([3, 8, 2], rng=np.random.default_rng(0))
        y = net.forward(np.ones((4, 3), np.float32))
        net.backward(y)
        Adam(net.flat).step()
        import gymnasium, envs
        env = gymnasium.make_vec("deepnp/Driver-v0", num_envs=1)
        print(kernels_enabled(), y.shape, env.reset(seed=0)[0].shape[0])
    """
    output, errors = run(code, tmp_path / "cache", NUMBA_DISABLE_JIT="1", PYTHONWARNINGS="error")
    assert output == "False (4, 2) 1", errors


# Roads are the longest arithmetic of ours that calls one kernel from another; seen to differ on this processor type.
ROADS = """
    import hashlib, sys
    import gymnasium, numpy as np, envs
    env = gymnasium.make_vec("deepnp/Driver-v0", num_envs=64)
    env.reset(seed=3)
    digest = hashlib.sha256()
    for step in range(3):
        observations = env.step(np.zeros(env.action_space.shape, np.float32))[0]
        digest.update(observations.tobytes())
    state = env.unwrapped.core.state()
    for name in sorted(state):
        digest.update(np.ascontiguousarray(state[name]).tobytes())
    print(digest.hexdigest())
"""


def test_a_process_that_compiles_gets_the_bits_of_one_that_loads(tmp_path):
    cpu = {} if os.uname().machine != "x86_64" else {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ""}
    first, second = (run(ROADS, tmp_path / "cache", **cpu)[0] for _ in range(2))
    assert first == second
    assert list((tmp_path / "cache").rglob("*.code"))


def test_a_called_kernel_is_inlined():
    @kernel
    def inner(x):
        return x + 1.0

    @kernel
    def outer(x):
        return inner(x) * 2.0

    assert outer(1.0) == 4.0
    assert inner.inlined.targetoptions["forceinline"]
    assert isinstance(inner, Kernel)
    (assembly,) = outer.compiled.inspect_asm().values()
    assert not [line for line in assembly.splitlines() if line.strip().startswith("call") and "inner" in line]


def test_kernels_know_not_a_number():
    from jit import exact_kernel, ordered_kernel, summing_kernel

    def largest(values):
        best = values[0]
        for v in values:
            best = v if v > best or v != v else best
        return best

    for recipe in (exact_kernel, ordered_kernel, summing_kernel):
        assert np.isnan(recipe(largest)(np.array([1.0, np.nan])))
