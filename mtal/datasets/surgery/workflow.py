"""The operation as a script: phases of random length, which tool works where and when, and when it bleeds.

Times are in seconds; a script for another length is the same operation played faster or slower.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtal.datasets.surgery.motion import Wander, ease

_TYPICAL_SECONDS = 75.0
# (phase, share of the operation, how lively the camera hand is, magnification)
_PHASES = (
    ("inspection", 6.0, 0.9, 0.90),
    ("preparation", 11.0, 1.0, 1.00),
    ("calot_dissection", 16.0, 0.8, 1.20),
    ("clipping_cutting", 12.0, 0.6, 1.3),
    ("gallbladder_dissection", 15.0, 0.8, 1.10),
    ("idle", 5.0, 0.0, 1.05),
    ("cleaning", 7.0, 0.9, 1.00),
    ("packaging", 9.0, 0.8, 0.95),
    ("inspection", 3.0, 0.3, 0.90),
)
_BLEEDS_PER_BLOCK = (0, 1, 2, 2)
"""Bleedings of four consecutive patients, shuffled: any four in a row hold patients with and without."""


@dataclass(frozen=True)
class Phase:
    """One phase, the liveliness of the camera hand in [0, 1], its magnification and the site it looks at."""

    name: str
    start: float
    end: float
    liveliness: float
    zoom: float
    site: str


@dataclass(frozen=True)
class ToolUse:
    """A tool that comes in through a port, works about a site and leaves.

    Args:
        tool: its name.
        port: ``left``, ``right`` or ``low``.
        start: when it begins to come in.
        end: when it has left.
        site: of the anatomy.
        stroke: its path about the site, in the plane of the organs.
        jaws: its opening over time.
        holds: it grasps the tissue, which then follows it.
    """

    tool: str
    port: str
    start: float
    end: float
    site: str
    stroke: Wander
    jaws: Wander
    holds: bool = False

    def inserted(self, t: float, travel: float) -> float:
        """0 outside the body, 1 at work; it travels for ``travel`` seconds each way."""
        travel = min(travel, (self.end - self.start) / 3)
        return ease(t, self.start, self.start + travel) * (1 - ease(t, self.end - travel, self.end))


@dataclass(frozen=True)
class Bleed:
    """Blood wells up at the tip of ``ToolUse`` number ``cause`` from ``start`` to ``sealed``, and is washed off."""

    start: float
    sealed: float
    washing: float
    washed: float
    cause: int


@dataclass(frozen=True)
class Script:
    """One operation."""

    phases: tuple[Phase, ...]
    uses: tuple[ToolUse, ...]
    bleeds: tuple[Bleed, ...]
    pace: float
    """Seconds of video per second of a typical operation."""

    def phase(self, t: float) -> Phase:
        """The phase at time ``t``."""
        return next((p for p in self.phases if t < p.end), self.phases[-1])


def count_bleeds(seed: int, patient: int) -> int:
    """How often patient number ``patient`` (from 0) bleeds."""
    block, place = divmod(patient, len(_BLEEDS_PER_BLOCK))
    order = np.random.default_rng([seed, 7, block]).permutation(len(_BLEEDS_PER_BLOCK))
    return _BLEEDS_PER_BLOCK[order[place]]


def write_script(rng: np.random.Generator, seconds: float, bleeds: int) -> Script:
    """An operation of ``seconds`` with ``bleeds`` (0 to 2) bleedings, during the two dissections."""
    pace = seconds / _TYPICAL_SECONDS
    shares = np.array([p[1] for p in _PHASES]) * np.exp(rng.normal(0, 0.12, len(_PHASES)))
    ends = np.cumsum(shares) / shares.sum() * seconds
    starts = np.concatenate([[0], ends[:-1]])
    sites = {"preparation": "fat", "gallbladder_dissection": "bed", "packaging": "bed", "cleaning": "neck"}
    phases = tuple(
        Phase(name, float(a), float(b), liveliness, zoom, sites.get(name, "duct"))
        for (name, _, liveliness, zoom), a, b in zip(_PHASES, starts, ends, strict=True)
    )
    bloody = rng.permutation(["calot_dissection", "gallbladder_dissection"])[:bleeds]
    stage = _Stage(rng, pace, frozenset(bloody.tolist()))
    for phase in phases:
        getattr(stage, phase.name)(phase)
    return Script(phases, tuple(stage.uses), tuple(stage.bleeds), pace)


class _Stage:
    """Places tool uses and bleedings phase by phase; one method per phase, called by its name."""

    def __init__(self, rng: np.random.Generator, pace: float, bloody: frozenset[str]) -> None:
        self._rng = rng
        self._pace = pace
        self._bloody = bloody
        self.uses: list[ToolUse] = []
        self.bleeds: list[Bleed] = []

    def _use(
        self, tool: str, port: str, start: float, end: float, site: str, reach: float = 0.14, holds: bool = False
    ) -> int:
        start += self._rng.uniform(-0.3, 0.3) * self._pace
        stroke = Wander(self._rng, 2, (0.08 if holds else 0.35) / max(self._pace, 0.2), reach)
        jaws = Wander(self._rng, 1, 0.4 / max(self._pace, 0.2), 0.1 if holds else 0.75)
        self.uses.append(ToolUse(tool, port, max(start, 0.0), end, site, stroke, jaws, holds))
        return len(self.uses) - 1

    def inspection(self, phase: Phase) -> None:
        """Nothing but a look around."""

    def preparation(self, phase: Phase) -> None:
        """Adhesions are pulled off the fat, and a vessel sealed in passing."""
        self._use("grasper", "left", phase.start + 0.5 * self._pace, phase.end + 1.0 * self._pace, "fundus", 0.05, True)
        half = phase.start + (phase.end - phase.start) * self._rng.uniform(0.45, 0.6)
        self._use("grasper", "right", phase.start + 1.5 * self._pace, half, "fat")
        if self._rng.random() < 0.75:
            self._use("bipolar", "right", half + 0.5 * self._pace, phase.end - 0.3 * self._pace, "fat")

    def calot_dissection(self, phase: Phase) -> None:
        """The hook frees the duct."""
        self._dissect(phase, "duct")

    def gallbladder_dissection(self, phase: Phase) -> None:
        """The hook frees the gallbladder from the liver."""
        self._dissect(phase, "bed")

    def _dissect(self, phase: Phase, site: str) -> None:
        u = self._pace
        self._use("grasper", "left", phase.start, phase.end, "fundus", 0.06, True)
        if phase.name not in self._bloody:
            rest = phase.start + (phase.end - phase.start) * self._rng.uniform(0.4, 0.6)
            self._use("hook", "right", phase.start + 0.8 * u, rest, site)
            self._use("hook", "right", rest + 1.2 * u, phase.end - 0.2 * u, site)
            return
        start = phase.start + self._rng.uniform(2.8, 4.2) * u
        cause = self._use("hook", "right", phase.start + 0.5 * u, start + self._rng.uniform(1.0, 2.0) * u, site)
        seal, wash, end = (start + x * u for x in (5.2, 6.0, 9.0))
        self.bleeds.append(Bleed(start, seal, wash, end, cause))
        if self._rng.random() < 0.75:
            self._use("bipolar", "right", seal - 2.4 * u, seal + 0.6 * u, site, 0.05)
        self._use("irrigator", "low", wash - 1.3 * u, end + 0.3 * u, site, 0.22)
        if phase.end - end > 2.5 * u:
            self._use("hook", "right", end + 0.4 * u, phase.end - 0.2 * u, site)

    def clipping_cutting(self, phase: Phase) -> None:
        """Clips on the duct, then scissors between them: the only phase with either."""
        u = self._pace
        self._use("grasper", "left", phase.start, phase.end, "fundus", 0.05, True)
        middle = phase.start + (phase.end - phase.start) * self._rng.uniform(0.48, 0.54)
        self._use("clipper", "right", phase.start + 0.2 * u, middle, "duct", 0.07)
        self._use("scissors", "right", middle + 0.1 * u, phase.end - 0.2 * u, "duct", 0.06)

    def idle(self, phase: Phase) -> None:
        """Everyone waits; at most a grasper stays where it is."""
        if self._rng.random() < 0.5:
            self._use("grasper", "left", phase.start, phase.end, "fundus", 0.0, True)

    def cleaning(self, phase: Phase) -> None:
        """Washing and a last touch of the bipolar, with or without blood."""
        u = self._pace
        length = phase.end - phase.start
        self._use("irrigator", "right", phase.start + 0.2 * u, phase.start + 0.62 * length, "neck", 0.26)
        self._use("bipolar", "low", phase.start + 0.45 * length, phase.end, "bed", 0.12)

    def packaging(self, phase: Phase) -> None:
        """The gallbladder goes into the bag."""
        u = self._pace
        self._use("specimen_bag", "low", phase.start + 0.4 * u, phase.end - 0.1 * u, "neck", 0.10)
        self._use("grasper", "left", phase.start, phase.end - 1.5 * u, "fundus", 0.08, True)


def hand_clock(phases: tuple[Phase, ...], t: float) -> float:
    """∫ liveliness dt: seconds that the camera hand has moved up to ``t``; it stands still while all wait."""
    return sum((min(t, p.end) - p.start) * p.liveliness for p in phases if t > p.start)


def gaze(
    phases: tuple[Phase, ...], sites: dict[str, NDArray[np.float64]], t: float
) -> tuple[NDArray[np.float64], float]:
    """Point of interest ``[2]`` and magnification at ``t``, eased from phase to phase."""
    point, zoom = sites[phases[0].site], phases[0].zoom
    for phase in phases[1:]:
        blend = ease(t, phase.start - 0.1 * (phase.end - phase.start), phase.start + 0.15 * (phase.end - phase.start))
        point, zoom = point + blend * (sites[phase.site] - point), zoom + blend * (phase.zoom - zoom)
    return point, zoom
