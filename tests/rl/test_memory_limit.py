"""The limits of the process's group and of all groups above it count, and files that are only cached are free."""

import numpy as np
import pytest

from rl.experience import memory_limit
from rl.experience.replay import ReplayMemory
from tests.rl.toys import space

FIRST = "35 31 0:32 {root} {folder} rw,relatime shared:9 - cgroup cgroup rw,memory,hugetlb"
SECOND = "41 31 0:38 {root} {folder} rw - cgroup2 cgroup2 rw,nsdelegate"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with 10,000 bytes, whose process lives in some group."""
    monkeypatch.setattr(memory_limit, "PROCESS", tmp_path / "proc")
    monkeypatch.setattr(memory_limit, "_of_the_machine", lambda: 10_000)

    def make(cgroup, mount, files, root="/"):
        (tmp_path / "proc").mkdir(exist_ok=True)
        (tmp_path / "proc" / "cgroup").write_text(cgroup)
        folder = tmp_path / "a tree"
        line = mount.format(root=root, folder=str(folder).replace(" ", "\\040"))
        (tmp_path / "proc" / "mountinfo").write_text(f"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\nodd\n{line}\n")
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)

    return make


class TestSecondVersion:
    def test_in_a_container_of_its_own(self, machine):
        machine("0::/\n", SECOND, {"memory.max": "5000\n", "memory.current": "4000\n"})
        assert memory_limit.free_memory() == 1000
        machine("0::/\n", SECOND, {"memory.stat": "anon 500\nfile\ninactive_file 2500\n"})
        assert memory_limit.free_memory() == 3500
        memory_limit.check_memory(3500, "something")
        with pytest.raises(MemoryError, match=r"something needs 0\.00 GiB"):
            memory_limit.check_memory(3501, "something")

    @pytest.mark.parametrize("tightest", ["", "slurm", "slurm/job", "slurm/job/step"])
    def test_every_group_above_counts(self, machine, tightest):
        groups = ("", "slurm", "slurm/job", "slurm/job/step")
        files = {f"{group}/memory.max".lstrip("/"): "700" if group == tightest else "max" for group in groups}
        files |= {f"{group}/memory.current".lstrip("/"): "100" for group in groups}
        machine("0::/slurm/job/step\n", SECOND, files | {"elsewhere/memory.max": "1", "elsewhere/memory.current": "1"})
        assert memory_limit.free_memory() == 600

    @pytest.mark.parametrize("group", ["/docker/abc/inner", "/docker/abc", "/docker/other", "/../../elsewhere"])
    def test_a_part_of_the_tree_is_mounted(self, machine, group):
        files = {"memory.max": "900", "memory.current": "0", "inner/memory.max": "800", "inner/memory.current": "0"}
        machine(f"0::{group}\n", SECOND, files, root="/docker/abc")
        assert memory_limit.free_memory() == (800 if group.endswith("inner") else 900)


class TestFirstVersion:
    def test_its_own_group(self, machine):
        files = {"job/memory.limit_in_bytes": "5000", "job/memory.usage_in_bytes": "4000"}
        files |= {"memory.limit_in_bytes": "9223372036854771712", "memory.usage_in_bytes": "7000"}
        files["job/memory.stat"] = "inactive_file 7\ntotal_inactive_file 100\n"
        machine("9:cpu:/other\n4:hugetlb,memory:/job\n0::/\n", FIRST, files)
        assert memory_limit.free_memory() == 1100

    def test_another_controller_s_tree_says_nothing(self, machine):
        files = {"memory.limit_in_bytes": "5", "memory.usage_in_bytes": "4"}
        machine("4:memory:/\n", FIRST.replace("rw,memory,hugetlb", "rw,cpu"), files)
        assert memory_limit.free_memory() == 10_000


def test_no_limit(machine, tmp_path):
    machine("0::/a\n", SECOND, {"memory.max": "max\n", "memory.current": "4000\n"})
    assert memory_limit.free_memory() == 10_000
    (tmp_path / "proc" / "cgroup").unlink()
    assert memory_limit.free_memory() == 10_000
    machine("nonsense", SECOND, {"memory.max": "1\n", "memory.current": "0\n"})
    assert memory_limit.free_memory() == 10_000


def test_more_than_the_limit_in_use_leaves_nothing(machine):
    machine("0::/\n", SECOND, {"memory.max": "5000\n", "memory.current": "6000\n"})
    assert memory_limit.free_memory() == 0


def test_a_replay_memory_is_checked_where_it_is_taken(machine):
    memory, state = ReplayMemory(1000, space(3, 2)), ReplayMemory(1000, space(3, 2))
    machine("0::/\n", SECOND, {"memory.max": str(1000 * memory.bytes_per_row - 1), "memory.current": "0"})
    with pytest.raises(MemoryError, match="a replay memory of 1,000 needs"):
        memory.prepare(1)
    full = {"heads": np.array([0]), "sizes": np.array([0])}
    full |= {name: np.zeros((0, *shape), dtype) for name, (shape, dtype) in memory._kinds().items()}
    with pytest.raises(MemoryError, match="a replay memory of 1,000 needs"):
        state.load_state_dict(full)
    assert memory.copies == state.copies == 0
