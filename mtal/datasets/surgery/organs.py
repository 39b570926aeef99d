"""The patient's anatomy: organs of random shape painted once per patient, then only moved, lit and worked on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mtal.datasets.surgery.appearance import Appearance
from mtal.datasets.surgery.names import GRAY
from mtal.datasets.surgery.sheet import EXTENT, Painter, Point, Sheet, cone, dome, ellipse, tint, tube
from mtal.datasets.surgery.texture import Field, cells, fractal_noise, ridges


@dataclass
class Anatomy:
    """Two sheets of tissue and the points that surgery is about.

    Args:
        bed: all organs that stay; the fat over the cystic duct still closed.
        dissected: the same with the duct laid bare.
        gallbladder: the one that moves and is taken out.
        sites: ``[2]`` points of the plane: fundus, neck, duct, bed, fat, ligament, vein, bowel.
        opening: ``[T, T]``, from 0 where the fat over the duct gives way first to 1 where it never does.
    """

    bed: Sheet
    dissected: Sheet
    gallbladder: Sheet
    sites: dict[str, Point]
    opening: Field
    _opened: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        reach = np.array([0.55, 0.45])
        self._window = self.bed.window(self.sites["duct"] - reach, self.sites["duct"] + reach)
        self._closed = self.bed.crop(self._window)

    def open(self, share: float) -> None:
        """Lay the duct bare up to ``share`` in [0, 1]."""
        if share > self._opened + 0.03:
            fresh = (self.opening[self._window] < share) & (self.opening[self._window] >= self._opened)
            self.bed.paste(self.dissected.crop(self._window), self._window, fresh)
            self._opened = share

    def close(self) -> None:
        """The cut duct slips back under the fat."""
        self.bed.paste(self._closed, self._window, self.opening[self._window] < 1)


@dataclass(frozen=True)
class _Ground:
    """What every organ is painted from: bent coordinates, noise, and the colours of the patient."""

    rng: np.random.Generator
    look: Appearance
    x: Field
    y: Field
    cloud: Field
    grain: Field
    bumps: Field
    unit: float  # texels per unit of the plane

    def ridges(self, coarsest: float, width: float) -> Field:
        return ridges(self.rng, self.x.shape[0], coarsest * self.unit, width)

    def noise(self, coarsest: float, fade: float = 0.5) -> Field:
        return fractal_noise(self.rng, self.x.shape[0], coarsest * self.unit, fade, finest=max(0.02 * self.unit, 3))


def draw_anatomy(rng: np.random.Generator, look: Appearance, texels: int) -> Anatomy:
    """One patient's organs on sheets ``texels`` wide."""
    unit = texels / (2 * EXTENT)
    centres = ((np.arange(texels, dtype=np.float32) + 0.5) / np.float32(unit)) - np.float32(EXTENT)
    x, y = np.meshgrid(centres, centres)  # [T, T]
    bend_x, bend_y = (0.06 * fractal_noise(rng, texels, 1.3 * unit, 0.4, finest=0.15 * unit) for _ in range(2))
    ground = _Ground(
        rng=rng,
        look=look,
        x=x + bend_x,
        y=y + bend_y,
        cloud=fractal_noise(rng, texels, 1.2 * unit, 0.5, finest=0.2 * unit),
        grain=fractal_noise(rng, texels, 0.12 * unit, 0.6, finest=3),
        bumps=fractal_noise(rng, texels, 0.35 * unit, 0.45, finest=0.05 * unit),
        unit=unit,
    )
    fundus = np.array([0.10, -0.40]) + rng.normal(0, 0.09, 2)
    neck = fundus + np.array([-0.28, 0.62]) + rng.normal(0, [0.12, 0.06])
    end = neck + np.array([-0.20, 0.46]) + rng.normal(0, [0.08, 0.05])
    duct = np.array([neck - [0, 0.05], (neck + end) / 2 + [rng.uniform(-0.10, 0.10), 0], end])
    ligament = np.array([-1.15, -1.35]) + rng.normal(0, 0.06, 2)
    vein = np.array([1.62, -1.00]) + rng.normal(0, 0.05, 2)

    bed = Painter(texels)
    _wall(ground, bed)
    _liver(ground, bed, fundus, neck)
    _ligament(ground, bed, ligament)
    _vein(ground, bed, vein)
    _bowel(ground, bed)
    fat = _fat(ground, bed, neck)
    _connective(ground, bed, duct)
    dissected = bed.copy()
    _duct(ground, dissected, duct)
    _veil(ground, bed, duct)
    gallbladder = Painter(texels)
    _gallbladder(ground, gallbladder, fundus, neck)
    gallbladder.organs[:] = GRAY["gallbladder"]  # where it ends, its opacity alone tells
    bowel = np.array([rng.uniform(-0.4, 0.4), 1.0])
    targets = {
        "fundus": np.add(fundus, [0.02, -0.05]),
        "neck": np.add(neck, [-0.02, 0.05]),
        "duct": duct[1],
        "bed": fundus * 0.55 + neck * 0.45 + [0.22, 0.0],
        "fat": fat,
        "ligament": ligament,
        "vein": vein,
        "bowel": bowel,
    }
    opening = np.clip(ellipse(ground.x, ground.y, duct[1], (0.40, 0.34), 1.1) / 0.5 + 0.8 + 0.06 * ground.bumps, 0, 1)
    return Anatomy(
        bed=bed.finish(),
        dissected=dissected.finish(),
        gallbladder=gallbladder.finish(),
        sites={name: _unbent(point, bend_x, bend_y) for name, point in targets.items()},
        opening=opening,
    )


