"""The patient's anatomy: layers of tissue painted once per patient, then only moved and lit.

Shapes are signed distances on the plane of the organs (negative inside), bent by noise so that no two patients share an
outline. Picture and mask are read from the same texels, hence the masks are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mtal.datasets.surgery.appearance import Appearance
from mtal.datasets.surgery.names import ORGANS
from mtal.datasets.surgery.texture import Field, cells, fractal_noise, ridges

EXTENT = 2.0
"""The plane of the organs spans [−EXTENT, EXTENT] both ways."""
TEXELS = 640
"""Edge of a painted layer. Finer than the screen, so that the nearest texel will do."""
_SOFT_EDGE = 0.012

RGB, ALPHA, SLOPE_X, SLOPE_Y, GLOSS = slice(0, 3), 3, 4, 5, 6
"""Channels of a texel."""


@dataclass
class Layer:
    """One sheet of tissue: ``texels [TEXELS², 7]`` (colour, opacity, surface slopes, gloss) and ``organs [TEXELS²]``.

    Args:
        texels: see above.
        organs: class number per texel.
        parallax: pan relative to the back wall; nearer layers pan faster.
        breath: displacement at full inspiration.
    """

    texels: Field
    organs: NDArray[np.uint8]
    parallax: float
    breath: float

    def __post_init__(self) -> None:
        self._opaque = self.texels[:, ALPHA] > 0

    def texel(self, x: Field, y: Field) -> NDArray[np.intp]:
        """Numbers of the texels nearest to points of the plane."""
        scale = TEXELS / (2 * EXTENT)
        column = np.clip((x + EXTENT) * scale, 0, TEXELS - 1).astype(np.intp)
        row = np.clip((y + EXTENT) * scale, 0, TEXELS - 1).astype(np.intp)
        return row * TEXELS + column

    def sample(self, x: Field, y: Field) -> tuple[Field, NDArray[np.uint8]]:
        """Texels ``[P, 7]`` and organs ``[P]`` at P points of the plane."""
        texel = self.texel(x, y)
        return self.texels.take(texel, axis=0), self.organs.take(texel)

    def cover(self, x: Field, y: Field, seen: Field, organs: NDArray[np.uint8]) -> None:
        """Lay this sheet over what is ``seen [P, 7]`` and over its ``organs [P]`` at P points of the plane."""
        texel = self.texel(x, y)
        here = np.flatnonzero(self._opaque.take(texel))  # most of a front sheet is a hole
        texel = texel[here]
        top = self.texels.take(texel, axis=0)  # [here, 7]
        opacity = top[:, ALPHA, None].copy()
        top *= opacity
        top += seen.take(here, axis=0) * (1 - opacity)
        seen[here] = top
        front = opacity[:, 0] > 0.5
        organs[here[front]] = self.organs.take(texel[front])

    def mark(
        self, point: NDArray[np.float64], radius: tuple[float, float], angle: float, colour: Field, amount: float
    ) -> None:
        """Tint an ellipse of the layer, such as a clip or a scorch mark; ``colour`` [4] is RGB and opacity."""
        half = int(np.ceil(max(radius) * TEXELS / (2 * EXTENT))) + 2
        column, row = ((point + EXTENT) * TEXELS / (2 * EXTENT)).astype(int)
        rows = np.arange(max(row - half, 0), min(row + half + 1, TEXELS))
        columns = np.arange(max(column - half, 0), min(column + half + 1, TEXELS))
        grid_y, grid_x = np.meshgrid(
            _texel_centres()[rows] - point[1], _texel_centres()[columns] - point[0], indexing="ij"
        )
        along, across = np.cos(angle) * grid_x + np.sin(angle) * grid_y, np.cos(angle) * grid_y - np.sin(angle) * grid_x
        inside = (np.hypot(along / radius[0], across / radius[1]) < 1).astype(np.float32)[..., None] * amount
        window = np.ix_(rows, columns, np.arange(ALPHA + 1))
        square = self.texels.reshape(TEXELS, TEXELS, -1)
        square[window] += inside * (colour - square[window])


@dataclass(frozen=True)
class Anatomy:
    """Layers from back to front, and the points that surgery is about.

    ``sites`` holds ``[2]`` points of the plane: fundus, neck, duct, bed, fat.
    """

    wall: Layer
    liver: Layer
    calot: Layer
    gallbladder: Layer
    sites: dict[str, NDArray[np.float64]]

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Back to front."""
        return self.wall, self.liver, self.calot, self.gallbladder


def _texel_centres() -> NDArray[np.float64]:
    return np.asarray((np.arange(TEXELS) + 0.5) * (2 * EXTENT / TEXELS) - EXTENT, np.float64)


