"""Rays in three dimensions: what a part of a body meets first, as in sensors.py for the plane.

Observation         rays × [distance / length, or −1 where nothing was hit · 1 if what was hit has no tag · one-hot of its tag]

A ray from o along the unit vector d meets, at the smallest t ≥ 0,

    a plane     n·(o + t·d − p) = 0
    a sphere    ‖o + t·d − c‖ = r
    a capsule   distance from o + t·d to its axis = r, between its ends; or one of the spheres at its ends
    a box       in its axes |o + t·d| ≤ half its size: from the last entrance to the first exit of three slabs

A ray of radius ρ is a ball that moves along it: what it meets is thicker by ρ. A box becomes a larger box, whose corners are not
round. A ray that begins inside has distance 0. Planes have no edge.

Shapes: N copies, G geoms, K rays, T tags. Metres and radians; x is ahead, y left, z up.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import mujoco
import numpy as np

from envs.bodies.body import Body
from envs.checks import check_whole
from envs.kernels import kernel
from envs.sensors import clear_rays, report_rays

PLANE, SPHERE, CAPSULE, BOX = (int(getattr(mujoco.mjtGeom, f"mjGEOM_{name}")) for name in ("PLANE", "SPHERE", "CAPSULE", "BOX"))


@dataclass(frozen=True)
class RaySensor3D:
    """Rays spread evenly over a field of view, in rows one above the other.

    Parameters
    ----------
    rows, columns : int
        K = rows · columns. The first ray looks down to the right, the next to its left, the last up to the left.
    fov_rows, fov_columns : float
        Field of view in radians, at most π up and 2π aside; one row or column looks along the middle. In a full circle the
        first column looks along the middle, and they go round to the left.
    length : float
        How far a ray reaches, in metres.
    tags : int
        T, kinds of things that a ray can tell apart.
    radius : float
        Of a ray, in metres; 0 is a thin ray.

    Raises
    ------
    ValueError
        If one of them is out of range.
    """

    rows: int
    columns: int
    fov_rows: float
    fov_columns: float
    length: float
    tags: int
    radius: float = 0.0

    def __post_init__(self):
        for name, least in (("rows", 1), ("columns", 1), ("tags", 0)):
            check_whole(name, getattr(self, name), least)
        for name, high in (("fov_rows", np.pi), ("fov_columns", 2 * np.pi), ("radius", np.inf)):
            if not 0 <= getattr(self, name) <= high + 1e-9 or np.isinf(getattr(self, name)):
                raise ValueError(f"expected {name} in [0, {high:.3g}], given {getattr(self, name)}")
        if not (np.isfinite(self.length) and self.length > 0):
            raise ValueError(f"expected length > 0, given {self.length}")

    @property
    def size(self) -> int:
        """Numbers in an observation, K·(2 + T)."""
        return self.rows * self.columns * (2 + self.tags)

    def directions(self) -> np.ndarray:
        """Unit vectors in the sensor's own axes: (K, 3)."""
        up, left = (_spread(*pair) for pair in ((self.rows, self.fov_rows), (self.columns, self.fov_columns)))
        up, left = (angle.ravel() for angle in np.meshgrid(up, left, indexing="ij"))
        return np.stack([np.cos(up) * np.cos(left), np.cos(up) * np.sin(left), np.sin(up)], axis=1)


def _spread(count, fov):
    k = np.arange(count)
    if fov >= 2 * np.pi - 1e-9:
        return 2 * np.pi * k / count
    return fov * (k / (count - 1) - 0.5) if count > 1 else np.zeros(1)


class BodyRays:
    """A sensor on a site of a body.

    Parameters
    ----------
    body : Body
    sensor : RaySensor3D
    site : str
        Where it is, and how it is turned.
    geoms : mapping of str to int
        What it can meet, by name, each with its tag, or −1 without one. Everything else is invisible to it.

    Attributes
    ----------
    derived : tuple of str
        Fields of MuJoCo that it reads, which the body's `derived` has to name.

    Raises
    ------
    ValueError
        If a geom is no plane, sphere, capsule or box, or a tag none of the sensor's.
    """

    derived = ("site_xpos", "site_xmat", "geom_xpos", "geom_xmat")

    def __init__(self, body: Body, sensor: RaySensor3D, site: str, geoms: Mapping[str, int]):
        model = body.model
        ids = np.array([model.geom(name).id for name in geoms], np.int64)
        for name, tag in geoms.items():
            if model.geom(name).type[0] not in (PLANE, SPHERE, CAPSULE, BOX):
                raise ValueError(f"expected planes, spheres, capsules or boxes for rays to meet, given {name!r}")
            if not -1 <= tag < sensor.tags:
                raise ValueError(f"expected tags in [-1, {sensor.tags}), given {tag} for {name!r}")
        self.sensor, self._site = sensor, model.site(site).id
        self._fields = tuple(body.batch.bind(name) for name in self.derived)
        tags, types, sizes = np.array(list(geoms.values()), np.int64), model.geom_type[ids].astype(np.int64), model.geom_size[ids]
        self._geoms = ids, tags, types, sizes + 0.0
        self._directions = sensor.directions()

    def observe(self, out: np.ndarray, start: int) -> None:
        """Into the columns of out (N, …) from `start` on, float32."""
        s = self.sensor
        _observe(*self._fields, self._site, self._directions, *self._geoms, s.length, s.radius, s.tags, out, start)