def _unbent(point: Point, bend_x: Field, bend_y: Field) -> Point:
    """Where a point lies after the coordinates that it was drawn in have been bent."""
    there = point
    for _ in range(4):
        column, row = np.clip(Sheet.share(there) * bend_x.shape[0], 0, bend_x.shape[0] - 1).astype(int)
        there = point - [bend_x[row, column], bend_y[row, column]]
    return there


def _wall(g: _Ground, sheet: Painter) -> None:
    """Peritoneum over muscle, with a net of vessels; inflamed patches are red but no blood."""
    vessels = g.ridges(0.8, 0.06) + 0.6 * g.ridges(0.35, 0.07)
    blush = np.clip(g.noise(1.0) - 1.1, 0, 1.5)
    stripes = np.sin(7 * (g.x * 0.5 + g.y) + 1.2 * g.cloud)
    colour = tint(
        g.look.tissue["abdominal wall"],
        (g.cloud, (0.08, 0.12, 0.12)),
        (stripes, (0.03, 0.06, 0.06)),
        (vessels, (-0.12, -0.42, -0.36)),
        (blush, (-0.03, -0.30, -0.28)),
        (np.hypot(g.x, g.y + 0.2), (-0.12, -0.16, -0.16)),
    )
    height = -0.25 + 0.10 * g.cloud + 0.010 * g.bumps + 0.012 * stripes
    sheet.paint("abdominal wall", np.full_like(g.x, -1), colour, height, 0.35, 0.006, 0.01)


def _liver(g: _Ground, sheet: Painter, fundus: Point, neck: Point) -> None:
    """Two lobes; where the gallbladder lies the capsule is bare, paler and rough once it has been removed."""
    rng = g.rng
    right = ellipse(
        g.x, g.y, np.array([0.85, -1.30]) + rng.normal(0, 0.10, 2), (2.0, 1.50), float(rng.normal(0.10, 0.07))
    )
    left = ellipse(
        g.x, g.y, np.array([-1.35, -1.45]) + rng.normal(0, 0.10, 2), (1.20, 1.15), float(rng.normal(-0.1, 0.1))
    )
    distance = np.minimum(right, left)
    bed = np.clip(-cone(g.x, g.y, fundus, neck, 0.26, 0.12) / 0.05 + 0.4 * g.bumps, 0, 1)
    colour = tint(
        g.look.tissue["liver"],
        (g.cloud, (0.09, 0.12, 0.12)),
        (g.bumps, (0.03, 0.04, 0.04)),
        (g.grain, (0.03, 0.05, 0.05)),
        (np.exp(-((distance / 0.05) ** 2)), (0.16, 0.12, 0.10)),
        (bed, (0.10, 0.0, -0.03)),
        (bed * g.bumps, (0.06, 0.12, 0.12)),
    )
    height = dome(distance, 0.30, 0.34) + 0.045 * g.cloud + (0.008 + 0.008 * bed) * g.bumps + 0.0012 * g.grain
    sheet.paint("liver", distance, colour, height, 0.50, 0.035, 0.012)


