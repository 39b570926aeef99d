"""Laparoscopic tools: their outlines, their metal, and how much of a tip can be seen.

A tool is drawn in its own frame: s runs from the tip (0) up the shaft, w across it, both in half picture widths at
scale 1. Every outline is a signed distance, so one definition gives the picture, the pixels and the area of the tip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Colour = tuple[float, float, float]

STEEL: Colour = (0.62, 0.63, 0.66)
BRIGHT: Colour = (0.80, 0.81, 0.83)
DARK: Colour = (0.10, 0.10, 0.12)
GOLD: Colour = (0.78, 0.62, 0.28)
BLUE: Colour = (0.12, 0.25, 0.55)
IVORY: Colour = (0.86, 0.82, 0.72)
AMBER: Colour = (0.80, 0.44, 0.14)
GREEN: Colour = (0.30, 0.62, 0.42)
_SHAFT_END = 4.0


@dataclass(frozen=True)
class Part:
    """A piece of a tool: ``distance`` (negative inside), ``across`` in [−1, 1] for its roundness, colour and shine.

    ``colour`` None stands for the insulated shaft, whose colour is the patient's. ``opacity`` below 1 is for foil.
    """

    distance: Field
    across: Field
    colour: Colour | None
    shine: float
    tip: bool
    opacity: float = 1.0


def _bar(
    s: Field, w: Field, a: tuple[float, float], b: tuple[float, float], radius_a: float, radius_b: float
) -> tuple[Field, Field]:
    """Distance to a tapering bar from ``a`` to ``b`` = (s, w), and the position across it in [−1, 1]."""
    ds, dw = b[0] - a[0], b[1] - a[1]
    length = float(np.hypot(ds, dw))
    u = np.clip(((s - a[0]) * ds + (w - a[1]) * dw) / length**2, 0, 1)
    radius = radius_a + (radius_b - radius_a) * u
    off_s, off_w = s - a[0] - u * ds, w - a[1] - u * dw
    across = (off_w * ds - off_s * dw) / length / np.maximum(radius, 1e-3)
    return (np.hypot(off_s, off_w) - radius).astype(np.float32), np.clip(across, -1, 1).astype(np.float32)


def _collar(s: Field, w: Field, start: float, end: float, radius: float, colour: Colour, tip: bool = False) -> Part:
    distance = np.maximum(np.abs(w) - radius, np.abs(s - (start + end) / 2) - (end - start) / 2)
    return Part(distance, np.clip(w / radius, -1, 1), colour, 0.6, tip)


def _grasper(s: Field, w: Field, opening: float) -> list[Part]:
    parts = [_collar(s, w, 0.40, 0.50, 0.085, STEEL, tip=True)]
    for side in (-1, 1):
        jaw, across = _bar(s, w, (0.40, 0.02 * side), (0.05, side * (0.05 + 0.20 * opening)), 0.055, 0.045)
        window, _ = _bar(
            s, w, (0.27, side * (0.035 + 0.07 * opening)), (0.10, side * (0.047 + 0.17 * opening)), 0.020, 0.020
        )
        teeth = 0.006 * np.sin(s * 150)
        parts.append(Part(np.maximum(jaw + teeth, -window), across, STEEL, 0.7, tip=True))
    return parts


def _bipolar(s: Field, w: Field, opening: float) -> list[Part]:
    parts = [_collar(s, w, 0.34, 0.48, 0.075, BLUE, tip=True)]
    for side in (-1, 1):
        bow = side * (0.06 + 0.11 * opening)
        back, across_back = _bar(s, w, (0.36, 0.035 * side), (0.18, bow), 0.030, 0.027)
        front, across_front = _bar(s, w, (0.18, bow), (0.02, side * (0.02 + 0.09 * opening)), 0.027, 0.024)
        parts.append(
            Part(np.minimum(back, front), np.where(back < front, across_back, across_front), GOLD, 0.7, tip=True)
        )
    return parts


def _hook(s: Field, w: Field, opening: float) -> list[Part]:
    reach = 0.13 + 0.04 * opening
    rod, across_rod = _bar(s, w, (0.34, 0.0), (0.04, 0.0), 0.026, 0.024)
    bend, across_bend = _bar(s, w, (0.03, 0.0), (0.05, reach), 0.026, 0.018)
    ceramic, across_ceramic = _bar(s, w, (0.44, 0.0), (0.26, 0.0), 0.070, 0.040)
    return [
        Part(np.minimum(rod, bend), np.where(rod < bend, across_rod, across_bend), (0.45, 0.40, 0.36), 0.8, tip=True),
        Part(ceramic, across_ceramic, IVORY, 0.4, tip=True),
    ]


def _scissors(s: Field, w: Field, opening: float) -> list[Part]:
    parts = [_collar(s, w, 0.37, 0.52, 0.080, AMBER, tip=True)]
    for side in (-1, 1):
        spread = side * (0.03 + 0.32 * opening)
        blade, across = _bar(s, w, (0.38, -0.035 * side), (0.0, spread), 0.070, 0.005)
        parts.append(Part(blade, np.clip(across * 0.4 + 0.3 * side, -1, 1), BRIGHT, 1.0, tip=True))
    screw = np.hypot(s - 0.34, w) - 0.026
    return [*parts, Part(screw, np.zeros_like(s), DARK, 0.2, tip=True)]


def _clipper(s: Field, w: Field, opening: float) -> list[Part]:
    gap = 0.055 + 0.05 * opening
    parts = [_collar(s, w, 0.38, 0.50, 0.105, DARK, tip=True)]
    for side in (-1, 1):
        root, across_root = _bar(s, w, (0.42, 0.03 * side), (0.30, side * gap), 0.040, 0.034)
        jaw, across = _bar(s, w, (0.30, side * gap), (0.03, side * gap), 0.034, 0.030)
        parts.append(Part(np.minimum(root, jaw), np.where(root < jaw, across_root, across), STEEL, 0.8, tip=True))
    clip = np.maximum(np.abs(w) - gap, np.abs(s - 0.10) - 0.07)
    inner = np.maximum(np.abs(w) - gap + 0.028, 0.03 - s)
    inner = np.maximum(inner, s - 0.145)
    return [*parts, Part(np.maximum(clip, -inner), np.clip(w / 0.1, -1, 1), GREEN, 0.5, tip=True)]


def _irrigator(s: Field, w: Field, opening: float) -> list[Part]:
    radius = 0.078
    tube = np.maximum(np.abs(w) - radius, 0.03 - s)
    parts = [
        Part(np.maximum(tube, s - 0.42), np.clip(w / radius, -1, 1), STEEL, 1.0, tip=True),
        Part(np.hypot((s - 0.035) * 1.8, w) - 0.055, np.zeros_like(s), DARK, 0.0, tip=True),
    ]
    for k, along in enumerate((0.13, 0.21, 0.29)):
        hole = np.hypot(s - along, w - (0.03 if k % 2 else -0.03) * (0.5 + opening)) - 0.019
        parts.append(Part(hole, np.zeros_like(s), DARK, 0.0, tip=True))
    return parts


def _specimen_bag(s: Field, w: Field, opening: float) -> list[Part]:
    middle, length, width = 0.42, 0.40, 0.27 + 0.10 * opening
    angle = np.arctan2(w, s - middle)
    crumple = 0.02 * np.sin(5 * angle) + 0.015 * np.sin(11 * angle + 1)
    pouch = (np.hypot((s - middle) / length, w / width) - 1) * width + crumple
    folds = np.clip(0.7 * np.sin(9 * s + 6 * w * w) + 0.5 * np.sin(17 * w + 5 * s), -1, 1)
    rim = np.abs(np.hypot((s - 0.72) / 0.16, w / (width * 0.85)) - 1) * 0.16 - 0.022
    return [
        Part(pouch, folds, (0.80, 0.83, 0.86), 0.45, tip=True, opacity=0.80),
        Part(rim, np.clip(w / width, -1, 1), BLUE, 0.3, tip=True),
    ]


@dataclass(frozen=True)
class _Shaft:
    """A tube from ``start`` on; it widens slowly, because its far end is nearer to the lens."""

    start: float
    radius: float
    colour: Colour | None
    shine: float

    def part(self, s: Field, w: Field) -> Part:
        radius = self.radius * (1 + 0.10 * np.maximum(s, 0))
        distance = np.maximum(np.abs(w) - radius, self.start - s).astype(np.float32)
        across = np.clip(w / radius, -1, 1).astype(np.float32)
        return Part(distance, across, self.colour, self.shine, tip=False)


_TOOLS: dict[str, tuple[_Shaft, Callable[[Field, Field, float], list[Part]]]] = {
    "grasper": (_Shaft(0.44, 0.095, None, 0.25), _grasper),
    "bipolar": (_Shaft(0.46, 0.085, BLUE, 0.35), _bipolar),
    "hook": (_Shaft(0.42, 0.085, None, 0.25), _hook),
    "scissors": (_Shaft(0.46, 0.085, None, 0.25), _scissors),
    "clipper": (_Shaft(0.46, 0.125, BRIGHT, 0.9), _clipper),
    "irrigator": (_Shaft(0.40, 0.078, STEEL, 1.0), _irrigator),
    "specimen_bag": (_Shaft(0.84, 0.07, STEEL, 0.8), _specimen_bag),
}
_TIP_LENGTH = 0.90  # no tip is longer
_HALF_WIDTH = 0.46  # no tool is wider, whatever its opening


@dataclass(frozen=True)
class Pose:
    """Where a tool is on the screen.

    Args:
        tool: its name.
        tip: ``[2]``, in half picture widths.
        axis: ``[2]`` unit vector from the tip up the shaft.
        scale: size on the screen.
        opening: of the jaws, 0 to 1, on a grid of twentieths so that tip areas can be remembered.
        mirror: 1 or −1; which way an asymmetric tool is turned.
        brightness: of its metal under the light.
    """

    tool: str
    tip: NDArray[np.float64]
    axis: NDArray[np.float64]
    scale: float
    opening: float
    mirror: int
    brightness: float


@lru_cache(maxsize=512)
def tip_area(tool: str, opening: float) -> float:
    """Area of the whole tip at scale 1, in squared half picture widths."""
    step = 0.008
    s, w = np.meshgrid(np.arange(-0.1, _TIP_LENGTH, step), np.arange(-_HALF_WIDTH, _HALF_WIDTH, step), indexing="ij")
    parts = _TOOLS[tool][1](s.astype(np.float32), w.astype(np.float32), opening)
    inside = np.any([part.distance < 0 for part in parts], axis=0)
    return float(inside.sum() * step**2)


def draw_tool(
    pose: Pose, x: Field, y: Field, image: Field, solid: Field, tip: NDArray[np.int8], number: int, shaft: Field
) -> None:
    """Paint a tool over ``image [H, W, 3]``; ``solid [H, W]`` takes its opacity and ``tip [H, W]`` its ``number``.

    Args:
        pose: where it is.
        x: ``[H, W]`` screen coordinates of the pixels.
        y: the same, downwards.
        image: painted in place.
        solid: opacity of the tools so far, updated in place.
        tip: number of the tool whose tip is seen at a pixel, −1 for none; updated in place.
        number: this tool's number.
        shaft: ``[3]`` colour of insulated shafts.
    """
    (tip_x, tip_y), (along, across) = pose.tip.tolist(), pose.axis.tolist()  # plain floats keep the arrays float32
    dx, dy = (x - tip_x) / pose.scale, (y - tip_y) / pose.scale
    s_all = dx * along + dy * across
    w_all = (dy * along - dx * across) * pose.mirror
    pixel = abs(float(x[0, 1] - x[0, 0])) / pose.scale
    tube, tip_parts = _TOOLS[pose.tool]
    reach = np.flatnonzero((np.abs(w_all) < 2 * tube.radius) & (s_all > tube.start - pixel) & (s_all < _SHAFT_END))
    head = np.flatnonzero((np.abs(w_all) < _HALF_WIDTH) & (s_all > -0.1) & (s_all < _TIP_LENGTH))
    flat_image, flat_solid, flat_tip = image.reshape(-1, 3), solid.reshape(-1), tip.reshape(-1)  # views
    for where, shapes in ((reach, lambda s, w: [tube.part(s, w)]), (head, lambda s, w: tip_parts(s, w, pose.opening))):
        s, w = s_all.take(where), w_all.take(where)  # [P]
        for part in shapes(s, w):
            hit = np.flatnonzero(part.distance < pixel / 2)
            at, distance = where[hit], part.distance[hit]
            cover = np.clip(0.5 - distance / pixel, 0, 1) * part.opacity
            paint = _metal(part, part.across[hit], w[hit], s[hit], shaft) * pose.brightness  # [hits, 3]
            below = flat_image[at]
            flat_image[at] = below + cover[:, None] * (paint - below)
            flat_solid[at] = np.maximum(flat_solid[at], cover)
            flat_tip[at[distance < 0]] = number if part.tip else -1


def _metal(part: Part, across: Field, w: Field, s: Field, shaft: Field) -> Field:
    """A round bar under a light beside the lens: darker at its sides, one bright stripe, brushed along its length."""
    base = shaft if part.colour is None else np.array(part.colour, np.float32)
    round_off = np.sqrt(np.clip(1 - across**2, 0, 1))
    brushed = 0.04 * np.sin(60 * s + 9 * np.sin(31 * w))
    stripe = part.shine * np.exp(-(((across + 0.3) / 0.16) ** 2)) * (0.55 + 0.2 * np.sin(5 * s))
    glow = part.shine * 0.12 * np.exp(-(((across - 0.65) / 0.15) ** 2))
    return (base * (0.30 + 0.70 * round_off + brushed)[:, None] + (stripe + glow)[:, None]).astype(np.float32)
