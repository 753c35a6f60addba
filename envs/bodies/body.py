"""N copies of a MuJoCo body on `mujoco.batch`: what all bodies share.

The batch's arrays are live views of its state; nothing here hands one to a user.
Derived fields (positions, velocities of bodies) lag the state by one substep, as they do with `mj_step`.

Shapes: N copies, G geoms, J joints with a drive.
"""

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path
from weakref import WeakSet

import mujoco
import numpy as np
from mujoco.batch import Batch, SimulationError

from envs.bodies.rendering import SMALL, View, coarse, make_renderer
from envs.checks import check_whole
from jit import exact_kernel

UNSTABLE = [int(getattr(mujoco.mjtWarning, f"mjWARN_BAD{name}")) for name in ("QPOS", "QVEL", "QACC")]


class Body:
    """N copies of one model: state, stepping, contact with the floor, pictures.

    A copy whose simulation diverges is put back to the model's initial state and flagged for one decision, so that what is
    computed from it stays finite. The other copies are not affected.

    Parameters
    ----------
    xml : Path
        The MJCF file. For `heights` it has a plane at z = 0.
    num_envs : int
        N.
    frame_skip : int
        Physics substeps a decision.
    num_threads : int
        Native threads of the batch; 0 takes every processor that this process may use.
    camera : str or View
        The model's camera that pictures are taken with, or a view of our own.
    persistent : bool
        Keep MuJoCo's whole data of every copy, for what the batch's arrays do not have.

    Attributes
    ----------
    diverged : array (N,) of bool
        The copies that the last decision had to give up.
    derived : tuple of str
        Fields that observations are made of beyond the state, which `state` therefore includes.
    """

    def __init__(
        self,
        xml: Path,
        num_envs: int,
        frame_skip: int,
        num_threads: int,
        camera: str | View = "track",
        persistent: bool = False,
    ):
        for name, value, least in (("num_envs", num_envs, 1), ("frame_skip", frame_skip, 1), ("num_threads", num_threads, 0)):
            check_whole(name, value, least)
        self.model = mujoco.MjModel.from_xml_path(str(xml))
        self.frame_skip = frame_skip
        self.batch = Batch(self.model, num_envs, nthread=min(num_threads or processors(), num_envs), persistent=persistent)
        self.qpos, self.qvel, self.ctrl = (self.batch.bind(name) for name in ("qpos", "qvel", "ctrl"))
        self.geom_xpos, self.geom_xmat = self.batch.bind("geom_xpos"), self.batch.bind("geom_xmat")
        self.diverged = np.zeros(num_envs, bool)
        self.derived: tuple[str, ...] = ("xquat", "xipos", "cvel", "subtree_com", "geom_xpos", "geom_xmat")
        self._camera = camera.camera() if isinstance(camera, View) else camera
        self._renderers: dict[tuple[int, int], mujoco.Renderer] = {}  # by height and width
        self._process = os.getpid()
        _BODIES.add(self)

    def reset(self, ids: np.ndarray, qpos: np.ndarray, qvel: np.ndarray, ctrl: np.ndarray) -> None:
        """Put the copies `ids` at the given states and compute where their bodies are."""
        self._check_process()
        self.batch.reset(ids, stage=mujoco.mjtStage.mjSTAGE_NONE)
        self.qpos[ids], self.qvel[ids], self.ctrl[ids] = qpos, qvel, ctrl
        self.batch.forward(ids)

    def put_down(self, ids: np.ndarray, geoms: np.ndarray) -> None:
        """Lower or lift the copies `ids` until the lowest of `geoms` just touches the floor."""
        self.qpos[ids, 2] -= self.heights(geoms)[ids].min(axis=1)
        self.batch.forward(ids)

    def step(self) -> None:
        """One decision: `frame_skip` substeps. `diverged` marks the copies that MuJoCo had to give up."""
        self._check_process()
        before, failed = self.batch.warning.copy(), []
        try:
            self.batch.step(nstep=self.frame_skip)
        except SimulationError as error:
            failed = error.ids
        self.diverged = (self.batch.warning != before)[:, UNSTABLE].any(axis=(1, 2))
        self.diverged |= ~(np.isfinite(self.qpos).all(axis=1) & np.isfinite(self.qvel).all(axis=1))
        self.diverged[failed] = True
        if self.diverged.any():
            self.batch.reset(np.flatnonzero(self.diverged))

    def heights(self, geoms: np.ndarray) -> np.ndarray:
        """Height of each geom's lowest point above the floor, in metres: geoms (K,) -> (N, K)."""
        model = self.model
        return _lowest(self.geom_xpos, self.geom_xmat, geoms, model.geom_type[geoms], model.geom_size[geoms])

    def render(self, copy: int, width: int = 640, height: int = 480) -> np.ndarray:
        """A copy as the camera sees it: (height, width, 3) uint8."""
        if (height, width) not in self._renderers:
            model = coarse(self.model) if max(height, width) <= SMALL else self.model
            self._renderers[height, width] = make_renderer(model, height, width)
        renderer, data = self._renderers[height, width], self.batch.get_data(copy)
        mujoco.mj_forward(self.model, data)
        renderer.update_scene(data, self._camera)
        return renderer.render().copy()

    @property
    def has_renderer(self) -> bool:
        """Whether graphics are held, to be given back by `close`."""
        return bool(self._renderers)

    def state(self) -> dict[str, np.ndarray]:
        """The integrator's state rows, warm start included, and what is known of the bodies a substep before."""
        derived = {f"derived.{name}": self.batch.bind(name).copy() for name in self.derived}
        return {"physics": self.batch.state.copy(), "diverged": self.diverged.copy(), **derived}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from a `state()`, observations included."""
        self.batch.state[:] = state["physics"]
        self.diverged = state["diverged"].copy()
        for name in self.derived:
            bound = self.batch.bind(name)
            bound.flags.writeable = True
            bound[:] = state[f"derived.{name}"]
            bound.flags.writeable = False

    def close(self) -> None:
        while self._renderers:
            self._renderers.popitem()[1].close()

    def _check_process(self) -> None:
        """The batch's threads do not follow into a forked process: to wait for them would never end."""
        if self._process != os.getpid() and self.batch.nthread > 1:
            raise RuntimeError(
                "expected a body of this process, given one of its parent's, whose native threads were lost in the fork: "
                "step it through its vector environment, which makes its own, or construct the core after the fork"
            )


_BODIES: WeakSet[Body] = WeakSet()


def _keep_after_fork() -> None:
    """In a forked process: what has native threads or graphics in the parent is never freed, for that would wait for ever."""
    for body in _BODIES:
        for owner in (body.batch, *body._renderers.values()):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(owner))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_after_fork)


def processors() -> int:
    """How many processors this process may use, or how many there are on a system that does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@exact_kernel
def _lowest(xpos, xmat, geoms, types, sizes):
    sphere, capsule = 2, 3  # mjtGeom; the only other type our bodies touch the ground with is the box
    out = np.empty((xpos.shape[0], len(geoms)))
    for i in range(xpos.shape[0]):
        for k, g in enumerate(geoms):
            z, size = xpos[i, g, 2], sizes[k]
            if types[k] == sphere:
                out[i, k] = z - size[0]
            elif types[k] == capsule:  # half-length size[1] along the geom's own z axis, whose world z is xmat[8]
                out[i, k] = z - size[0] - abs(xmat[i, g, 8]) * size[1]
            else:
                reach = abs(xmat[i, g, 6]) * size[0] + abs(xmat[i, g, 7]) * size[1] + abs(xmat[i, g, 8]) * size[2]
                out[i, k] = z - reach
    return out