def _ligament(g: _Ground, sheet: Painter, site: Point) -> None:
    """The falciform ligament: a pale fold from the cleft between the lobes up to the wall."""
    lean = float(g.rng.normal(-0.15, 0.15))
    axis = np.array([np.sin(lean), -np.cos(lean)])
    distance = cone(g.x, g.y, site + 0.34 * -axis, site + 0.9 * axis, 0.11, 0.26) + 0.015 * g.bumps
    streaks = np.sin(34 * ((g.x - site[0]) * axis[1] - (g.y - site[1]) * axis[0]) + 2 * g.bumps)
    colour = tint(
        g.look.tissue["liver ligament"],
        (g.cloud, (0.04, 0.07, 0.09)),
        (streaks, (0.04, 0.07, 0.08)),
        (g.ridges(0.5, 0.06), (-0.05, -0.35, -0.30)),
    )
    height = 0.18 + dome(distance, 0.06, 0.16) + 0.012 * streaks + 0.01 * g.bumps
    sheet.paint("liver ligament", distance, colour, height.astype(np.float32), 0.45, 0.02, 0.012)


def _vein(g: _Ground, sheet: Painter, site: Point) -> None:
    """A branch of the hepatic vein that shines through where the liver is thin."""
    lean = float(g.rng.normal(0.9, 0.2))
    reach = 0.36 * np.array([np.cos(lean), np.sin(lean)])
    bend = np.array([-reach[1], reach[0]]) * g.rng.uniform(-0.3, 0.3)
    distance = tube(g.x, g.y, np.array([site - reach, site + bend, site + reach]), float(g.rng.uniform(0.085, 0.115)))
    colour = tint(g.look.tissue["hepatic vein"], (g.cloud, (0.06, 0.08, 0.08)), (g.grain, (0.03, 0.04, 0.04)))
    height = sheet.height + dome(distance, 0.06, 0.035)
    sheet.paint("hepatic vein", distance, colour, height, 0.5, 0.035, 0.03)


def _bowel(g: _Ground, sheet: Painter) -> None:
    folds = np.sin(14 * g.x + 1.2 * g.bumps + 3 * g.cloud)
    for _ in range(2):
        start, end = g.rng.uniform(0.95, 1.35), g.rng.uniform(0.85, 1.45)
        along = np.linspace(-2.5, 2.5, 9)
        across = np.linspace(start, end, 9) + g.rng.normal(0, 0.08, 9)
        distance = tube(g.x, g.y, np.stack([along, across], axis=1), float(g.rng.uniform(0.24, 0.34)))
        colour = tint(
            g.look.tissue["gastrointestinal tract"],
            (g.cloud, (0.05, 0.09, 0.08)),
            (folds, (0.02, 0.04, 0.04)),
            (g.ridges(0.5, 0.07), (-0.08, -0.36, -0.32)),
            (g.ridges(0.22, 0.07), (-0.04, -0.22, -0.20)),
        )
        height = 0.12 + dome(distance, 0.18, 0.28) + 0.010 * folds + 0.006 * g.bumps
        sheet.paint("gastrointestinal tract", distance, colour, height, 0.6, 0.012, 0.012)


