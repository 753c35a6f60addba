"""Sensors of the planar games: rays that report what they hit first, and a grid that reports what is in each cell.

Ray observation     rays × [distance / length, or −1 where nothing was hit · 1 if what was hit has no tag · one-hot of its tag]
Grid observation    cells × [1 if empty · 1 if something without a tag is inside · for each tag, 1 if such a thing is inside]

A sensor's settings are an object; its work is done by kernels that games call inside their own. All rays are tested against one
obstacle after the other, and each keeps the nearest hit. So the inner loop, over rays, has no branches and vectorises:

    clear_rays(near, met, length)
    sweep_disc(near, met, x, y, dx, dy, cx, cy, r, thickness, tag)         once for each disc, segment, box or room
    report_rays(near, met, length, tags, out, start)

A ray of radius ρ is a disc of that radius that moves along it, and its distance is how far the disc's centre gets: the same
as a thin ray among obstacles that are ρ thicker. One that begins inside an obstacle has distance 0.

Shapes: K rays, T tags. All numbers are float32; (dx, dy) are unit vectors, metres and radians.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from envs.checks import check_whole
from envs.kernels import kernel

UNTAGGED, NOTHING = -1, -2  # what a ray has met, when it is not a tag's number
FAR = np.float32(1e30)


@dataclass(frozen=True)
class RaySensor:
    """Rays spread evenly over a field of view.

    Parameters
    ----------
    rays : int
        K. The first looks to the right end of the field, the last to the left; one ray looks along its middle. In a full
        circle the first looks along the middle, and they go round to the left.
    fov : float
        Field of view in radians, at most 2π.
    length : float
        How far a ray reaches, in metres.
    tags : int
        T, kinds of things that a ray can tell apart.
    offset : float
        From the agent's heading to the middle of the field, in radians, to the left.
    radius : float
        Of a ray, in metres; 0 is a thin ray.
    """

    rays: int
    fov: float
    length: float
    tags: int
    offset: float = 0.0
    radius: float = 0.0

    def __post_init__(self):
        check_whole("rays", self.rays, 1)
        check_whole("tags", self.tags, 0)
        if not 0 <= self.fov <= 2 * np.pi + 1e-9:
            raise ValueError(f"expected fov in [0, 2π], given {self.fov}")
        _check_positive("length", self.length)
        if not (np.isfinite(self.radius) and self.radius >= 0):
            raise ValueError(f"expected radius >= 0, given {self.radius}")
        if not np.isfinite(self.offset):
            raise ValueError(f"expected a finite offset, given {self.offset}")

    @property
    def size(self) -> int:
        """Numbers in an observation, K·(2 + T)."""
        return self.rays * (2 + self.tags)

    def directions(self) -> np.ndarray:
        """Unit vectors in the agent's own axes (x ahead, y left): (2, K) float32."""
        k = np.arange(self.rays)
        if self.rays == 1:
            angles = np.zeros(1)
        elif self.fov >= 2 * np.pi - 1e-9:
            angles = 2 * np.pi * k / self.rays
        else:
            angles = self.fov * (k / (self.rays - 1) - 0.5)
        angles = angles + self.offset
        return np.array([np.cos(angles), np.sin(angles)], np.float32)


@dataclass(frozen=True)
class GridSensor:
    """A box of cubic cells that moves and turns with the agent.

    Parameters
    ----------
    shape : tuple of 3 int
        Cells ahead, up and to the left.
    cell : float
        Edge of a cell in metres.
    tags : int
        T, kinds of things that a cell can tell apart.
    """

    shape: tuple[int, int, int]
    cell: float
    tags: int

    def __post_init__(self):
        if len(self.shape) != 3:
            raise ValueError(f"expected a shape of three numbers, given {self.shape}")
        for count in self.shape:
            check_whole("cells along each axis", count, 1)
        check_whole("tags", self.tags, 0)
        _check_positive("cell", self.cell)

    @property
    def size(self) -> int:
        """Numbers in an observation, cells·(2 + T)."""
        return prod(self.shape) * (2 + self.tags)


def _check_positive(name: str, value: float) -> None:
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"expected {name} > 0, given {value}")


@kernel
def ray_buffers(rays) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Arrays for what `rays` rays meet: near, met, dx, dy, each (K,)."""
    near, dx, dy = np.empty(rays, np.float32), np.empty(rays, np.float32), np.empty(rays, np.float32)
    return near, np.empty(rays, np.int32), dx, dy


@kernel
def turn_rays(own, cosine, sine, dx, dy) -> None:
    """Directions in the world: own (2, K) in the agent's axes, whose x axis is (cosine, sine), -> dx, dy (K,)."""
    c, s = np.float32(cosine), np.float32(sine)
    for k in range(len(dx)):
        dx[k] = c * own[0, k] - s * own[1, k]
        dy[k] = s * own[0, k] + c * own[1, k]


@kernel
def clear_rays(near, met, length) -> None:
    """Nothing met within `length`: near (K,) float32, met (K,) int32."""
    near[:] = np.float32(length)
    met[:] = NOTHING


