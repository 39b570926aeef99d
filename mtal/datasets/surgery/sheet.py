"""Painting sheets of tissue: colour, relief and organ numbers on a plane, read by every frame through one map.

Shapes are signed distances on the plane of the organs (negative inside). Picture and mask are read from the same
texels, hence the masks are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mtal.datasets.surgery.names import GRAY
from mtal.datasets.surgery.texture import Field

EXTENT = 2.2
"""The plane of the organs spans [−EXTENT, EXTENT] both ways."""
LEVEL, STEEPNESS = 128, 64
"""A slope s is kept as the gray value LEVEL + STEEPNESS · s."""
Point = NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """What one sheet shows at ``[H, W]`` points.

    Args:
        colour: ``[H, W, 4]`` uint8 RGB and opacity.
        relief: ``[H, W, 3]`` uint8 slopes along x and y, and gloss.
        organs: ``[H, W]`` uint8 gray value of the organ.
    """

    colour: NDArray[np.uint8]
    relief: NDArray[np.uint8]
    organs: NDArray[np.uint8]


@dataclass
class Sheet:
    """One sheet of tissue of T × T texels: the arrays of :class:`Seen` and how the tissue moves.

    Args:
        colour: ``[T, T, 4]`` uint8.
        relief: ``[T, T, 3]`` uint8.
        organs: ``[T, T]`` uint8.
        motion: ``[64, 64, 2]`` displacement at full inspiration, and nearness to the lens.
    """

    colour: NDArray[np.uint8]
    relief: NDArray[np.uint8]
    organs: NDArray[np.uint8]
    motion: Field

    @property
    def texels(self) -> int:
        """Edge of the sheet in texels."""
        return self.organs.shape[0]

    def look(self, x: Field, y: Field) -> Seen:
        """The sheet at ``[H, W]`` points of the plane."""
        column, row = self._texel(x), self._texel(y)

        def read(layer: NDArray[np.uint8], how: int) -> NDArray[np.uint8]:
            return cv2.remap(layer, column, row, how, borderMode=cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)

        return Seen(
            read(self.colour, cv2.INTER_LINEAR),
            read(self.relief, cv2.INTER_LINEAR),
            read(self.organs, cv2.INTER_NEAREST),
        )

    def motion_at(self, x: Field, y: Field) -> tuple[Field, Field]:
        """Displacement at full inspiration and nearness to the lens at points of the plane."""
        scale = self.motion.shape[0] / (2 * EXTENT)
        moved = cv2.remap(self.motion, (x + EXTENT) * scale - 0.5, (y + EXTENT) * scale - 0.5, cv2.INTER_LINEAR)
        return moved[..., 0], moved[..., 1]

    @staticmethod
    def share(value: NDArray[Any]) -> NDArray[Any]:
        """A coordinate of the plane as a share of the sheet's edge."""
        return (value + np.float32(EXTENT)) * np.float32(1 / (2 * EXTENT))

    def window(self, low: Point, high: Point) -> tuple[slice, slice]:
        """Rows and columns of the rectangle between two points of the plane."""
        (left, top), (right, bottom) = (
            np.clip((self.share(p) * self.texels).round(), 0, self.texels).astype(int) for p in (low, high)
        )
        return slice(int(top), int(bottom)), slice(int(left), int(right))

    def crop(self, window: tuple[slice, slice]) -> Seen:
        """A copy of the texels in a window."""
        return Seen(self.colour[window].copy(), self.relief[window].copy(), self.organs[window].copy())

    def paste(self, piece: Seen, window: tuple[slice, slice], where: NDArray[np.bool_]) -> None:
        """Show ``piece`` in the texels of ``window`` that ``where`` names."""
        for name in ("colour", "relief", "organs"):
            getattr(self, name)[window][where] = getattr(piece, name)[where]

    def mark(self, point: Point, radius: tuple[float, float], angle: float, colour: Field, amount: float) -> None:
        """Tint an ellipse, such as a clip or a scorch mark; ``colour`` [3] in [0, 1]."""
        reach = max(radius) + 0.02
        window = self.window(point - reach, point + reach)
        columns, rows = (np.arange(w.start, w.stop, dtype=np.float32) for w in (window[1], window[0]))
        across, down = (((c + 0.5) * (2 * EXTENT / self.texels) - EXTENT) for c in (columns, rows))
        distance = ellipse(across[None, :], down[:, None], point, radius, angle)
        cover = (amount * soft(distance, 0.006))[..., None]
        square = self.colour[window][..., :3]
        square[...] = square + cover * (255 * colour - square)

    def _texel(self, value: NDArray[np.floating]) -> NDArray[np.floating]:
        return (value + EXTENT) * (self.texels / (2 * EXTENT)) - 0.5


def soft(distance: Field, edge: float) -> Field:
    """Cover in [0, 1] of a shape whose border is ``edge`` wide on either side."""
    return np.clip(0.5 - distance / (2 * edge), 0, 1)


