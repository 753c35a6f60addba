"""Drawing on a plane, in metres; x points right, y up."""

import numpy as np

BACKGROUND, GROUND, WALL, INK, FAINT = "#e9edf1", "#f7f5ef", "#4a5560", "#22303c", "#c9d0d6"
AGENT, FRIEND, ENEMY, BALL, GOLD, GOOD = "#2f6fb5", "#3b8a5a", "#c0392b", "#e0792b", "#d9a520", "#3b8a5a"
SHARPNESS = 2  # drawn this much larger, then shrunk: smooth edges


class Canvas:
    """A view of a part of the plane.

    Parameters
    ----------
    centre : pair of float
        What is in the middle, in metres.
    span : float
        Metres from the left edge to the right one.
    size : int
        Pixels of an edge of the square picture.
    """

    def __init__(self, centre: tuple[float, float], span: float, size: int = 480, background: str = BACKGROUND):
        from PIL import Image, ImageDraw  # here, so that importing an environment stays light

        self.size, self.scale = size, size * SHARPNESS / span
        self._x0, self._y0 = centre[0] - span / 2, centre[1] + span / 2
        self._image = Image.new("RGB", (size * SHARPNESS, size * SHARPNESS), background)
        self._draw = ImageDraw.Draw(self._image, "RGBA")

    def pixel(self, x, y) -> tuple[float, float]:
        """Where a point of the plane lies in the large picture."""
        return (float(x) - self._x0) * self.scale, (self._y0 - float(y)) * self.scale

    def polygon(self, points, fill=None, outline=None, width: float = 0.1) -> None:
        """Points (n, 2); widths are metres, at least a pixel."""
        pixels = [self.pixel(x, y) for x, y in points]
        if fill:
            self._draw.polygon(pixels, fill=fill)
        if outline:
            self._draw.line([*pixels, pixels[0], pixels[1]], fill=outline, width=self._pixels(width), joint="curve")

    def line(self, points, colour=INK, width: float = 0.1) -> None:
        """A line through points (n, 2)."""
        self._draw.line([self.pixel(x, y) for x, y in points], fill=colour, width=self._pixels(width), joint="curve")

    def disc(self, x, y, radius, fill=None, outline=None, width: float = 0.1) -> None:
        """A disc, or a ring."""
        px, py = self.pixel(x, y)
        r = float(radius) * self.scale
        stroke = self._pixels(width) if outline else 0
        self._draw.ellipse((px - r, py - r, px + r, py + r), fill=fill, outline=outline, width=stroke)

    def box(self, x0, y0, x1, y1, fill=None, outline=None, width: float = 0.1) -> None:
        """An upright rectangle."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill, outline, width)

    def turned_box(self, x, y, heading, front, back, half_width, fill) -> None:
        """A rectangle that reaches `front` metres ahead of (x, y) and `back` behind."""
        c, s = np.cos(heading), np.sin(heading)
        corners = [(front, half_width), (front, -half_width), (-back, -half_width), (-back, half_width)]
        self.polygon([(x + c * a - s * b, y + s * a + c * b) for a, b in corners], fill)

    def arrow(self, x, y, heading, radius, fill="#ffffff") -> None:
        """A wedge inside a disc that shows its heading."""
        corners = [(0.75, 0.0), (-0.35, 0.5), (-0.1, 0.0), (-0.35, -0.5)]
        c, s = np.cos(heading) * radius, np.sin(heading) * radius
        self.polygon([(x + c * a - s * b, y + s * a + c * b) for a, b in corners], fill)

    def arena(self, half: float, fill) -> None:
        """A square arena of 2·`half` metres round the origin, with its walls."""
        outer = half + 0.2
        self.box(-outer, -outer, outer, outer, WALL)
        self.box(-half, -half, half, half, fill)

    def agent(self, x, y, heading, radius: float) -> None:
        """The agent: a disc with an arrow."""
        self.disc(x, y, radius, AGENT)
        self.arrow(x, y, heading, radius)

    def text(self, x, y, words: str, height: float, colour=INK) -> None:
        """Words centred on a point; `height` in metres."""
        self._draw.text(self.pixel(x, y), words, fill=colour, font=_font(round(height * self.scale)), anchor="mm")

    def caption(self, words: str) -> None:
        """A line of words on a band along the lower edge."""
        width, band = self.size * SHARPNESS, 26 * SHARPNESS
        self._draw.rectangle((0, width - band, width, width), fill="#22303ce6")
        self._draw.text((12 * SHARPNESS, width - band / 2), words, fill="#ffffff", font=_font(14 * SHARPNESS), anchor="lm")

    def rays(self, x, y, dx, dy, near, colours) -> None:
        """Rays from a point, each as long as it saw, with a dot where it met something (colour None: it met nothing)."""
        for cx, cy, t, colour in zip(dx, dy, near, colours, strict=True):
            end = (x + cx * t, y + cy * t)
            self.line([(x, y), end], f"{colour or '#8a949c'}70", 1.4 * SHARPNESS / self.scale)
            if colour:
                self.disc(*end, 3 * SHARPNESS / self.scale, colour)

    def picture(self) -> np.ndarray:
        """(size, size, 3) uint8."""
        return np.array(self._image.reduce(SHARPNESS))

    def _pixels(self, width: float) -> int:
        return max(SHARPNESS, round(width * self.scale))


def _font(pixels: int):
    from PIL import ImageFont

    return ImageFont.load_default(max(pixels, 6))