@kernel
def sweep_disc(near, met, x, y, dx, dy, cx, cy, r, thickness, tag) -> None:
    """Rays from (x, y) meet a disc: |o + t·d − c| = r  ⇒  t = −b − √(b² − q), b = d·(o − c), q = |o − c|² − r²."""
    wx, wy, r = np.float32(x - cx), np.float32(y - cy), np.float32(r + thickness)
    q, zero = wx * wx + wy * wy - r * r, np.float32(0)
    what = np.int32(tag)
    if q <= zero:
        near[:] = zero
        met[:] = what
        return
    for k in range(len(near)):
        b = wx * dx[k] + wy * dy[k]
        root = b * b - q
        t = -b - np.sqrt(max(root, zero))
        closer = (root >= zero) & (b < zero) & (t < near[k])
        near[k] = t if closer else near[k]
        met[k] = what if closer else met[k]


@kernel
def sweep_segment(near, met, x, y, dx, dy, ax, ay, bx, by, thickness, tag) -> None:
    """Rays from (x, y) meet the segment from a to b."""
    if thickness > 0:
        ex, ey, wx, wy = bx - ax, by - ay, x - ax, y - ay
        length = np.sqrt(ex * ex + ey * ey)
        along = min(max((wx * ex + wy * ey) / (length * length), np.float32(0)), np.float32(1))
        if (wx - along * ex) ** 2 + (wy - along * ey) ** 2 <= thickness * thickness:
            near[:] = np.float32(0)
            met[:] = np.int32(tag)
            return
        nx, ny = -ey / length * thickness, ex / length * thickness
        _sweep_line(near, met, x, y, dx, dy, ax + nx, ay + ny, bx + nx, by + ny, tag)
        _sweep_line(near, met, x, y, dx, dy, ax - nx, ay - ny, bx - nx, by - ny, tag)
        sweep_disc(near, met, x, y, dx, dy, ax, ay, np.float32(0), thickness, tag)
        sweep_disc(near, met, x, y, dx, dy, bx, by, np.float32(0), thickness, tag)
    else:
        _sweep_line(near, met, x, y, dx, dy, ax, ay, bx, by, tag)


@kernel
def _sweep_line(near, met, x, y, dx, dy, ax, ay, bx, by, tag):
    """o + t·d = a + u·e, e = b − a: crossed with d and with e, u = (w×d)/(d×e) and t = (w×e)/(d×e), w = a − o."""
    wx, wy, ex, ey = np.float32(ax - x), np.float32(ay - y), np.float32(bx - ax), np.float32(by - ay)
    cross, zero, one, what = wx * ey - wy * ex, np.float32(0), np.float32(1), np.int32(tag)
    for k in range(len(near)):
        scale = one / (dx[k] * ey - dy[k] * ex)  # ∞ where they are parallel: then u is ±∞ or NaN, and nothing is met
        t = cross * scale
        u = (wx * dy[k] - wy * dx[k]) * scale
        closer = (u >= zero) & (u <= one) & (t >= zero) & (t < near[k])
        near[k] = t if closer else near[k]
        met[k] = what if closer else met[k]


@kernel
def sweep_chain(near, met, x, y, dx, dy, px, py, thickness, tag) -> None:
    """Rays from (x, y) meet the chain of segments through the points px, py.

    The same as `sweep_segment` for each; but here the inner loop is over the segments, of which there are more than rays.
    """
    if thickness > 0:
        for j in range(len(px) - 1):
            sweep_segment(near, met, x, y, dx, dy, px[j], py[j], px[j + 1], py[j + 1], thickness, tag)
        return
    reached = np.empty(len(px) - 1, np.float32)
    bits = reached.view(np.int32)  # numbers that are not negative are ordered as their bits are: a minimum that vectorises
    for k in range(len(near)):
        _reach_segments(np.float32(x), np.float32(y), dx[k], dy[k], px, py, reached)
        bits[0] = _least(bits)
        if reached[0] < near[k]:
            near[k], met[k] = reached[0], tag


@kernel
def _least(values):
    least = values[0]
    for j in range(1, len(values)):
        least = min(least, values[j])
    return least


@kernel
def _reach_segments(x, y, dx, dy, px, py, reached):
    """Distance along one ray to each segment; in the ray's own axes (l along it, s to its left) that is where s changes sign."""
    zero = np.float32(0)
    for j in range(len(reached)):
        ax, ay, bx, by = px[j] - x, py[j] - y, px[j + 1] - x, py[j + 1] - y
        sa, sb = dx * ay - dy * ax, dx * by - dy * bx
        la, lb = dx * ax + dy * ay, dx * bx + dy * by
        t = (la * sb - lb * sa) / (sb - sa)
        reached[j] = t if (sa * sb <= zero) & (t >= zero) else FAR


