"""Lamp, lens and sensor: from tissue to the picture that is recorded."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mtal.datasets.surgery.appearance import Appearance
from mtal.datasets.surgery.camera import View
from mtal.datasets.surgery.motion import Wander
from mtal.datasets.surgery.scene import Tissue
from mtal.datasets.surgery.texture import Field, fractal_noise

_HAZE = np.array([0.74, 0.72, 0.73], np.float32)
_FOG = np.array([0.66, 0.60, 0.58], np.float32)
_EXPOSURE_S = 1 / 40
_GRAIN_MARGIN = 64


class Optics:
    """One laparoscope on one camera.

    Args:
        rng: of focus, smoke, sensor noise and the room outside.
        look: its light, white balance, aperture, blur and noise.
        size: edge of the picture in pixels.
        difficulty: of smoke, fog and focus.
    """

    def __init__(self, rng: np.random.Generator, look: Appearance, size: int, difficulty: float) -> None:
        self._rng = rng
        self._look = look
        self._size = size
        self._murk = 0.5 + difficulty
        centres = ((np.arange(size) + 0.5) / size * 2 - 1).astype(np.float32)
        self._x, self._y = x, y = np.meshgrid(centres, centres)
        axis_x, axis_y = look.axis.tolist()
        self._off_axis = np.hypot(x - axis_x, y - axis_y)
        light_x, light_y = look.light.tolist()
        off_light = (x - light_x) ** 2 + (y - light_y) ** 2
        lit = look.exposure * 1.30 / (1 + look.falloff * off_light) * (1 - 0.16 * self._off_axis**2)
        self.brightness: Field = lit.astype(np.float32)
        """``[H, W]`` light of the lamp."""
        self._light = cv2.merge([self.brightness / 255] * 3)
        self._border = self._disc(look.aperture)
        self._haze = fractal_noise(rng, 2 * size, 0.9 * size, 0.55, finest=size / 12)
        self._haze_path = Wander(rng, 2, 0.2, 0.3 * size)
        self._focus = Wander(rng, 1, 0.09, 1.0)
        grain = rng.standard_normal((size + _GRAIN_MARGIN, size + _GRAIN_MARGIN), dtype=np.float32) * look.noise
        chroma = cv2.GaussianBlur(rng.standard_normal((*grain.shape, 3), dtype=np.float32), (0, 0), 1.2)
        self._grain = grain[..., None] + look.noise * chroma
        self._room = _room(rng, size)
        gray = np.full((3, 3), (1 - look.saturation) / 3)
        self._colours = ((gray + look.saturation * np.eye(3)) * look.gain[:, None]).astype(np.float32)

    def light(self, tissue: Tissue, view: View) -> Field:
        """``[H, W, 3]`` colours of tissue under the lamp, with its reflections.

        A surface reflects the lamp where it faces half-way between lamp and lens.
        """
        tilt = np.float32(0.55 * view.zoom)
        centre_x, centre_y = view.centre.tolist()
        off = (tissue.slope_x + tilt * (tissue.x - np.float32(centre_x + 0.12))) ** 2
        off += (tissue.slope_y + tilt * (tissue.y - np.float32(centre_y - 0.10))) ** 2
        shine = tissue.gloss * (
            0.85 * cv2.exp(off * np.float32(-1 / 0.030)) + 0.13 * cv2.exp(off * np.float32(-1 / 0.4))
        )
        image: Field = tissue.colour * self._light
        image += cv2.merge([shine * self.brightness] * 3)
        return image

    def smoke(self, image: Field, density: float, t: float) -> None:
        """Lay drifting haze over ``image`` in place; ``density`` 0 to 1."""
        row, column = (abs(c) % self._size for c in self._haze_path(t).astype(int).tolist())
        haze = self._haze[row : row + self._size, column : column + self._size]
        self._veil(image, np.clip(0.10 + 0.10 * haze, 0, 0.40) * np.float32(density * self._murk), _HAZE)

    def fog(self, image: Field, density: float) -> Field:
        """The picture through a fogged lens: milky and soft, clearest in the middle; ``density`` 0 to 1."""
        soft = cv2.GaussianBlur(image, (0, 0), 0.010 * self._size * density + 0.3)
        veil = np.clip(density * self._murk * (0.15 + 0.40 * self._off_axis), 0, 0.75).astype(np.float32)
        self._veil(soft, veil, _FOG)
        return soft

    def withdraw(self, image: Field, mask: NDArray[np.uint8], share: float, background: int) -> None:
        """Pull the lens out through the trocar, in place: 0 leaves the picture alone, 1 shows the room outside."""
        inner = float(np.interp(share, [0, 0.6], [1.5, -0.05]))
        inside = self._disc(inner)
        beyond = np.clip(self._off_axis - inner, 0, 2)
        gleam = 0.30 * np.exp(-(((self._off_axis - 0.55) / 0.10) ** 2)) * (1.2 + self._x)  # of the steel tube
        wall = cv2.merge([((0.05 + gleam * share) * np.exp(-0.4 * beyond)).astype(np.float32)] * 3)
        wall += np.float32(np.interp(share, [0.5, 0.85], [0, 1])) * (self._room - wall)
        image[...] = wall + inside * (image - wall)
        mask[inside[..., 0] < 0.5] = background

    def record(self, image: Field, hand: float, speed: NDArray[np.float64]) -> NDArray[np.uint8]:
        """What the sensor and the camera's processor make of ``image``.

        Args:
            image: ``[H, W, 3]``.
            hand: the camera's time in motion, for its focus.
            speed: ``[2]`` of the picture, in half picture widths per second.
        """
        look = self._look
        blur = (look.blur + 2.2 * self._murk * max(float(self._focus(hand)[0]) - 0.8, 0)) * self._size / 256
        image = cv2.GaussianBlur(image, (0, 0), max(blur, 0.3))
        image = _smear(image, speed * (self._size / 2 * _EXPOSURE_S))
        image = cv2.transform(image, self._colours)
        over = np.maximum(image - np.float32(0.75), 0)
        image = np.minimum(image, np.float32(0.75))
        image += over / (1 + 4 * over)  # soft shoulder: highlights keep their colour
        row, column = self._rng.integers(0, _GRAIN_MARGIN, 2).tolist()
        image += self._grain[row : row + self._size, column : column + self._size]
        image *= self._border
        return cv2.convertScaleAbs(image, alpha=255).astype(np.uint8, copy=False)

    def rim(self, mask: NDArray[np.uint8], background: int) -> None:
        """Mark the dark border round the picture, in place."""
        mask[self._border[..., 0] < 0.5] = background

    def _disc(self, radius: float) -> Field:
        cover = np.clip((radius - self._off_axis) * np.float32(self._size / 4) + 0.5, 0, 1).astype(np.float32)
        return cv2.merge([cover] * 3)

    @staticmethod
    def _veil(image: Field, density: Field, colour: Field) -> None:
        image += cv2.merge([density] * 3) * (colour - image)


def _smear(image: Field, step: NDArray[np.float64]) -> Field:
    """Blur along ``step`` [2] pixels."""
    length = float(np.hypot(*step))
    if length < 1.5:
        return image
    edge = 2 * int(np.ceil(min(length, 24) / 2)) + 1
    kernel = np.zeros((edge, edge), np.float32)
    middle = edge // 2
    reach = step / length * middle
    start, end = ((middle + sign * reach).round().astype(int).tolist() for sign in (-1, 1))
    cv2.line(kernel, start, end, 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def _room(rng: np.random.Generator, size: int) -> Field:
    """``[size, size, 3]``: drapes under the theatre's lamps, out of focus."""
    drape = np.array([0.14, 0.42, 0.46]) if rng.random() < 0.6 else np.array([0.20, 0.34, 0.58])
    folds = fractal_noise(rng, size, 0.8 * size, 0.4, finest=0.2 * size)
    light = np.clip(fractal_noise(rng, size, 1.2 * size, 0.3, finest=0.5 * size) - 0.4, 0, 1.5)
    return (drape * (0.8 + 0.25 * folds[..., None]) + 0.5 * light[..., None]).clip(0, 1).astype(np.float32)
