"""Laparoscopic tools: the outlines of their parts, their metal, and how much of a tip can be seen.

A tool is drawn in its own frame: s runs from the tip (0) up the shaft, w across it, both in half picture widths at
scale 1. One set of outlines gives the picture, the pixels and the area of the tip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from mtal.datasets.surgery.names import TOOL_GRAY, UNLABELLED
from mtal.datasets.surgery.texture import Field

Colour = tuple[float, float, float]
Place = tuple[float, float]
Outline = NDArray[np.float64]  # [K, 2] points (s, w)

STEEL: Colour = (0.66, 0.67, 0.69)
BRIGHT: Colour = (0.84, 0.85, 0.86)
DARK: Colour = (0.10, 0.10, 0.11)
GOLD: Colour = (0.80, 0.64, 0.30)
BLUE: Colour = (0.12, 0.26, 0.58)
IVORY: Colour = (0.88, 0.84, 0.76)
AMBER: Colour = (0.82, 0.46, 0.16)
GREEN: Colour = (0.30, 0.62, 0.42)
FOIL: Colour = (0.84, 0.87, 0.90)
_SHAFT_END = 4.5
_SUBPIXEL = 4  # bits


@dataclass(frozen=True)
class Part:
    """A piece of a tool.

    Args:
        outlines: closed lines; where two overlap is a hole.
        line: (s, w) at both ends of its axis.
        radius: half its width at both ends, for its roundness.
        colour: None stands for the insulated shaft, whose colour is the patient's.
        shine: of its highlight.
        tip: it belongs to the tip.
        opacity: below 1 for foil, which is folded.
    """

    outlines: tuple[Outline, ...]
    line: tuple[Place, Place]
    radius: tuple[float, float]
    colour: Colour | None
    shine: float
    tip: bool = True
    opacity: float = 1.0


def _bar(a: Place, b: Place, radius_a: float, radius_b: float, teeth: float = 0.0) -> Outline:
    """Outline of a tapering bar with round ends; ``teeth`` notch its flank towards w = 0."""
    start, end = np.array(a), np.array(b)
    along = (end - start) / np.hypot(*(end - start))
    across = np.array([-along[1], along[0]])
    turn = np.linspace(np.pi / 2, 3 * np.pi / 2, 9)[:, None]
    back = start + radius_a * (np.cos(turn) * along + np.sin(turn) * across)
    front = end - radius_b * (np.cos(turn) * along + np.sin(turn) * across)
    if not teeth:
        return np.concatenate([back, front])
    share = np.linspace(0.15, 0.95, 17)[:, None]
    inner = np.sign(across[1]) * -np.sign(a[1] + b[1])  # which flank faces the other jaw
    flank = start + share * (end - start)
    depth = (radius_a + share * (radius_b - radius_a)) - teeth * (np.arange(17) % 2)[:, None]
    notched = flank + inner * depth * across
    return np.concatenate([back, notched, front] if inner < 0 else [back, front, notched[::-1]])


def _rod(
    a: Place, b: Place, radius_a: float, radius_b: float, colour: Colour | None, shine: float, **options: bool
) -> Part:
    return Part((_bar(a, b, radius_a, radius_b),), (a, b), (radius_a, radius_b), colour, shine, **options)


def _collar(start: float, end: float, radius: float, colour: Colour) -> Part:
    box = np.array([(start, -radius), (end, -radius), (end, radius), (start, radius)])
    return Part((box,), ((start, 0.0), (end, 0.0)), (radius, radius), colour, 0.6)


def _disc(s: float, w: float, radius: float, squeeze: float = 1.0) -> Part:
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = np.stack([s + squeeze * radius * np.cos(turn), w + radius * np.sin(turn)], axis=1)
    return Part((ring,), ((s - radius, w), (s + radius, w)), (2 * radius, 2 * radius), DARK, 0.0)


def _grasper(opening: float) -> list[Part]:
    parts = [_collar(0.38, 0.50, 0.085, STEEL)]
    for side in (-1, 1):
        root, end = (0.40, 0.03 * side), (0.04, side * (0.05 + 0.20 * opening))
        near, far = (0.28, side * (0.042 + 0.065 * opening)), (0.12, side * (0.05 + 0.155 * opening))
        outlines = (_bar(root, end, 0.055, 0.042, teeth=0.014), _bar(near, far, 0.018, 0.018))
        parts.append(Part(outlines, (root, end), (0.055, 0.042), STEEL, 0.7))
    return parts


def _bipolar(opening: float) -> list[Part]:
    parts = [_collar(0.34, 0.48, 0.075, BLUE)]
    for side in (-1, 1):
        bow = side * (0.06 + 0.11 * opening)
        parts += [
            _rod((0.36, 0.035 * side), (0.18, bow), 0.030, 0.028, GOLD, 0.7),
            _rod((0.18, bow), (0.02, side * (0.02 + 0.09 * opening)), 0.028, 0.026, IVORY, 0.7),
        ]
    return parts


def _hook(opening: float) -> list[Part]:
    bronze = (0.50, 0.44, 0.38)
    return [
        _rod((0.34, 0.0), (0.04, 0.0), 0.026, 0.024, bronze, 0.8),
        _rod((0.03, 0.0), (0.05, 0.13 + 0.04 * opening), 0.026, 0.018, bronze, 0.8),
        _rod((0.42, 0.0), (0.28, 0.0), 0.074, 0.042, IVORY, 0.4),
    ]


def _scissors(opening: float) -> list[Part]:
    parts = [_collar(0.37, 0.52, 0.080, AMBER)]
    for side in (-1, 1):
        tip = (0.0, side * (0.03 + 0.32 * opening))
        parts.append(_rod((0.38, -0.035 * side), tip, 0.070, 0.006, BRIGHT, 1.0))
    return [*parts, _disc(0.34, 0.0, 0.026)]


def _clipper(opening: float) -> list[Part]:
    gap = 0.055 + 0.05 * opening
    parts = [_collar(0.38, 0.50, 0.105, DARK)]
    for side in (-1, 1):
        parts += [
            _rod((0.42, 0.03 * side), (0.30, side * gap), 0.040, 0.034, STEEL, 0.8),
            _rod((0.30, side * gap), (0.03, side * gap), 0.034, 0.030, STEEL, 0.8),
        ]
    clip = [(0.17, -gap), (0.03, -gap), (0.03, 0.028 - gap), (0.145, 0.028 - gap)]
    bow = np.array([*clip, *((s, -w) for s, w in reversed(clip))])
    return [*parts, Part((bow,), ((0.17, 0.0), (0.03, 0.0)), (0.12, 0.12), GREEN, 0.5)]


def _irrigator(opening: float) -> list[Part]:
    tube = np.array([(0.03, -0.078), (0.42, -0.078), (0.42, 0.078), (0.03, 0.078)])
    holes = [
        _disc(along, (0.03 if k % 2 else -0.03) * (0.5 + opening), 0.020) for k, along in enumerate((0.13, 0.21, 0.29))
    ]
    body = Part((tube,), ((0.03, 0.0), (0.42, 0.0)), (0.078, 0.078), STEEL, 1.0)
    return [body, _disc(0.035, 0.0, 0.06, 0.5), *holes]


def _specimen_bag(opening: float) -> list[Part]:
    length, width = 0.40, 0.27 + 0.10 * opening
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    reach = 1 + 0.06 * np.sin(5 * turn) + 0.045 * np.sin(11 * turn + 1)
    pouch = np.stack([0.42 + length * reach * np.cos(turn), width * reach * np.sin(turn)], axis=1)
    rims = [np.stack([0.72 + k * 0.16 * np.cos(turn), k * width * 0.85 * np.sin(turn)], axis=1) for k in (1.1, 0.86)]
    return [
        Part((pouch,), ((0.0, 0.0), (0.84, 0.0)), (width, width), FOIL, 0.45, opacity=0.82),
        Part(tuple(rims), ((0.72, -width), (0.72, width)), (0.2, 0.2), BLUE, 0.3),
    ]


@dataclass(frozen=True)
class _Shaft:
    """A tube from ``start`` on; it widens slowly, because its far end is nearer to the lens."""

    start: float
    radius: float
    colour: Colour | None
    shine: float

    def part(self) -> Part:
        near, far = self.radius * (1 + 0.10 * self.start), self.radius * (1 + 0.10 * _SHAFT_END)
        outline = np.array([(self.start, -near), (_SHAFT_END, -far), (_SHAFT_END, far), (self.start, near)])
        line = ((self.start, 0.0), (_SHAFT_END, 0.0))
        return Part((outline,), line, (near, far), self.colour, self.shine, tip=False)


_TOOLS: dict[str, tuple[_Shaft, Callable[[float], list[Part]]]] = {
    "grasper": (_Shaft(0.46, 0.095, None, 0.25), _grasper),
    "bipolar": (_Shaft(0.46, 0.085, BLUE, 0.35), _bipolar),
    "hook": (_Shaft(0.42, 0.085, None, 0.25), _hook),
    "scissors": (_Shaft(0.46, 0.085, None, 0.25), _scissors),
    "clipper": (_Shaft(0.46, 0.120, BRIGHT, 0.9), _clipper),
    "irrigator": (_Shaft(0.40, 0.078, STEEL, 1.0), _irrigator),
    "specimen bag": (_Shaft(0.84, 0.070, STEEL, 0.8), _specimen_bag),
}


@dataclass(frozen=True)
class Pose:
    """Where a tool is on the screen.

    Args:
        tool: its name.
        tip: ``[2]``, in half picture widths.
        axis: ``[2]`` unit vector from the tip up the shaft.
        scale: size on the screen.
        opening: of the jaws, 0 to 1, on a grid of twentieths so that outlines can be remembered.
        roll: cosine of its turn about the shaft, which narrows the tip.
        mirror: 1 or −1; which way an asymmetric tool is turned.
        buried: this much of it, from the tip, is hidden by tissue.
    """

    tool: str
    tip: NDArray[np.float64]
    axis: NDArray[np.float64]
    scale: float
    opening: float
    roll: float
    mirror: int
    buried: float = 0.0


@lru_cache(maxsize=512)
def parts_of(tool: str, opening: float) -> tuple[Part, ...]:
    """The shaft, and the parts of the tip from back to front."""
    shaft, tip = _TOOLS[tool]
    return shaft.part(), *tip(opening)


@lru_cache(maxsize=512)
def tip_area(tool: str, opening: float) -> float:
    """Area of the whole tip at scale 1 and roll 1, in squared half picture widths."""
    canvas, step = np.zeros((300, 300), np.uint8), 0.004
    for part in parts_of(tool, opening):
        if part.tip:
            canvas |= _raster([o / step + [30, 150] for o in part.outlines], canvas.shape)
    return float((canvas > 127).sum() * step**2)


def draw_tool(
    pose: Pose,
    image: Field,
    solid: Field,
    tip: NDArray[np.int8],
    mask: NDArray[np.uint8],
    number: int,
    light: Field,
    shaft: Colour,
) -> None:
    """Paint a tool over ``image [H, W, 3]``, and mark its pixels.

    Args:
        pose: where it is.
        image: square, painted in place.
        solid: opacity of the tools so far, updated in place.
        tip: number of the tool whose tip is seen at a pixel, −1 for none; updated in place.
        mask: ``[H, W]`` takes the tool's gray value, updated in place.
        number: this tool's number.
        light: ``[H, W]`` brightness of the lamp.
        shaft: colour of insulated shafts.
    """
    size = image.shape[0]
    unit = pose.scale * size / 2  # pixels
    across = np.array([-pose.axis[1], pose.axis[0]]) * pose.mirror
    origin = (pose.tip + 1) * (size / 2) - 0.5
    flat_image, flat_solid, flat_light = image.reshape(-1, 3), solid.reshape(-1), light.reshape(-1)  # views
    flat_tip, flat_mask = tip.reshape(-1), mask.reshape(-1)
    for part in parts_of(pose.tool, pose.opening):
        roll = pose.roll if part.tip else 1.0
        basis = np.stack([pose.axis, roll * across]) * unit  # (s, w) → pixels
        outlines = [o @ basis + origin for o in part.outlines]
        points = np.concatenate(outlines)
        low = np.clip(np.floor(points.min(axis=0)) - 1, 0, size).astype(int)
        high = np.clip(np.ceil(points.max(axis=0)) + 2, 0, size).astype(int)
        if (high <= low).any():
            continue
        raster = _raster([o - low for o in outlines], (high[1] - low[1], high[0] - low[0]))
        rows, columns = np.nonzero(raster)  # [P]
        cover = raster[rows, columns].astype(np.float32) / 255
        rows, columns = rows + low[1], columns + low[0]
        at = rows * size + columns
        dx, dy = (columns - origin[0]).astype(np.float32), (rows - origin[1]).astype(np.float32)
        (along_x, along_y), (across_x, across_y) = (pose.axis / unit).tolist(), (across / (unit * roll)).tolist()
        s, w = dx * along_x + dy * along_y, dx * across_x + dy * across_y
        if pose.buried and part.tip:
            cover *= np.clip((s - pose.buried) * unit / 3 + 0.5, 0, 1)
        solid_part = at[cover > 0.5]
        cover *= np.float32(part.opacity)
        paint = _metal(part.colour or shaft, part.shine).take(_roundness(part, s, w), axis=0)  # [P, 3]
        paint *= flat_light[at, None]
        below = flat_image[at]
        flat_image[at] = below + cover[:, None] * (paint - below)
        flat_solid[at] = np.maximum(flat_solid[at], cover)
        flat_tip[solid_part] = number if part.tip else -1
        flat_mask[solid_part] = TOOL_GRAY.get(pose.tool, UNLABELLED)


def _raster(outlines: list[Outline], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Cover of closed lines in pixels, 0 to 255, with smooth edges."""
    # twice as fine, because OpenCV's smooth edges lie half a pixel outside the polygon
    canvas = np.zeros((2 * shape[0], 2 * shape[1]), np.uint8)
    fixed = [np.round((2 * o + 0.5) * 2**_SUBPIXEL).astype(np.int32) for o in outlines]
    cv2.fillPoly(canvas, fixed, 255, lineType=cv2.LINE_AA, shift=_SUBPIXEL)
    return cv2.resize(canvas, (shape[1], shape[0]), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _roundness(part: Part, s: Field, w: Field) -> NDArray[np.uint8]:
    """Place across the part, −1 to 1, as 0 to 255."""
    if part.opacity < 1:
        place = 0.45 * np.sin(9 * s + 6 * w * w) + 0.35 * np.sin(17 * w + 5 * s)
    else:
        (s0, w0), (s1, w1) = part.line
        length = float(np.hypot(s1 - s0, w1 - w0))
        along, off = (s1 - s0) / length, (w1 - w0) / length
        u = np.clip(((s - s0) * along + (w - w0) * off) / length, 0, 1)
        radius = part.radius[0] + (part.radius[1] - part.radius[0]) * u
        place = ((w - w0) * along - (s - s0) * off) / radius
    return np.clip(127.5 + 127.5 * place, 0, 255).astype(np.uint8)


@lru_cache(maxsize=64)
def _metal(colour: Colour, shine: float) -> Field:
    """``[256, 3]`` colours across a round bar under a light beside the lens: dark sides and one bright stripe."""
    across = np.linspace(-1, 1, 256)[:, None]
    stripe = shine * (0.75 * np.exp(-(((across + 0.3) / 0.17) ** 2)) + 0.12 * np.exp(-(((across - 0.65) / 0.15) ** 2)))
    return (np.asarray(colour) * (0.28 + 0.72 * np.sqrt(1 - across**2)) + stripe).astype(np.float32)