def _ellipse(x: Field, y: Field, centre: NDArray[np.float64], radii: tuple[float, float], angle: float) -> Field:
    (centre_x, centre_y), c, s = centre.tolist(), float(np.cos(angle)), float(np.sin(angle))  # keeps float32
    dx, dy = x - centre_x, y - centre_y
    along, across = c * dx + s * dy, c * dy - s * dx
    return ((np.hypot(along / radii[0], across / radii[1]) - 1) * min(radii)).astype(np.float32)


def _cone(
    x: Field, y: Field, a: NDArray[np.float64], b: NDArray[np.float64], radius_a: float, radius_b: float
) -> Field:
    """Signed distance to a capsule whose radius goes smoothly from ``radius_a`` to ``radius_b``."""
    (start_x, start_y), (along_x, along_y) = a.tolist(), (b - a).tolist()
    dx, dy = x - start_x, y - start_y
    u = np.clip((dx * along_x + dy * along_y) / (along_x**2 + along_y**2), 0, 1)
    radius = radius_a + (radius_b - radius_a) * u * u * (3 - 2 * u)
    return (np.sqrt((dx - u * along_x) ** 2 + (dy - u * along_y) ** 2) - radius).astype(np.float32)


def _tube(x: Field, y: Field, points: NDArray[np.float64], radius: float) -> Field:
    distance = np.full_like(x, 9.0)
    for a, b in pairwise(points):
        distance = np.minimum(distance, _cone(x, y, a, b, radius, radius))
    return distance


def _dome(distance: Field, rim: float, height: float) -> Field:
    """Height of a rounded surface: rises from the outline within about ``rim``."""
    return (height * (1 - np.exp(np.minimum(distance, 0) / rim))).astype(np.float32)


@dataclass
class _Sheet:
    """A layer being painted."""

    colour: Field
    height: Field
    alpha: Field
    gloss: Field
    organs: NDArray[np.uint8]

    @classmethod
    def empty(cls) -> _Sheet:
        square = (TEXELS, TEXELS)
        zeros = np.zeros(square, np.float32)
        return cls(np.zeros((*square, 3), np.float32), zeros, zeros.copy(), zeros.copy(), np.zeros(square, np.uint8))

    def paint(self, organ: str, distance: Field, colour: Field, height: Field, gloss: float) -> None:
        cover = np.clip(0.5 - distance / (2 * _SOFT_EDGE), 0, 1)  # [T, T]
        self.colour += cover[..., None] * (colour - self.colour)
        self.height += cover * (height - self.height)
        self.gloss += cover * (np.float32(gloss) - self.gloss)
        self.alpha = np.maximum(self.alpha, cover)
        self.organs[cover > 0.5] = ORGANS.index(organ)

    def finish(self, shadow: Field, parallax: float, breath: float) -> Layer:
        step = 2 * EXTENT / TEXELS
        slope_y, slope_x = np.gradient(self.height, step)
        facing = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
        lit = self.colour * ((0.25 + 0.75 * facing) * (1 - shadow))[..., None]
        texels = np.concatenate(
            [lit, np.stack([self.alpha, slope_x, slope_y, self.gloss * (1 - shadow)], axis=-1)], axis=-1
        )  # [T, T, 7]
        return Layer(texels.reshape(TEXELS**2, 7).astype(np.float32), self.organs.ravel(), parallax, breath)


def _shade(colour: Field, *terms: tuple[Field, tuple[float, float, float]]) -> Field:
    """Colour · Π exp(field · weight per channel): ``[T, T, 3]``."""
    log = sum(f[..., None] * np.array(weight, np.float32) for f, weight in terms)
    return (colour * np.exp(log)).astype(np.float32)


def _shadow(alpha: Field, shift: tuple[float, float], softness: float, strength: float) -> Field:
    texel = TEXELS / (2 * EXTENT)
    soft = ndimage.gaussian_filter(alpha, softness * texel, truncate=3)
    return strength * ndimage.shift(soft, (shift[1] * texel, shift[0] * texel), order=1, mode="nearest")


