"""The tissue that the lens sees at one moment: breathing, touched, pulled, bleeding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mtal.datasets.surgery.bleeding import Pool, stained
from mtal.datasets.surgery.camera import View
from mtal.datasets.surgery.names import BLOOD
from mtal.datasets.surgery.organs import Anatomy
from mtal.datasets.surgery.sheet import LEVEL, STEEPNESS, Point, Seen, Sheet
from mtal.datasets.surgery.texture import Field

_BLOOD_FILM = 0.22  # a thinner film counts as a stain
_BLOOD_COLOUR = np.array([0.60, 0.02, 0.02], np.float32) * 255
_STEP = 8  # pixels between the points at which displacements are computed
_PARALLAX = 0.08


@dataclass
class Tissue:
    """What is seen at ``[H, W]`` pixels.

    Args:
        colour: ``[H, W, 3]`` RGB, 0 to 255.
        slope_x: of the surface, along x of the plane.
        slope_y: the same, downwards.
        gloss: 0 to 1.
        mask: ``[H, W]`` gray value of organ or blood.
        x: where in the plane, were nothing displaced.
        y: the same, downwards.
    """

    colour: Field
    slope_x: Field
    slope_y: Field
    gloss: Field
    mask: NDArray[np.uint8]
    x: Field
    y: Field


@dataclass(frozen=True)
class Forces:
    """What moves tissue at one moment; points and vectors are ``[2]``, in the plane.

    Args:
        breath: 0 to 1.
        pushes: (where, how far) tools press.
        pull: how far the fundus of the gallbladder is drawn.
        lift: how far its neck is lifted off the liver.
        carry: how far all of it is carried away; None once it is gone.
    """

    breath: float
    pushes: Sequence[tuple[Point, Point]]
    pull: Point
    lift: Point
    carry: Point | None


class Scene:
    """Renders tissue into squares of ``size`` pixels."""

    def __init__(self, anatomy: Anatomy, size: int) -> None:
        self.anatomy = anatomy
        self._size = size
        self._nodes = -(-size // _STEP) + 2
        first = -_STEP / 2  # of the pixels that a node stands for; one node lies outside on each side
        nodes = ((np.arange(self._nodes) * _STEP + first) / size * 2 - 1).astype(np.float32)
        self._nodes_x, self._nodes_y = np.meshgrid(nodes, nodes)
        opaque = np.argwhere(anatomy.gallbladder.colour[..., 3] > 0) / anatomy.gallbladder.texels
        self._bounds = (opaque.min(axis=0), opaque.max(axis=0))  # (row, column), as shares of the sheet

    def render(self, view: View, forces: Forces, pools: Sequence[Pool]) -> Tissue:
        """The tissue under one pose of the camera."""
        x, y = view.to_plane(self._nodes_x, self._nodes_y)
        amplitude, near = self.anatomy.bed.motion_at(x, y)
        # tissue gives way unevenly: more at its free edge than where it hangs
        centre_x, centre_y = view.centre.tolist()
        bed_x = x - forces.breath * amplitude * 0.3 * np.cos(1.7 * y) + _PARALLAX * near * centre_x
        bed_y = y - forces.breath * amplitude * (1 + 0.4 * np.sin(2 * x + 0.7)) + _PARALLAX * near * centre_y
        for point, push in forces.pushes:
            bed_x, bed_y = _dent(bed_x, bed_y, point, push, 0.17)
        full_x, full_y = self._fine(bed_x), self._fine(bed_y)
        seen = self.anatomy.bed.look(full_x, full_y)
        colour, relief = seen.colour[..., :3].astype(np.float32), seen.relief.astype(np.float32)
        mask = seen.organs
        if forces.carry is not None:
            self._gallbladder(bed_x, bed_y, forces, colour, relief, mask)
        tissue = Tissue(
            colour=colour,
            slope_x=(relief[..., 0] - LEVEL) * np.float32(1 / STEEPNESS),
            slope_y=(relief[..., 1] - LEVEL) * np.float32(1 / STEEPNESS),
            gloss=relief[..., 2] * np.float32(1 / 255),
            mask=mask,
            x=self._fine(x),
            y=self._fine(y),
        )
        for pool in pools:
            _bleed(tissue, *pool.film(full_x, full_y))
        return tissue

    def _gallbladder(
        self, x: Field, y: Field, forces: Forces, colour: Field, relief: Field, mask: NDArray[np.uint8]
    ) -> None:
        """Lay the gallbladder over the bed, with the shadow it casts there."""
        assert forces.carry is not None
        sites, sheet = self.anatomy.sites, self.anatomy.gallbladder
        x, y = x - np.float32(forces.carry[0]), y - np.float32(forces.carry[1])
        x, y = _dent(x, y, sites["fundus"], forces.pull, 0.55)
        x, y = _dent(x, y, sites["neck"], forces.lift, 0.40)
        window = self._window(sheet, x, y)
        if window is None:
            return
        seen = sheet.look(self._fine(x)[window], self._fine(y)[window])
        opacity = seen.colour[..., 3].astype(np.float32) / 255
        shift = max(self._size // 50, 1)
        fallen = cv2.blur(opacity, (self._size // 12, self._size // 12))
        shadow = np.zeros_like(fallen)
        shadow[shift:, shift:] = fallen[:-shift, :-shift]
        _over(colour[window], opacity, seen, 1 - 0.5 * shadow)
        cover = opacity[..., None]
        relief[window] += cover * (seen.relief - relief[window])
        front = opacity > 0.5
        mask[window][front] = seen.organs[front]

    def _window(self, sheet: Sheet, x: Field, y: Field) -> tuple[slice, slice] | None:
        """Pixels that may show the sheet's opaque part; None if none does."""
        column, row = sheet.share(x), sheet.share(y)
        (top, left), (bottom, right) = self._bounds
        inside = (row > top - 0.03) & (row < bottom + 0.03) & (column > left - 0.03) & (column < right + 0.03)
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        if not len(rows):
            return None
        low, high = (
            [int(np.clip((n - 1) * _STEP + d, 0, self._size)) for n in pair]
            for pair, d in (((rows[0], columns[0]), -_STEP), ((rows[-1], columns[-1]), 2 * _STEP))
        )
        if low[0] >= high[0] or low[1] >= high[1]:
            return None
        return slice(low[0], high[0]), slice(low[1], high[1])

    def _fine(self, coarse: Field) -> Field:
        edge = self._nodes * _STEP
        fine = cv2.resize(coarse, (edge, edge), interpolation=cv2.INTER_LINEAR)
        return fine[_STEP : _STEP + self._size, _STEP : _STEP + self._size]


