"""Lamp, lens and sensor: from lit tissue to the picture that is recorded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mtal.datasets.surgery.appearance import Appearance
from mtal.datasets.surgery.motion import Wander
from mtal.datasets.surgery.organs import GLOSS, SLOPE_X, SLOPE_Y
from mtal.datasets.surgery.texture import Field, fractal_noise

_HAZE_CELLS = 256
_HAZE_COLOUR = np.array([0.72, 0.70, 0.72], np.float32)


class Optics:
    """One laparoscope on one camera.

    Args:
        rng: of focus, smoke and sensor noise.
        look: its light, white balance, aperture, blur and noise.
        x: ``[H, W]`` screen coordinates of the pixels.
        y: the same, downwards.
    """

    def __init__(self, rng: np.random.Generator, look: Appearance, x: Field, y: Field) -> None:
        self._rng = rng
        self._look = look
        self._x, self._y = x, y
        self._size = x.shape[1]
        axis_x, axis_y = look.axis.tolist()
        off_axis = np.hypot(x - axis_x, y - axis_y)
        self._border = np.clip((look.aperture - off_axis) * self._size / 4 + 0.5, 0, 1)[..., None]  # [H, W, 1]
        light_x, light_y = look.light.tolist()
        off_light = (x - light_x) ** 2 + (y - light_y) ** 2
        self._light = look.exposure * 1.25 / (1 + look.falloff * off_light) * (1 - 0.12 * off_axis**2)
        self._haze = fractal_noise(rng, _HAZE_CELLS, 120, 2.0)
        self._haze_path = Wander(rng, 2, 0.2, 40.0)
        self._focus = Wander(rng, 1, 0.09, 1.0)

    @property
    def outside(self) -> NDArray[np.bool_]:
        """``[H, W]``: the dark border round the picture."""
        return self._border[..., 0] < 0.5

    def light(self, tissue: Field) -> Field:
        """``[H, W, 3]`` colours of ``tissue [H, W, 7]`` under the lamp, with its reflections.

        A surface reflects the lamp where it faces half-way between lamp and lens.
        """
        off_x = tissue[..., SLOPE_X] + 0.55 * (self._x - 0.12)
        off_y = tissue[..., SLOPE_Y] + 0.55 * (self._y + 0.10)
        off = off_x**2 + off_y**2
        shine = tissue[..., GLOSS] * (0.75 * np.exp(off / -0.035) + 0.10 * np.exp(off / -0.4)) * self._look.exposure
        return tissue[..., :3] * self._light[..., None] + shine[..., None]

    def smoke(self, image: Field, density: float, t: float) -> None:
        """Lay drifting haze over ``image`` in place; ``density`` 0 to 1."""
        row, column = (self._haze_path(t) % _HAZE_CELLS).tolist()
        across = np.arange(self._size) * (_HAZE_CELLS / 2 / self._size)
        window = np.ix_(*((start + across).astype(int) % _HAZE_CELLS for start in (row, column)))
        haze = (np.clip(0.10 + 0.09 * self._haze[window], 0, 0.35) * np.float32(density))[..., None]
        image += haze * (_HAZE_COLOUR - image)

    def record(self, image: Field, hand: float) -> NDArray[np.uint8]:
        """What the sensor and the camera's processor make of ``image``; ``hand`` is the camera's time in motion."""
        look = self._look
        blur = look.blur + 1.6 * max(float(self._focus(hand)[0]) - 0.75, 0.0)  # now and then out of focus
        image = ndimage.gaussian_filter(image, (blur, blur, 0), truncate=2.5)
        image *= self._border
        gray = (image[..., 0] + image[..., 1] + image[..., 2])[..., None] / 3
        image = image * (look.saturation * look.gain) + gray * ((1 - look.saturation) * look.gain)
        over = np.maximum(image - 0.75, 0)
        image = np.minimum(image, 0.75) + over / (1 + 4 * over)  # soft shoulder: highlights keep their colour
        grain = self._rng.standard_normal(image.shape[:2], dtype=np.float32)[..., None] * look.noise * self._border
        return (np.clip(image + grain, 0, 1) * 255 + 0.5).astype(np.uint8)
