"""A bleeding: blood wells up where a tool touched, runs downhill, is sucked off and leaves a stain."""

from __future__ import annotations

import cv2
import numpy as np

from mtal.datasets.surgery.motion import ease
from mtal.datasets.surgery.sheet import EXTENT, Point, Sheet
from mtal.datasets.surgery.texture import Field, fractal_noise
from mtal.datasets.surgery.workflow import Bleed

_CELLS = 128
_REACH = 0.85  # half edge of the square that one bleeding can cover
_STAIN = 0.2  # where blood lay
_ABSORBED = np.array([0.16, 0.85, 0.80], np.float32)  # by a stain, per channel


class Pool:
    """The blood of one bleeding, in the plane of the organs, with which it moves.

    Where blood gets to is fixed at the start: a field says how much must have flowed before each cell is wet, small
    round the wound and along a winding stream downhill. Thickness grows with what has flowed, less what was removed.

    Args:
        rng: shapes of the pool and the stream.
        bleed: when it bleeds.
        wound: ``[2]``, in the plane of the organs.
        pace: seconds of video per second of a typical operation.
    """

    def __init__(self, rng: np.random.Generator, bleed: Bleed, wound: Point, pace: float) -> None:
        self.bleed = bleed
        self.wound = wound
        self._pace = pace
        self._time = -np.inf
        self._vigour = float(rng.uniform(0.95, 1.3))
        grid = ((np.arange(_CELLS) + 0.5) / _CELLS * 2 - 1).astype(np.float32) * np.float32(_REACH)
        x, y = np.meshgrid(grid, grid)
        ragged = fractal_noise(rng, _CELLS, 40, 0.4, finest=8)
        pond = 1.3 * np.hypot(x, y * np.where(y > 0, 0.75, 1.25)) + 0.06 * ragged
        sway = 0.10 * np.interp(grid, np.linspace(-_REACH, _REACH, 8), rng.normal(0, 1, 8)).astype(np.float32)
        sway = (sway - np.interp(0, grid, sway)).astype(np.float32)
        width = 0.55 + 0.35 * np.tanh(2 * ragged)
        stream = np.where(y > -0.02, 0.60 * np.abs(y) + np.abs(x - sway[:, None]) / (width * 0.35), 9.0) + 0.02 * ragged
        self._needed = cv2.GaussianBlur(np.minimum(pond, stream).astype(np.float32), (0, 0), 1.0)
        self._x, self._y = x, y
        self._kept = np.ones((_CELLS, _CELLS), np.float32)
        self._film = np.zeros((_CELLS, _CELLS, 2), np.float32)  # thickness, stain

    @property
    def over(self) -> bool:
        """Nothing is left but the stain."""
        return bool(self.bleed.washed < self._time)

    def advance(self, t: float, dt: float, suction: Point | None) -> None:
        """Let ``dt`` seconds pass up to ``t``; ``suction`` [2] is where an irrigator works, if one does."""
        bleed, self._time = self.bleed, t
        if suction is not None and t > bleed.washing - 0.5 * self._pace:
            off_x, off_y = (suction - self.wound).tolist()
            near = cv2.exp(((self._x - off_x) ** 2 + (self._y - off_y) ** 2) / -(0.20**2))
            self._kept *= 1 - np.clip(1.6 * dt / self._pace * near, 0, 0.9)
        flowed = 0.46 * self._vigour * np.clip((t - bleed.start) / (bleed.sealed - bleed.start), 0, 1) ** 0.45
        wet = cv2.sqrt(np.clip(np.float32(flowed) - self._needed, 0, None) * 4)
        np.multiply(wet, self._kept * np.float32(1 - ease(t, bleed.washing, bleed.washed)), out=self._film[..., 0])
        self._film[..., 1] = np.maximum(self._film[..., 1], _STAIN * np.minimum(wet, 1))

    def film(self, x: Field, y: Field) -> tuple[Field, Field]:
        """Thickness, about 0 to 1, and stain at ``[H, W]`` points of the plane."""
        (left, top), scale = (self.wound - _REACH).tolist(), _CELLS / (2 * _REACH)
        seen = cv2.remap(
            self._film,
            (x - np.float32(left)) * np.float32(scale) - np.float32(0.5),
            (y - np.float32(top)) * np.float32(scale) - np.float32(0.5),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
        )
        return seen[..., 0], seen[..., 1]

    def soak(self, sheet: Sheet) -> None:
        """Leave the stain in the tissue for good."""
        window = sheet.window(self.wound - _REACH, self.wound + _REACH)
        centres = [
            ((np.arange(w.start, w.stop, dtype=np.float32) + 0.5) * np.float32(2 * EXTENT / sheet.texels))
            - np.float32(EXTENT)
            for w in window
        ]
        y, x = np.meshgrid(*centres, indexing="ij")
        colour = sheet.colour[window][..., :3]
        colour[...] = stained(colour.astype(np.float32), self.film(x, y)[1])


def stained(colour: Field, stain: Field) -> Field:
    """``[H, W, 3]`` colour seen through a stain ``[H, W]``."""
    return colour * cv2.exp(cv2.merge([stain * -a for a in _ABSORBED]))
