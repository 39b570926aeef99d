"""Pictures and their masks as they might have been: turned, cropped, in other colours, behind smoke.

Letters: n frames of H x W pixels. Colours are between 0 and 1 within this module.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mtal.datasets.label_map import IGNORE
from mtal.numbers import is_number, is_whole
from mtal.refusals import refuse

_SMOKE_CELLS = 4  # along each side: smoke is a smooth thing
_SPOTS = 6
_SHAPE = {"flip": 1, "geometry": 4, "colour": 4, "blur": 2, "smoke": 2 + _SMOKE_CELLS**2, "specular": 1 + 3 * _SPOTS}
_SHAPE |= {"vignette": 4, "circle": 4}
DRAWS = 1 + sum(_SHAPE.values())
"""Numbers that a view is made of: whether it is one, then uniform ones between 0 and 1 for all there is to choose."""

_ALWAYS_WITHIN = {"scale": (0.05, 1.0), "rotation": (0.0, 180.0), "hue": (0.0, 0.5), "blur": (0.0, 0.2)}


@dataclass(frozen=True)
class Augmentation:
    """How far views of a frame go from it; with nothing but defaults there are none.

    Tags stay as they are, so crops are mild: what is seen should be seen still. Pixels that come from outside of the
    frame, or vanish behind the black around an endoscope's circle, are black and not annotated.

    Args:
        flip: left to right, one view in two.
        scale: smallest share of each side that a crop keeps.
        rotation: largest angle either way, in degrees.
        brightness: largest change either way, as a share; so for the next two.
        contrast: around the frame's mean.
        saturation: of colours.
        hue: largest change either way, of the circle of hues.
        blur: largest sigma, as a share of the frame's height; one view in two.
        smoke: share of views with it.
        specular: share of views with bright spots.
        vignette: share of views that grow dark to the rim.
        circle: share of views that are black around a circle.
        views: of each frame that are kept with a frozen encoder, the frame itself among them. With any other every
            pass draws anew.

    Raises:
        ValueError: a value is out of range.
    """

    flip: bool = False
    scale: float = 1.0
    rotation: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    blur: float = 0.0
    smoke: float = 0.0
    specular: float = 0.0
    vignette: float = 0.0
    circle: float = 0.0
    views: int = 4

    def __post_init__(self) -> None:
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if self.flip is not True and self.flip is not False:
            yield f"augment.flip must be true or false, not {self.flip!r}"
        if not (is_whole(self.views) and self.views >= 2):
            yield (
                f"augment.views must be a whole number of at least 2, of which one is the frame itself, not "
                f"{self.views!r}; augment=none has none"
            )
        for field in fields(self):
            value, (least, most) = getattr(self, field.name), _ALWAYS_WITHIN.get(field.name, (0.0, 1.0))
            if field.name in ("flip", "views"):
                continue
            if not (is_number(value) and least <= value <= most):
                yield f"augment.{field.name} must be a number from {least:g} to {most:g}, not {value!r}"

    @property
    def is_none(self) -> bool:
        """Whether every view is the frame itself."""
        return all(getattr(self, f.name) == f.default for f in fields(self) if f.name != "views")

    def draw(self, seed: int, positions: np.ndarray, views: np.ndarray) -> Tensor:
        """Of each view by itself, whatever else is drawn, ``[n, DRAWS]``; view 0 is the frame itself.

        Args:
            seed: of the run.
            positions: ``[n]`` of frames in the frame index.
            views: ``[n]`` number of the view of each.
        """
        drawn = np.zeros((len(positions), DRAWS), dtype=np.float32)
        for row, (position, view) in enumerate(zip(positions.tolist(), views.tolist(), strict=True)):
            if view:
                drawn[row, 0] = 1
                drawn[row, 1:] = np.random.default_rng([seed, position, view]).random(DRAWS - 1, dtype=np.float32)
        return torch.from_numpy(drawn)

    @torch.no_grad()
    def images(self, images: Tensor, draw: Tensor) -> Tensor:
        """Views of ``images [n, 3, H, W]`` uint8, float32 from 0 to 255, channels last in memory."""
        as_they_are = images.float()
        with torch.autocast(images.device.type, enabled=False):
            u, (H, W) = _named(draw), (images.shape[-2], images.shape[-1])
            x = as_they_are / 255
            x = functional.grid_sample(x, self._grid(u, H, W), mode="bilinear", align_corners=False)
            x = self._optics(self._colours(x, u), u)
            x = torch.where(_is_view(draw, 4), 255 * x.clamp(0, 1), as_they_are)
        return x.contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def masks(self, masks: Tensor, draw: Tensor) -> Tensor:
        """The same views of ``masks [n, (C,) H, W]`` uint8: the label of the nearest pixel, or IGNORE."""
        u, (H, W) = _named(draw), (masks.shape[-2], masks.shape[-1])
        x = masks.view(len(masks), -1, H, W)
        with torch.autocast(masks.device.type, enabled=False):  # which would place them by half as many digits
            # what is sampled outside is 0, and stands for IGNORE
            x = functional.grid_sample(IGNORE - x.float(), self._grid(u, H, W), mode="nearest", align_corners=False)
            x = (IGNORE - x).to(torch.uint8)
            if self.circle:
                x = torch.where(self._seen(u, H, W), x, IGNORE)
        x = x.view(masks.shape)
        return torch.where(_is_view(draw, masks.ndim), x, masks)

    def _grid(self, u: dict[str, Tensor], H: int, W: int) -> Tensor:  # [n, H, W, 2]
        mirrored = torch.where((u["flip"][:, 0] < 0.5) & self.flip, -1.0, 1.0)  # [n]
        side, angle = 1 - (1 - self.scale) * u["geometry"][:, 0], _both_ways(u["geometry"][:, 1])
        angle = angle * math.radians(self.rotation)
        cos, sin = side * angle.cos(), side * angle.sin()
        shift = _both_ways(u["geometry"][:, 2:4]) * (1 - side).unsqueeze(1)  # [n, 2], as far as the crop leaves room
        across = torch.stack([cos * mirrored, -sin * (H / W), shift[:, 0]], dim=1)
        down = torch.stack([sin * mirrored * (W / H), cos, shift[:, 1]], dim=1)
        return functional.affine_grid(torch.stack([across, down], dim=1), [len(side), 1, H, W], align_corners=False)

    def _colours(self, x: Tensor, u: dict[str, Tensor]) -> Tensor:
        from kornia.enhance import adjust_hue, adjust_saturation  # noqa: PLC0415  most runs need none of it
        from kornia.filters import gaussian_blur2d  # noqa: PLC0415

        change = _both_ways(u["colour"])  # [n, 4]
        if self.hue:
            x = adjust_hue(x, change[:, 3] * 2 * math.pi * self.hue)
        if self.saturation:
            x = adjust_saturation(x, 1 + change[:, 2] * self.saturation)
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        x = mean + (x - mean) * _column(1 + change[:, 1] * self.contrast)
        x = (x * _column(1 + change[:, 0] * self.brightness)).clamp(0, 1)
        if self.blur:
            largest = self.blur * x.shape[-2]
            sigma = torch.where(u["blur"][:, 0] < 0.5, u["blur"][:, 1] * largest, 0.0).clamp(min=0.01)
            reach = 2 * math.ceil(2 * largest) + 1
            x = gaussian_blur2d(x, (reach, reach), sigma.unsqueeze(1).expand(-1, 2))
        return x

    def _optics(self, x: Tensor, u: dict[str, Tensor]) -> Tensor:
        H, W = x.shape[-2:]
        if self.smoke:
            cells = u["smoke"][:, 2:].view(-1, 1, _SMOKE_CELLS, _SMOKE_CELLS)
            density = functional.interpolate(cells, (H, W), mode="bicubic", align_corners=True).clamp(0, 1)
            density = density * _column(0.7 * u["smoke"][:, 1] * (u["smoke"][:, 0] < self.smoke))
            x = x + density * (0.8 - x)
        if self.specular:
            light = self._spots(u["specular"][:, 1:].view(-1, _SPOTS, 3), H, W)
            x = x + light * _column((u["specular"][:, 0] < self.specular).float()) * (1 - x)
        if self.vignette:
            distance = _distance(u["vignette"][:, 2:4], 0.2, H, W)
            darkness = 0.8 * u["vignette"][:, 1] * (u["vignette"][:, 0] < self.vignette)
            x = x * (1 - _column(darkness) * (distance / 1.4).clamp(max=1) ** 2)
        return torch.where(self._seen(u, H, W), x, 0.0) if self.circle else x

    @staticmethod
    def _spots(u: Tensor, H: int, W: int) -> Tensor:  # [n, SPOTS, 3] -> [n, 1, H, W]
        light = torch.zeros(len(u), 1, H, W, device=u.device)
        for spot in u.unbind(dim=1):
            sharpness = (0.01 + 0.03 * spot[:, 2]) ** -2
            light = light + torch.exp(-_column(sharpness) * _distance(spot[:, :2], 1.0, H, W) ** 2)
        return (1.5 * light).clamp(max=1)

    def _seen(self, u: dict[str, Tensor], H: int, W: int) -> Tensor:
        """What is within the endoscope's circle, ``[n, 1, H, W]`` bool."""
        radius = torch.where(u["circle"][:, 0] < self.circle, 0.9 + 0.4 * u["circle"][:, 1], torch.inf)
        return _distance(u["circle"][:, 2:4], 0.1, H, W) < _column(radius)


def _named(draw: Tensor) -> dict[str, Tensor]:
    return dict(zip(_SHAPE, draw[:, 1:].split(list(_SHAPE.values()), dim=1), strict=True))


def _is_view(draw: Tensor, dims: int) -> Tensor:  # [n, 1, …]
    return (draw[:, 0] > 0).view(-1, *[1] * (dims - 1))


def _both_ways(u: Tensor) -> Tensor:
    return 2 * u - 1


def _column(values: Tensor) -> Tensor:  # [n] -> [n, 1, 1, 1]
    return values.view(-1, 1, 1, 1)


def _distance(u: Tensor, reach: float, H: int, W: int) -> Tensor:
    """From a centre that is off the middle by up to ``reach``, in half heights, ``[n, 1, H, W]``."""
    rows, columns = ((2 * torch.arange(side, device=u.device) + 1 - side) / H for side in (H, W))
    centre = _both_ways(u) * reach  # [n, 2]
    across = columns.view(1, 1, 1, W) - _column(centre[:, 0] * W / H)
    return torch.hypot(across, rows.view(1, 1, H, 1) - _column(centre[:, 1]))
