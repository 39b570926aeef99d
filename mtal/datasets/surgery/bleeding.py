"""A bleeding: blood wells up where a tool touched, runs downhill, is washed away and leaves a stain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mtal.datasets.surgery.motion import ease
from mtal.datasets.surgery.texture import Field, fractal_noise
from mtal.datasets.surgery.workflow import Bleed

_CELLS = 128
_REACH = 0.85  # half edge of the square that one bleeding can cover


class Pool:
    """The blood of one bleeding.

    Where blood gets to is fixed at the start: a field says how much must have flowed before each cell is wet, small
    round the wound and along a winding stream downhill. Thickness grows with what has flowed, less what was washed.

    Args:
        rng: shapes of the pool and the stream.
        bleed: when it bleeds.
        wound: ``[2]``, in the plane of the organs.
        pace: seconds of video per second of a typical operation.
    """

    def __init__(self, rng: np.random.Generator, bleed: Bleed, wound: NDArray[np.float64], pace: float) -> None:
        self.bleed = bleed
        self.wound = wound
        self._pace = pace
        self._vigour = float(rng.uniform(0.8, 1.25))
        grid = ((np.arange(_CELLS) + 0.5) / _CELLS * 2 - 1).astype(np.float32) * np.float32(_REACH)
        y, x = np.meshgrid(grid, grid, indexing="ij")
        ragged = fractal_noise(rng, _CELLS, 40, 2.2, finest=8)
        round_pool = np.hypot(x, y * np.where(y > 0, 0.75, 1.25)) + 0.035 * ragged
        sway = 0.10 * np.interp(grid, np.linspace(-_REACH, _REACH, 8), rng.normal(0, 1, 8)).astype(np.float32)
        sway = (sway - np.interp(0, grid, sway)).astype(np.float32)
        width = 0.6 + 0.35 * np.tanh(2 * ragged)
        stream = np.where(y > -0.02, 0.72 * np.abs(y) + np.abs(x - sway[:, None]) / (width * 0.35), 9.0) + 0.02 * ragged
        self._needed = ndimage.gaussian_filter(np.minimum(round_pool, stream), 1.0).astype(np.float32)
        self._grid_x, self._grid_y = x, y
        self._kept = np.ones((_CELLS, _CELLS), np.float32)
        self._stain = np.zeros((_CELLS, _CELLS), np.float32)
        self._thickness = np.zeros((_CELLS, _CELLS), np.float32)

    def advance(self, t: float, dt: float, rinse: NDArray[np.float64] | None) -> None:
        """Let ``dt`` seconds pass up to ``t``; ``rinse`` [2] is where an irrigator works, if one does."""
        bleed = self.bleed
        if rinse is not None and t > bleed.washing - 0.5 * self._pace:
            off_x, off_y = (rinse - self.wound).tolist()
            near = np.exp(-((self._grid_x - off_x) ** 2 + (self._grid_y - off_y) ** 2) / 0.20**2)
            self._kept *= 1 - np.clip(1.6 * dt / self._pace * near, 0, 0.9)
        flowed = 0.46 * self._vigour * np.clip((t - bleed.start) / (bleed.sealed - bleed.start), 0, 1) ** 0.6
        film = np.sqrt(np.clip(flowed - self._needed, 0, None) / 0.25)
        self._thickness = (film * self._kept * (1 - ease(t, bleed.washing, bleed.washed))).astype(np.float32)
        self._stain = np.maximum(self._stain, 0.5 * np.clip(film, 0, 1)) * np.float32(1 - 0.03 * dt / self._pace)

    def film(self, x: Field, y: Field) -> Field:
        """Thickness at points of the plane, about 0 to 1, interpolated; all 0 once it is washed off."""
        if not self._thickness.any():
            return np.zeros_like(x)
        row, column = self._cell(x, y)
        return ndimage.map_coordinates(self._thickness, [row, column], order=1)

    def stain(self, x: Field, y: Field) -> Field:
        """What stays behind at points of the plane, 0 to ½."""
        row, column = ((c + 0.5).clip(0, _CELLS - 1).astype(np.intp) for c in self._cell(x, y))  # the rim is clean
        return self._stain[row, column]

    def _cell(self, x: Field, y: Field) -> tuple[Field, Field]:
        """Row and column, fractional, of points of the plane."""
        (left, top), scale = (self.wound - _REACH).tolist(), _CELLS / (2 * _REACH)
        return (y - top) * scale - 0.5, (x - left) * scale - 0.5
