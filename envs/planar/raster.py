"""Small pictures painted inside the kernels, to be observed: a game seen from above, the agent in the middle, ahead is up.

A view is (x, y, cosine, sine, scale): where the agent is, its heading, and pixels a metre. A pixel is painted if its middle is
inside the shape.

Shapes: a picture is (P, P, 3) uint8.
"""

import numpy as np
from gymnasium import spaces

from envs.checks import check_whole
from envs.kernels import kernel

USUAL, SMALLEST, LARGEST = 32, 16, 48
HALF = np.float32(0.5)


def check_pixels(pixels: bool | int) -> int:
    """The edge of the pictures to be observed: 0 for False, 32 for True, or 16 … 48.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    if isinstance(pixels, bool | np.bool_):
        return USUAL if pixels else 0
    if check_whole("pixels", pixels, 0) != 0 and not SMALLEST <= pixels <= LARGEST:
        raise ValueError(f"expected pixels False, True or in [{SMALLEST}, {LARGEST}], given {pixels}")
    return int(pixels)


def picture_space(pixels: int) -> spaces.Box:
    """Pictures (P, P, 3) of bytes."""
    return spaces.Box(0, 255, (pixels, pixels, 3), np.uint8)


@kernel
def view_of(out, x, y, heading, span) -> tuple[np.floating, np.floating, np.floating, np.floating, np.floating]:
    """The view of a picture `out` that is `span` metres wide."""
    return x, y, np.cos(heading), np.sin(heading), np.float32(len(out)) / np.float32(span)


@kernel
def place_of(out, view, x, y) -> tuple[np.floating, np.floating]:
    """Row and column of a point, as numbers with fractions."""
    px, py, c, s, scale = view
    dx, dy, middle = x - px, y - py, len(out) * HALF
    return middle - scale * (c * dx + s * dy), middle - scale * (c * dy - s * dx)


@kernel
def paint_all(out, colour) -> None:
    """One colour everywhere."""
    for row in range(len(out)):
        for column in range(len(out)):
            _set(out, row, column, colour)


@kernel
def paint_disc(out, view, x, y, radius, colour) -> None:
    """A disc; a pixel of it, at least, if its middle is in the picture."""
    row, column = place_of(out, view, x, y)
    r = view[4] * radius
    for i in range(_first(row - r), _last(row + r, len(out))):
        for j in range(_first(column - r), _last(column + r, len(out))):
            if (i + HALF - row) ** 2 + (j + HALF - column) ** 2 <= r * r:
                _set(out, i, j, colour)
    if 0 <= row < len(out) and 0 <= column < len(out):
        _set(out, int(row), int(column), colour)


@kernel
def paint_box(out, view, x, y, heading, front, back, half_width, colour) -> None:
    """A rectangle that reaches `front` metres ahead of (x, y) and `back` behind."""
    row, column = place_of(out, view, x, y)
    scale, c, s = view[4], np.cos(heading), np.sin(heading)
    along, across = view[2] * c + view[3] * s, view[2] * s - view[3] * c  # its heading in the agent's axes
    reach = scale * (max(front, back) + half_width)
    for i in range(_first(row - reach), _last(row + reach, len(out))):
        for j in range(_first(column - reach), _last(column + reach, len(out))):
            ahead, left = row - i - HALF, column - j - HALF
            depth, aside = along * ahead + across * left, along * left - across * ahead
            if -back * scale <= depth <= front * scale and abs(aside) <= half_width * scale:
                _set(out, i, j, colour)


@kernel
def _set(out, row, column, colour):
    out[row, column, 0], out[row, column, 1], out[row, column, 2] = colour


@kernel
def _first(low):
    return max(0, int(np.floor(min(low, np.float32(LARGEST)))))


@kernel
def _last(high, size):
    return min(size, int(np.floor(max(high, np.float32(-1)))) + 1)