def _fat(g: _Ground, sheet: Painter, neck: Point) -> Point:
    """The omentum on either side of Calot's triangle; returns a point of it to work at."""
    lobules = cells(g.rng, g.x.shape[0], float(g.rng.uniform(0.10, 0.15)) * g.unit)
    outline = fractal_noise(g.rng, g.x.shape[0], 0.7 * g.unit, 0.35, finest=0.15 * g.unit)
    sites = []
    for side in (-1, 1):
        middle = np.array([neck[0] + side * g.rng.uniform(0.75, 1.0), g.rng.uniform(0.50, 0.80)])
        radii = (float(g.rng.uniform(0.48, 0.72)), float(g.rng.uniform(0.30, 0.44)))
        distance = (
            ellipse(g.x, g.y, middle, radii, float(g.rng.normal(0, 0.35))) + 0.05 * outline + 0.04 * (0.8 - lobules)
        )
        colour = tint(
            g.look.tissue["fat"],
            (lobules - 0.85, (0.05, 0.14, 0.34)),
            (g.bumps, (0.02, 0.03, 0.06)),
            (g.cloud, (0.03, 0.06, 0.12)),
            (g.ridges(0.6, 0.05), (-0.06, -0.45, -0.40)),
            (np.clip(outline, 0, 3), (0.0, -0.06, -0.06)),
        )
        height = 0.22 + dome(distance, 0.12, 0.16) + 0.035 * lobules + 0.03 * g.cloud + 0.006 * g.bumps
        sheet.paint("fat", distance, colour, height, 0.55, 0.015, 0.012)
        sites.append(middle)
    return np.asarray(sites[int(g.rng.integers(2))] * 0.75 + neck * 0.25)


def _connective(g: _Ground, sheet: Painter, duct: Point) -> None:
    middle = duct[0] * 0.45 + duct[-1] * 0.55 + g.rng.normal([0.08, -0.02], 0.05)
    lean = float(np.arctan2(*(duct[-1] - duct[0])[::-1]))
    radii = (float(g.rng.uniform(0.46, 0.58)), float(g.rng.uniform(0.30, 0.40)))
    distance = ellipse(g.x, g.y, middle, radii, lean) + 0.05 * g.cloud + 0.02 * g.bumps
    fibres = g.ridges(0.25, 0.25)
    colour = tint(
        g.look.tissue["connective tissue"],
        (g.cloud, (0.04, 0.10, 0.10)),
        (fibres, (0.05, 0.12, 0.12)),
        (g.grain, (0.02, 0.03, 0.03)),
        (g.ridges(0.45, 0.06), (-0.10, -0.55, -0.45)),
    )
    height = 0.26 + dome(distance, 0.14, 0.10) + 0.012 * g.bumps + 0.005 * fibres
    sheet.paint("connective tissue", distance, colour, height, 0.55, 0.02, 0.014)


def _duct(g: _Ground, sheet: Painter, duct: Point) -> None:
    distance = tube(g.x, g.y, duct, float(g.rng.uniform(0.066, 0.084)))
    colour = tint(
        g.look.tissue["cystic duct"], (g.cloud, (0.03, 0.05, 0.05)), (g.ridges(0.3, 0.08), (-0.02, -0.2, -0.2))
    )
    sheet.paint("cystic duct", distance, colour, 0.34 + dome(distance, 0.04, 0.10), 0.8, 0.02, 0.012)


def _veil(g: _Ground, sheet: Painter, duct: Point) -> None:
    """The fatty connective tissue that hides the duct until it is dissected."""
    distance = tube(g.x, g.y, duct, 0.16) + 0.03 * g.bumps
    lobules = 0.5 * g.noise(0.22)
    fatty = g.look.tissue["connective tissue"] * 0.65 + g.look.tissue["fat"] * 0.35
    colour = tint(fatty, (lobules, (0.04, 0.07, 0.10)), (g.ridges(0.4, 0.06), (-0.08, -0.45, -0.4)))
    height = 0.34 + dome(distance, 0.08, 0.08) + 0.02 * lobules + 0.012 * g.bumps
    sheet.paint("connective tissue", distance, colour, height, 0.55, 0.02, 0.02)


def _gallbladder(g: _Ground, sheet: Painter, fundus: Point, neck: Point) -> None:
    distance = cone(g.x, g.y, fundus, neck, float(g.rng.uniform(0.27, 0.36)), float(g.rng.uniform(0.09, 0.13)))
    vessels = g.ridges(0.55, 0.06) + 0.5 * g.ridges(0.22, 0.06)
    colour = tint(
        g.look.tissue["gallbladder"],
        (g.cloud, (0.08, 0.08, 0.08)),
        (vessels, (0.0, -0.34, -0.28)),
        (np.clip(1 + distance / 0.12, 0, 1), (0.03, -0.10, -0.10)),
    )
    height = dome(distance, 0.15, 0.30) + 0.02 * g.cloud + 0.006 * g.bumps
    sheet.paint("gallbladder", distance, colour, height, 0.8, 0.03, 0.012)