def draw_anatomy(rng: np.random.Generator, look: Appearance) -> Anatomy:
    """One patient's organs: wall, gut and fat behind, liver above, gallbladder and Calot's triangle in front."""
    centres = _texel_centres().astype(np.float32)
    y, x = np.meshgrid(centres, centres, indexing="ij")  # [T, T]
    bend_x, bend_y = (0.07 * fractal_noise(rng, TEXELS, 220, 2.2) for _ in range(2))
    x, y = x + bend_x, y + bend_y
    grain = fractal_noise(rng, TEXELS, 70, 1.9, finest=4)
    cloud = fractal_noise(rng, TEXELS, 260, 2.2)

    fundus = np.array([0.12, -0.42]) + rng.normal(0, 0.10, 2)
    neck = fundus + np.array([-0.30, 0.62]) + rng.normal(0, [0.12, 0.06])
    duct_end = neck + np.array([-0.16, 0.46]) + rng.normal(0, [0.10, 0.05])
    duct = np.array([neck - [0, 0.03], neck * 0.5 + duct_end * 0.5 + [rng.uniform(-0.12, 0.12), 0], duct_end])

    calot, calot_alpha = _calot(rng, look, x, y, grain, cloud, duct)
    gallbladder = _gallbladder(rng, look, x, y, grain, cloud, fundus, neck)
    liver = _liver(rng, look, x, y, grain, cloud, fundus, neck)
    wall, fat_site = _wall(rng, look, x, y, grain, cloud, neck)
    front = np.maximum(calot_alpha, gallbladder.alpha)
    none = np.zeros_like(front)
    on_wall = np.maximum(
        _shadow(liver.alpha, (0.03, 0.06), 0.07, 0.55), _shadow(front, (0.02, 0.05), 0.05, 0.45) * (1 - liver.alpha)
    )
    return Anatomy(
        wall=wall.finish(on_wall, 1.0, 0.006),
        liver=liver.finish(_shadow(gallbladder.alpha, (0.02, 0.03), 0.05, 0.45), 1.02, 0.035),
        calot=calot.finish(_shadow(gallbladder.alpha, (0.01, 0.03), 0.03, 0.35), 1.03, 0.02),
        gallbladder=gallbladder.finish(none, 1.05, 0.03),
        sites={
            "fundus": np.add(fundus, [0.02, -0.05]),
            "neck": np.add(neck, [-0.02, 0.05]),
            "duct": duct[1],
            "bed": np.add(fundus * 0.55 + neck * 0.45, [0.22, 0.0]),
            "fat": fat_site,
        },
    )


def _liver(
    rng: np.random.Generator,
    look: Appearance,
    x: Field,
    y: Field,
    grain: Field,
    cloud: Field,
    fundus: NDArray[np.float64],
    neck: NDArray[np.float64],
) -> _Sheet:
    right = _ellipse(x, y, np.array([0.75, -1.35]) + rng.normal(0, 0.12, 2), (2.0, 1.45), rng.normal(0.12, 0.08))
    left = _ellipse(x, y, np.array([-1.15, -1.5]) + rng.normal(0, 0.12, 2), (1.25, 1.15), rng.normal(-0.1, 0.1))
    distance = np.minimum(right, left)
    sheet = _Sheet.empty()
    speckle = fractal_noise(rng, TEXELS, 18, 1.0)
    colour = _shade(
        look.tissue["liver"],
        (cloud, (0.12, 0.15, 0.15)),
        (grain, (0.05, 0.06, 0.06)),
        (speckle, (0.025, 0.035, 0.035)),
        (np.exp(-((distance / 0.05) ** 2)), (0.12, 0.05, 0.05)),
    )
    # Where the gallbladder lies the liver is bare: paler and rough once it has been removed.
    bed = np.clip(-_cone(x, y, fundus, neck, 0.26, 0.1) / 0.06, 0, 1)
    colour = _shade(colour, (bed, (0.22, 0.02, 0.0)), (bed * grain, (0.12, 0.1, 0.1)))
    height = _dome(distance, 0.22, 0.30) + 0.008 * grain + 0.0008 * speckle + 0.05 * cloud
    sheet.paint("liver", distance, colour, height, 0.55)
    return sheet


def _gallbladder(
    rng: np.random.Generator,
    look: Appearance,
    x: Field,
    y: Field,
    grain: Field,
    cloud: Field,
    fundus: NDArray[np.float64],
    neck: NDArray[np.float64],
) -> _Sheet:
    distance = _cone(x, y, fundus, neck, rng.uniform(0.25, 0.34), rng.uniform(0.085, 0.12))
    sheet = _Sheet.empty()
    vessels = ridges(rng, TEXELS, 90, 0.10)
    colour = _shade(
        look.tissue["gallbladder"],
        (cloud, (0.10, 0.08, 0.10)),
        (grain, (0.05, 0.05, 0.06)),
        (vessels, (0.05, -0.32, -0.28)),
    )
    sheet.paint("gallbladder", distance, colour, _dome(distance, 0.14, 0.26) + 0.005 * grain + 0.03 * cloud, 0.8)
    return sheet


