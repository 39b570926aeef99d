"""The laparoscope: where it looks, and how the screen maps to the plane of the organs.

The screen spans [−1, 1] both ways, x to the right and y down; the plane of the organs is :mod:`sheet`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtal.datasets.surgery.motion import Wander
from mtal.datasets.surgery.sheet import EXTENT
from mtal.datasets.surgery.texture import Field


@dataclass(frozen=True)
class View:
    """One pose: plane = centre + R(angle) · screen / zoom."""

    centre: NDArray[np.float64]
    zoom: float
    angle: float

    def to_plane(self, x: Field, y: Field) -> tuple[Field, Field]:
        """Where screen points lie in the plane."""
        c, s = float(np.cos(self.angle)) / self.zoom, float(np.sin(self.angle)) / self.zoom
        cx, cy = self.centre.tolist()
        return cx + c * x - s * y, cy + s * x + c * y

    def to_screen(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where a ``[2]`` point of the plane appears on the screen."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        x, y = (point - self.centre) * self.zoom
        return np.array([c * x + s * y, -s * x + c * y])


class Camera:
    """A hand-held camera that pans, zooms, rolls and shakes about a point of interest."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._pan = Wander(rng, 2, 0.06, 0.18)
        self._roll = Wander(rng, 1, 0.04, 0.16)
        self._dolly = Wander(rng, 1, 0.05, 0.16)
        self._shake = Wander(rng, 2, 1.3, 0.012)
        self._tilt = rng.normal(0, 0.16)
        self._distance = rng.uniform(1.0, 1.18)

    def view(self, hand_time: float, look_at: NDArray[np.float64], zoom: float) -> View:
        """The pose at ``hand_time`` (seconds during which the hand moved, so it rests where time stands still)."""
        zoom = zoom * self._distance * float(np.exp(self._dolly(hand_time)[0]))
        zoom = float(np.clip(zoom, 0.85, 1.9))
        centre = look_at + self._pan(hand_time) + self._shake(hand_time)
        # Keep the corners of the picture inside the plane.
        reach = max(EXTENT - 1.5 / zoom, 0.0)
        return View(np.clip(centre, -reach, reach), zoom, float(self._tilt + self._roll(hand_time)[0]))
