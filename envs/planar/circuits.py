"""Closed circuits for the Driver, drawn at random.

A circuit is a polygon whose corners lie about its middle at jittered angles and distances, each corner rounded by an arc: so it
has straights, and bends of many radii to both sides. It is resampled at M points, evenly along its length; the two walls lie
half a road's width to the left and right of those points.

A draw is thrown away when a bend would be too tight, or when two parts of the road would come too close; after TRIES such draws
(never seen in 100,000 circuits) a plain oval is taken.
"""

import numpy as np

from envs.kernels import kernel, uniform

POINTS = 128  # M
HALF_WIDTH = np.float32(4.0)
CORNERS_MIN, CORNERS_MAX = 7, 11
NEAREST, FARTHEST = np.float32(26.0), np.float32(66.0)  # of a corner from the middle
TIGHTEST, WIDEST = np.float32(9.0), np.float32(24.0)  # radii of bends
APART = np.float32(2 * 4.0 + 3.0)  # between middles of the road that are not neighbours
TRIES = 200


@kernel
def draw_circuit(rng_state, i, x, y, tx, ty) -> np.floating:
    """Fill x, y (M,), the middle of the road, and tx, ty (M,), its direction; returns the spacing of the points."""
    corner_x, corner_y = np.empty(CORNERS_MAX, np.float32), np.empty(CORNERS_MAX, np.float32)
    radius, cut = np.empty(CORNERS_MAX, np.float32), np.empty(CORNERS_MAX, np.float32)
    for _ in range(TRIES):
        count = CORNERS_MIN + int(uniform(rng_state, i) * (CORNERS_MAX + 1 - CORNERS_MIN))
        turn = uniform(rng_state, i)
        for c in range(count):
            angle = 2 * np.pi * (c + turn + 0.6 * (uniform(rng_state, i) - 0.5)) / count
            distance = NEAREST + (FARTHEST - NEAREST) * uniform(rng_state, i)
            corner_x[c], corner_y[c] = distance * np.cos(angle), distance * np.sin(angle)
        start, mirrored = uniform(rng_state, i), uniform(rng_state, i) < 0.5
        if _round_corners(rng_state, i, count, corner_x, corner_y, radius, cut):
            spacing = _resample(count, corner_x, corner_y, radius, cut, start, x, y, tx, ty)
            if _keeps_apart(x, y, spacing):
                break
    else:
        spacing = np.float32(2 * np.pi * 45 / POINTS)
        for m in range(POINTS):
            angle = 2 * np.pi * m / POINTS
            x[m], y[m], tx[m], ty[m] = 45 * np.cos(angle), 45 * np.sin(angle), -np.sin(angle), np.cos(angle)
    if mirrored:  # the same road, driven clockwise
        for m in range(POINTS):
            y[m], ty[m] = -y[m], -ty[m]
    return spacing


@kernel
def _round_corners(rng_state, i, count, corner_x, corner_y, radius, cut):
    """Draw a radius for each corner, as wide as its edges allow; False if one would be too tight.

    An arc of radius r that turns by φ begins and ends r·tan(φ/2) from the corner: that much of each edge is cut off.
    """
    for c in range(count):
        before, after = (c + count - 1) % count, (c + 1) % count
        ax, ay = corner_x[c] - corner_x[before], corner_y[c] - corner_y[before]
        bx, by = corner_x[after] - corner_x[c], corner_y[after] - corner_y[c]
        shorter = min(np.sqrt(ax * ax + ay * ay), np.sqrt(bx * bx + by * by))
        half = np.tan(abs(np.arctan2(ax * by - ay * bx, ax * bx + ay * by)) / 2)
        wanted = TIGHTEST + (WIDEST - TIGHTEST) * uniform(rng_state, i)
        radius[c] = min(wanted, 0.48 * shorter / max(half, 1e-3))
        cut[c] = radius[c] * half
        if radius[c] < TIGHTEST:
            return False
    return True


@kernel
def _resample(count, corner_x, corner_y, radius, cut, start, x, y, tx, ty):
    """Walk along edges and arcs and set the points; the first lies in the middle of an edge."""
    length = 0.0
    for c in range(count):
        before, after = (c + count - 1) % count, (c + 1) % count
        ax, ay = corner_x[c] - corner_x[before], corner_y[c] - corner_y[before]
        bx, by = corner_x[after] - corner_x[c], corner_y[after] - corner_y[c]
        turn = abs(np.arctan2(ax * by - ay * bx, ax * bx + ay * by))
        length += np.sqrt(bx * bx + by * by) - cut[c] - cut[after] + radius[c] * turn
    spacing = length / POINTS
    m, due = 0, 0.0  # the next point, and how far into the current piece it lies
    first = int(start * count)
    for piece in range(count + 1):
        c = (first + piece) % count  # an edge from corner c to the next, then that corner's arc
        after, beyond = (c + 1) % count, (c + 2) % count
        ex, ey = corner_x[after] - corner_x[c], corner_y[after] - corner_y[c]
        edge = np.sqrt(ex * ex + ey * ey)
        ex, ey = ex / edge, ey / edge
        straight = edge - cut[c] - cut[after]
        if piece == 0:
            due = straight / 2
        while due < straight and m < POINTS:
            x[m], y[m] = corner_x[c] + ex * (cut[c] + due), corner_y[c] + ey * (cut[c] + due)
            tx[m], ty[m] = ex, ey
            m, due = m + 1, due + spacing
        due -= straight
        fx, fy = corner_x[beyond] - corner_x[after], corner_y[beyond] - corner_y[after]
        turn = np.arctan2(ex * fy - ey * fx, ex * fx + ey * fy)
        side = 1.0 if turn >= 0 else -1.0
        r = radius[after]
        px, py = corner_x[after] - ex * cut[after], corner_y[after] - ey * cut[after]  # where the arc begins
        while due < r * abs(turn) and m < POINTS:
            phi = due / r
            ahead, aside = r * np.sin(phi), side * r * (1 - np.cos(phi))
            x[m], y[m] = px + ex * ahead - ey * aside, py + ey * ahead + ex * aside
            c_phi, s_phi = np.cos(phi), side * np.sin(phi)
            tx[m], ty[m] = ex * c_phi - ey * s_phi, ey * c_phi + ex * s_phi
            m, due = m + 1, due + spacing
        due -= r * abs(turn)
    return np.float32(spacing)


@kernel
def _keeps_apart(x, y, spacing):
    """Whether points that are not neighbours along the road are far enough from each other."""
    near = int(np.ceil(1.6 * APART / spacing))  # half a turn of the tightest bend is longer than this
    for a in range(POINTS):
        closest = np.float32(1e9)
        for b in range(a + near, min(POINTS, a + POINTS - near)):
            dx, dy = x[a] - x[b], y[a] - y[b]
            closest = min(closest, dx * dx + dy * dy)
        if closest < APART * APART:
            return False
    return True