def _dent(x: Field, y: Field, point: Point, push: Point, reach: float) -> tuple[Field, Field]:
    """Coordinates to read from when tissue round ``point`` moves by ``push``."""
    (at_x, at_y), (push_x, push_y) = point.tolist(), push.tolist()
    grip = np.exp(((x - at_x - push_x) ** 2 + (y - at_y - push_y) ** 2) * np.float32(-1 / reach**2))
    return x - grip * np.float32(push_x), y - grip * np.float32(push_y)


def _over(colour: Field, opacity: Field, seen: Seen, shade: Field) -> None:
    cover = cv2.merge([opacity] * 3)
    under = colour * cv2.merge([shade] * 3)
    colour[...] = under + cover * (seen.colour[..., :3] - under)


def _bleed(tissue: Tissue, film: Field, stain: Field) -> None:
    """Paint blood ``[H, W]`` thick, and what it left behind, on the tissue."""
    if stain.any():
        tissue.colour[...] = stained(tissue.colour, stain)
    if not film.any():
        return
    cover = np.clip(film * np.float32(0.5 / _BLOOD_FILM), 0, 0.97)
    blood = (1.10 - 0.45 * np.clip(film, 0, 1))[..., None] * _BLOOD_COLOUR
    tissue.colour += cv2.merge([cover] * 3) * (blood - tissue.colour)
    right, down = (cv2.Sobel(film, cv2.CV_32F, *d, ksize=3, scale=0.5) for d in ((1, 0), (0, 1)))
    tissue.slope_x += cover * (right - 0.7 * tissue.slope_x)
    tissue.slope_y += cover * (down - 0.7 * tissue.slope_y)
    tissue.gloss += cover * (0.35 - tissue.gloss)
    tissue.mask[cover > 0.5] = BLOOD