def ellipse(x: Field, y: Field, centre: Point, radii: tuple[float, float], angle: float) -> Field:
    """Signed distance to an ellipse, exact to first order."""
    (centre_x, centre_y), c, s = centre.tolist(), float(np.cos(angle)), float(np.sin(angle))  # keeps float32
    dx, dy = x - centre_x, y - centre_y
    along, across = (c * dx + s * dy) / radii[0], (c * dy - s * dx) / radii[1]
    return (np.sqrt(along**2 + across**2) - 1) * min(radii)


def cone(x: Field, y: Field, a: Point, b: Point, radius_a: float, radius_b: float) -> Field:
    """Signed distance to a capsule whose radius goes smoothly from ``radius_a`` to ``radius_b``."""
    (start_x, start_y), (along_x, along_y) = a.tolist(), (b - a).tolist()
    dx, dy = x - start_x, y - start_y
    u = np.clip((dx * along_x + dy * along_y) / (along_x**2 + along_y**2), 0, 1)
    radius = radius_a + (radius_b - radius_a) * u * u * (3 - 2 * u)
    return np.sqrt((dx - u * along_x) ** 2 + (dy - u * along_y) ** 2) - radius


def tube(x: Field, y: Field, points: Point, radius: float) -> Field:
    """Signed distance to a round line through ``[K, 2]`` points."""
    distance = np.full_like(x, 9.0)
    for a, b in pairwise(points):
        distance = np.minimum(distance, cone(x, y, a, b, radius, radius))
    return distance


def dome(distance: Field, rim: float, height: float) -> Field:
    """Height of a rounded surface: rises from the outline within about ``rim``."""
    return height * (1 - np.exp(np.minimum(distance, 0) / rim))


def tint(colour: Field, *terms: tuple[Field, tuple[float, float, float]]) -> Field:
    """Colour · Π exp(field · weight per channel): ``[T, T, 3]``."""
    channels = []
    for k in range(3):
        log = terms[0][0] * terms[0][1][k]
        for field, weight in terms[1:]:
            log = log + field * weight[k]
        channels.append(colour[k] * cv2.exp(log))
    return cv2.merge(channels)


class Painter:
    """A sheet being painted, ``texels`` wide."""

    def __init__(self, texels: int) -> None:
        square = (texels, texels)
        self.colour = np.zeros((*square, 3), np.float32)
        self.height = np.zeros(square, np.float32)
        self.alpha = np.zeros(square, np.float32)
        self.gloss = np.zeros(square, np.float32)
        self.breath = np.zeros(square, np.float32)
        self.organs = np.zeros(square, np.uint8)

    def copy(self) -> Painter:
        """The same so far."""
        twin = Painter(2)
        for name, field in vars(self).items():
            setattr(twin, name, field.copy())
        return twin

    def paint(
        self, organ: str, distance: Field, colour: Field, height: Field, gloss: float, breath: float, edge: float
    ) -> None:
        """Lay an organ over what is there; its mask ends where it covers half."""
        left, top, wide, high = cv2.boundingRect((distance < edge).astype(np.uint8))
        here = slice(top, top + high), slice(left, left + wide)
        cover = soft(distance[here], edge)
        for field, value in (
            (self.height, height[here]),
            (self.gloss, np.float32(gloss)),
            (self.breath, np.float32(breath)),
        ):
            field[here] += cover * (value - field[here])
        self.colour[here] += cv2.merge([cover] * 3) * (colour[here] - self.colour[here])
        np.maximum(self.alpha[here], cover, out=self.alpha[here])
        self.organs[here][cover > 0.5] = GRAY[organ]

    def finish(self) -> Sheet:
        """Light from beside the lens, dark creases, and all of it in bytes."""
        texels = self.height.shape[0]
        unit = texels / (2 * EXTENT)  # texels per unit of the plane
        slope_x, slope_y = (cv2.Sobel(self.height, cv2.CV_32F, *d, ksize=3, scale=unit / 8) for d in ((1, 0), (0, 1)))
        facing = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
        crease = np.zeros_like(self.height)
        for reach, depth in ((0.025, 0.25), (0.10, 0.9)):  # what higher ground stands round is dark
            above = cv2.GaussianBlur(self.height, (0, 0), reach * unit) - self.height
            crease += np.clip(depth * above / reach, 0, 0.6)
        lit = 0.25 + 0.75 * facing
        shaded = cv2.merge([lit * cv2.exp(-k * crease) for k in (0.65, 1.0, 1.0)])  # light that bounces about is red
        colour = np.clip(self.colour * shaded, 0, 1)
        level = np.clip(LEVEL + STEEPNESS * cv2.merge([slope_x, slope_y]), 0, 255)
        gloss = 255 * self.gloss * cv2.exp(-2 * crease)
        coarse = cv2.resize(cv2.merge([self.breath, self.height]), (64, 64), interpolation=cv2.INTER_AREA)
        return Sheet(
            colour=(255 * np.dstack([colour, self.alpha]) + 0.5).astype(np.uint8),
            relief=np.dstack([level, np.clip(gloss, 0, 255)]).astype(np.uint8),
            organs=self.organs,
            motion=cv2.GaussianBlur(coarse, (0, 0), 1.2),
        )