@kernel
def _observe(site_xpos, site_xmat, xpos, xmat, site, own, geoms, tags, types, sizes, length, radius, kinds, out, start):
    rays = len(own)
    near, met, d = np.empty(rays, np.float32), np.empty(rays, np.int32), np.empty((rays, 3))
    for i in range(len(out)):
        _turn(site_xmat[i, site], own, d)
        clear_rays(near, met, length)
        for j in range(len(geoms)):
            g, tag = geoms[j], np.int32(tags[j])
            _sweep(near, met, site_xpos[i, site], d, xpos[i, g], xmat[i, g], types[j], sizes[j], radius, tag)
        report_rays(near, met, length, kinds, out[i], start)


@kernel
def _turn(frame, own, d):
    """Directions in the world: own (K, 3) in axes whose unit vectors are the columns of frame (9,)."""
    for k in range(len(own)):
        for j in range(3):
            d[k, j] = frame[3 * j] * own[k, 0] + frame[3 * j + 1] * own[k, 1] + frame[3 * j + 2] * own[k, 2]


@kernel
def _sweep(near, met, o, d, centre, axes, kind, size, radius, tag):
    """Rays from o (3,) along d (K, 3) meet a geom at `centre`, whose axes are the columns of `axes` (9,)."""
    w, place = np.empty(3), np.empty(3)  # the origin seen from the geom, in the world's axes and in its own
    for j in range(3):
        w[j] = o[j] - centre[j]
    for j in range(3):
        place[j] = axes[j] * w[0] + axes[3 + j] * w[1] + axes[6 + j] * w[2]
    for k in range(len(d)):
        x = axes[0] * d[k, 0] + axes[3] * d[k, 1] + axes[6] * d[k, 2]
        y = axes[1] * d[k, 0] + axes[4] * d[k, 1] + axes[7] * d[k, 2]
        z = axes[2] * d[k, 0] + axes[5] * d[k, 1] + axes[8] * d[k, 2]
        if kind == PLANE:
            t = _meet_plane(place[2] - radius, z)
        elif kind == SPHERE:
            t = _meet_sphere(place[0], place[1], place[2], x, y, z, size[0] + radius)
        elif kind == CAPSULE:
            t = _meet_capsule(place[0], place[1], place[2], x, y, z, size[0] + radius, size[1])
        else:
            t = _meet_box(place, (x, y, z), size, radius)
        if t < near[k]:
            near[k], met[k] = t, tag


@kernel
def _meet_plane(height, z):
    if height <= 0:
        return 0.0
    return -height / z if z < 0 else np.inf


@kernel
def _meet_sphere(px, py, pz, x, y, z, r):
    b, c = px * x + py * y + pz * z, px * px + py * py + pz * pz - r * r
    if c <= 0:
        return 0.0
    root = b * b - c
    return -b - np.sqrt(root) if root >= 0 and b < 0 else np.inf


@kernel
def _meet_capsule(px, py, pz, x, y, z, r, half):
    """The cylinder's side, where it is met between the ends, or else the balls at its ends."""
    a, b, c = x * x + y * y, px * x + py * y, px * px + py * py - r * r
    if c <= 0 and abs(pz) <= half:
        return 0.0
    root = b * b - a * c
    if root >= 0 and a > 0 and c > 0:
        t = (-b - np.sqrt(root)) / a
        if t >= 0 and abs(pz + t * z) <= half:
            return t
    return min(_meet_sphere(px, py, pz - half, x, y, z, r), _meet_sphere(px, py, pz + half, x, y, z, r))


@kernel
def _meet_box(place, d, size, radius):
    enter, leave = 0.0, np.inf
    for j in range(3):
        half = size[j] + radius
        if d[j] == 0:
            if abs(place[j]) > half:
                return np.inf
        else:
            s, t = (-half - place[j]) / d[j], (half - place[j]) / d[j]
            enter, leave = max(enter, min(s, t)), min(leave, max(s, t))
    return enter if enter <= leave else np.inf