def _calot(
    rng: np.random.Generator,
    look: Appearance,
    x: Field,
    y: Field,
    grain: Field,
    cloud: Field,
    duct: NDArray[np.float64],
) -> tuple[_Sheet, Field]:
    middle = duct[0] * 0.45 + duct[-1] * 0.55 + rng.normal([0.08, -0.02], 0.05)
    lean = float(np.arctan2(*(duct[-1] - duct[0])[::-1]))
    tissue = _ellipse(x, y, middle, (rng.uniform(0.44, 0.56), rng.uniform(0.30, 0.40)), lean) + 0.05 * cloud
    fibres = ridges(rng, TEXELS, 45, 0.22)
    sheet = _Sheet.empty()
    colour = _shade(
        look.tissue["connective_tissue"],
        (cloud, (0.05, 0.12, 0.12)),
        (fibres, (0.07, 0.12, 0.12)),
        (grain, (0.06, 0.09, 0.10)),
        (ridges(rng, TEXELS, 110, 0.07), (-0.10, -0.55, -0.5)),
    )
    height = _dome(tissue, 0.12, 0.10) + 0.014 * grain + 0.005 * fibres
    sheet.paint("connective_tissue", tissue, colour, height, 0.45)
    tube = _tube(x, y, duct, rng.uniform(0.062, 0.078))
    colour = _shade(look.tissue["cystic_duct"], (cloud, (0.05, 0.06, 0.06)), (grain, (0.03, 0.04, 0.04)))
    sheet.paint("cystic_duct", tube, colour, 0.1 + _dome(tube, 0.04, 0.10), 0.7)
    return sheet, sheet.alpha


def _wall(
    rng: np.random.Generator,
    look: Appearance,
    x: Field,
    y: Field,
    grain: Field,
    cloud: Field,
    neck: NDArray[np.float64],
) -> tuple[_Sheet, NDArray[np.float64]]:
    sheet = _Sheet.empty()
    vessels = ridges(rng, TEXELS, 150, 0.05)
    blush = np.clip(fractal_noise(rng, TEXELS, 180, 2.2) - 1.2, 0, 1.5)  # inflamed patches, red but not blood
    colour = _shade(
        look.tissue["abdominal_wall"],
        (cloud, (0.10, 0.14, 0.14)),
        (grain, (0.05, 0.07, 0.07)),
        (vessels, (-0.15, -0.55, -0.5)),
        (blush, (0.0, -0.45, -0.45)),
    )
    everywhere = np.full_like(x, -1.0)
    sheet.paint("abdominal_wall", everywhere, colour, 0.012 * grain + 0.10 * cloud, 0.4)

    folds = fractal_noise(rng, TEXELS, 50, 1.8)
    for _ in range(2):
        start, end = rng.uniform(0.85, 1.25), rng.uniform(0.75, 1.35)
        along = np.linspace(-2.3, 2.3, 9)
        across = np.linspace(start, end, 9) + rng.normal(0, 0.10, 9)
        tube = _tube(x, y, np.stack([along, across], axis=1), rng.uniform(0.22, 0.30))
        colour = _shade(
            look.tissue["gut"],
            (cloud, (0.05, 0.10, 0.09)),
            (folds, (0.03, 0.06, 0.06)),
            (ridges(rng, TEXELS, 70, 0.08), (-0.08, -0.42, -0.38)),
        )
        sheet.paint("gut", tube, colour, 0.15 + _dome(tube, 0.14, 0.25) + 0.010 * folds, 0.7)

    lobules = cells(rng, TEXELS, 22)
    sites = []
    for side in (-1, 1):
        middle = np.array([neck[0] + side * rng.uniform(0.75, 1.0), rng.uniform(0.45, 0.75)])
        outline = fractal_noise(rng, TEXELS, 90, 1.6)
        lobe = _ellipse(x, y, middle, (rng.uniform(0.40, 0.62), rng.uniform(0.24, 0.38)), rng.normal(0, 0.4))
        lobe = lobe + 0.06 * outline
        colour = _shade(
            look.tissue["fat"],
            (lobules - 0.7, (0.22, 0.34, 0.5)),
            (cloud, (0.05, 0.07, 0.12)),
            (ridges(rng, TEXELS, 90, 0.06), (-0.05, -0.45, -0.4)),
        )
        sheet.paint("fat", lobe, colour, 0.25 + _dome(lobe, 0.10, 0.16) + 0.022 * lobules, 0.6)
        sites.append(middle)
    return sheet, sites[int(rng.integers(2))] * 0.75 + neck * 0.25