@kernel
def sweep_box(near, met, x, y, dx, dy, x0, y0, x1, y1, thickness, tag) -> None:
    """Rays from (x, y) meet the box [x0, x1] × [y0, y1]; with a radius its corners are round."""
    r = np.float32(thickness)
    _sweep_slabs(near, met, x, y, dx, dy, x0 - r, y0, x1 + r, y1, tag)
    if r > 0:
        _sweep_slabs(near, met, x, y, dx, dy, x0, y0 - r, x1, y1 + r, tag)
        for cx, cy in ((x0, y0), (x0, y1), (x1, y0), (x1, y1)):
            sweep_disc(near, met, x, y, dx, dy, cx, cy, np.float32(0), r, tag)


@kernel
def _sweep_slabs(near, met, x, y, dx, dy, x0, y0, x1, y1, tag):
    """Inside the box from the last of the two slabs' entrances to the first of their exits."""
    left, right, low, high = np.float32(x0 - x), np.float32(x1 - x), np.float32(y0 - y), np.float32(y1 - y)
    zero, one, what = np.float32(0), np.float32(1), np.int32(tag)
    for k in range(len(near)):
        sx, sy = one / dx[k], one / dy[k]
        ax, bx, ay, by = left * sx, right * sx, low * sy, high * sy
        enter = max(max(min(ax, bx), min(ay, by)), zero)
        leave = min(max(ax, bx), max(ay, by))
        closer = (enter <= leave) & (enter < near[k])
        near[k] = enter if closer else near[k]
        met[k] = what if closer else met[k]


@kernel
def sweep_room(near, met, x, y, dx, dy, x0, y0, x1, y1, thickness, tag) -> None:
    """Rays from (x, y) meet the walls of the room [x0, x1] × [y0, y1] that they are in."""
    r = np.float32(thickness)
    left, right, low, high = np.float32(x0 + r - x), np.float32(x1 - r - x), np.float32(y0 + r - y), np.float32(y1 - r - y)
    zero, one, what = np.float32(0), np.float32(1), np.int32(tag)
    for k in range(len(near)):
        sx, sy = one / dx[k], one / dy[k]
        leave = max(min(max(left * sx, right * sx), max(low * sy, high * sy)), zero)
        closer = leave < near[k]
        near[k] = leave if closer else near[k]
        met[k] = what if closer else met[k]


@kernel
def report_rays(near, met, length, tags, out, start) -> None:
    """Write the ray observation into out[start:]."""
    width, scale, zero, one = 2 + tags, np.float32(1) / np.float32(length), np.float32(0), np.float32(1)
    for k in range(len(near)):
        at, what = start + k * width, met[k]
        for j in range(width):
            out[at + j] = zero
        out[at] = -one if what == NOTHING else near[k] * scale
        if what != NOTHING:
            out[at + 2 + what if what >= 0 else at + 1] = one


@kernel
def clear_grid(cells) -> None:
    """All empty: cells (ahead, up, left, 2 + T)."""
    cells[:] = np.float32(0)
    cells[..., 0] = np.float32(1)


@kernel
def mark_ball(cells, edge, x, y, z, r, tag) -> None:
    """Cells that overlap a ball at (x ahead, y up, z left) from the grid's centre."""
    a, b, c, _ = cells.shape
    half, slot, one, zero = np.float32(edge) / np.float32(2), tag + 2, np.float32(1), np.float32(0)
    for i in range(_first(x - r, a, edge), _last(x + r, a, edge)):
        fx = _gap(x, i, a, edge, half)
        for j in range(_first(y - r, b, edge), _last(y + r, b, edge)):
            fy = _gap(y, j, b, edge, half)
            for k in range(_first(z - r, c, edge), _last(z + r, c, edge)):
                fz = _gap(z, k, c, edge, half)
                if fx * fx + fy * fy + fz * fz < r * r:
                    cells[i, j, k, 0], cells[i, j, k, slot] = zero, one


@kernel
def _first(low, count, edge):
    return max(0, int(np.floor(low / edge + count / 2)))


@kernel
def _last(high, count, edge):
    return min(count, int(np.floor(high / edge + count / 2)) + 1)


@kernel
def _gap(x, i, count, edge, half):
    """From x to the nearest point of cell i along one axis."""
    return max(abs(x - (i + np.float32(0.5) - count * np.float32(0.5)) * edge) - half, np.float32(0))


@kernel
def mark_beyond(cells, edge, nx, ny, nz, distance, tag) -> None:
    """Cells that reach beyond the plane n·p = distance, n a unit vector in the grid's axes: walls and the ground."""
    a, b, c, _ = cells.shape
    slot, zero, one, middle = tag + 2, np.float32(0), np.float32(1), np.float32(0.5)
    reach = (abs(nx) + abs(ny) + abs(nz)) * edge * middle
    corner = (abs(nx) * a + abs(ny) * b + abs(nz) * c) * edge * middle
    if corner <= distance:
        return
    for i in range(a):
        for j in range(b):
            for k in range(c):
                p = nx * (i + middle - a * middle) + ny * (j + middle - b * middle) + nz * (k + middle - c * middle)
                if p * edge + reach > distance:
                    cells[i, j, k, 0], cells[i, j, k, slot] = zero, one
