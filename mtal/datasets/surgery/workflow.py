"""The operation as a script: phases of random length, which tool works where and when, and when it bleeds.

Times are in seconds; a script for another length is the same operation played faster or slower.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtal.datasets.surgery.motion import Wander, ease
from mtal.datasets.surgery.names import PHASES

_TYPICAL_SECONDS = 75.0
# of each of Cholec80's phases in the order in which they come: share of the operation, site looked at, magnification
_PHASES = {
    "Preparation": (11.0, "fat", 1.00),
    "CalotTriangleDissection": (20.0, "duct", 1.25),
    "ClippingCutting": (4.6, "duct", 1.45),
    "GallbladderDissection": (19.0, "bed", 1.15),
    "GallbladderPackaging": (6.0, "neck", 0.95),
    "CleaningCoagulation": (9.0, "bed", 1.05),
    "GallbladderRetraction": (4.5, "bowel", 0.95),
}
_BLEEDS_PER_BLOCK = (0, 0, 0, 1, 2)
"""Bleedings of five consecutive patients, shuffled: any five in a row hold patients with and without."""


@dataclass(frozen=True)
class Phase:
    """One phase, its magnification and the site it looks at."""

    name: str
    start: float
    end: float
    zoom: float
    site: str

    def at(self, share: float) -> float:
        """The time when ``share`` of the phase is over."""
        return self.start + share * (self.end - self.start)


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
        roll: cosine of the turn about its shaft; 1 shows the jaws from their broad side.
    """

    tool: str
    port: str
    start: float
    end: float
    site: str
    stroke: Wander
    jaws: Wander
    holds: bool
    roll: float

    def inserted(self, t: float, travel: float) -> float:
        """0 outside the body, 1 at work; it travels for ``travel`` seconds each way."""
        travel = min(travel, (self.end - self.start) / 3)
        return ease(t, self.start, self.start + travel) * (1 - ease(t, self.end - travel, self.end))


@dataclass(frozen=True)
class Bleed:
    """Blood wells up at the tip of ``ToolUse`` number ``cause`` from ``start`` to ``sealed``, and is sucked off."""

    start: float
    sealed: float
    washing: float
    washed: float
    cause: int


@dataclass(frozen=True)
class Glance:
    """The camera looks elsewhere for a while."""

    start: float
    end: float
    site: str
    zoom: float


@dataclass(frozen=True)
class Script:
    """One operation.

    Args:
        phases: in order.
        uses: of tools.
        bleeds: in order.
        glances: of the camera.
        pauses: (start, end) of stretches in which nobody moves.
        withdrawals: (start, end) of stretches in which the lens is pulled out of the body.
        pace: seconds of video per second of a typical operation.
    """

    phases: tuple[Phase, ...]
    uses: tuple[ToolUse, ...]
    bleeds: tuple[Bleed, ...]
    glances: tuple[Glance, ...]
    pauses: tuple[tuple[float, float], ...]
    withdrawals: tuple[tuple[float, float], ...]
    pace: float

    def phase(self, t: float) -> Phase:
        """The phase at time ``t``."""
        return next((p for p in self.phases if t < p.end), self.phases[-1])

    def named(self, name: str) -> Phase:
        """The phase of that name."""
        return self.phases[PHASES.index(name)]

    def hand_time(self, t: float) -> float:
        """Seconds of a typical operation during which hands have moved up to ``t``."""
        rest = sum(min(t, end) - start for start, end in self.pauses if t > start)
        return (t - rest) / max(self.pace, 0.2)

    def gaze(self, sites: Mapping[str, NDArray[np.float64]], t: float) -> tuple[NDArray[np.float64], float]:
        """Point of interest ``[2]`` and magnification at ``t``, eased from one to the next."""
        first = self.phases[0]
        point, zoom = sites[first.site], first.zoom
        turns = [(p.site, p.zoom, ease(t, p.at(-0.10), p.at(0.15))) for p in self.phases[1:]]
        swing = 0.8 * self.pace
        for g in self.glances:
            there = ease(t, g.start - swing, g.start) * (1 - ease(t, g.end, g.end + swing))
            turns.append((g.site, g.zoom, there))
        for site, magnification, blend in turns:
            point, zoom = point + blend * (sites[site] - point), zoom + blend * (magnification - zoom)
        return point, zoom

    def withdrawn(self, t: float) -> float:
        """0 with the lens at work in the body, 1 with it outside."""
        return max((_bell(t, start, end) for start, end in self.withdrawals), default=0.0)

    def fog(self, t: float) -> float:
        """How fogged the lens is, 0 to 1: a cold lens fogs on its way in, and clears within seconds."""
        since = [t - end for end in (0.0, *(w[1] for w in self.withdrawals)) if t >= end - 0.3 * self.pace]
        return float(np.exp(-max(since[-1], 0) / (1.2 * self.pace))) if since else 0.0

    def opened(self, t: float) -> float:
        """How much of the cystic duct is laid bare: from the end of its dissection until it is cut, 0 to 1."""
        clipping = self.named("ClippingCutting")
        return ease(t, clipping.at(0.05), clipping.at(0.35))

    def cut(self, t: float) -> bool:
        """The duct has been cut, and slips back under the fat."""
        return t > self.named("ClippingCutting").at(0.9)

    def peeled(self, t: float) -> float:
        """How far the gallbladder has come off the liver, 0 to 1."""
        dissection = self.named("GallbladderDissection")
        return ease(t, dissection.at(0.1), dissection.at(1.0))

    def bagged(self, t: float) -> float:
        """How far the gallbladder is on its way into the bag, 0 to 1."""
        packaging = self.named("GallbladderPackaging")
        return ease(t, packaging.at(0.25), packaging.at(0.65))


def _bell(t: float, start: float, end: float) -> float:
    third = (end - start) / 3
    return ease(t, start, start + third) * (1 - ease(t, end - third, end))


def count_bleeds(seed: int, patient: int) -> int:
    """How often patient number ``patient`` (from 0) bleeds."""
    block, place = divmod(patient, len(_BLEEDS_PER_BLOCK))
    order = np.random.default_rng([seed, 7, block]).permutation(len(_BLEEDS_PER_BLOCK))
    return _BLEEDS_PER_BLOCK[order[place]]


def write_script(rng: np.random.Generator, seconds: float, bleeds: int) -> Script:
    """An operation of ``seconds`` with ``bleeds`` (0 to 2) bleedings, during the two dissections."""
    pace = seconds / _TYPICAL_SECONDS
    shares = np.array([share for share, _, _ in _PHASES.values()]) * np.exp(rng.normal(0, 0.10, len(_PHASES)))
    ends = seconds * np.cumsum(shares) / shares.sum()
    starts = [0.0, *ends[:-1].tolist()]
    phases = tuple(
        Phase(name, start, end, zoom, site)
        for (name, (_, site, zoom)), start, end in zip(_PHASES.items(), starts, ends.tolist(), strict=True)
    )
    bloody = rng.permutation(["CalotTriangleDissection", "GallbladderDissection"])[:bleeds]
    stage = _Stage(rng, pace, frozenset(bloody.tolist()))
    for phase in phases:
        stage.play(phase)
    return Script(
        phases,
        tuple(stage.uses),
        tuple(sorted(stage.bleeds, key=lambda b: b.start)),
        tuple(stage.glances),
        tuple(stage.pauses),
        tuple(stage.withdrawals),
        pace,
    )


class _Stage:
    """Places tool uses, bleedings, glances and pauses phase by phase."""

    def __init__(self, rng: np.random.Generator, pace: float, bloody: frozenset[str]) -> None:
        self._rng = rng
        self._pace = pace
        self._bloody = bloody
        self.uses: list[ToolUse] = []
        self.bleeds: list[Bleed] = []
        self.glances: list[Glance] = []
        self.pauses: list[tuple[float, float]] = []
        self.withdrawals: list[tuple[float, float]] = []

    def play(self, phase: Phase) -> None:
        """Add what happens in ``phase``."""
        {
            "Preparation": self._preparation,
            "CalotTriangleDissection": self._calot_dissection,
            "ClippingCutting": self._clipping_cutting,
            "GallbladderDissection": self._gallbladder_dissection,
            "GallbladderPackaging": self._packaging,
            "CleaningCoagulation": self._cleaning,
            "GallbladderRetraction": self._retraction,
        }[phase.name](phase)

    def _use(
        self, tool: str, port: str, start: float, end: float, site: str, reach: float = 0.14, holds: bool = False
    ) -> int:
        start += self._rng.uniform(-0.3, 0.3) * self._pace
        stroke = Wander(self._rng, 2, 0.08 if holds else 0.35, reach)
        jaws = Wander(self._rng, 1, 0.4, 0.1 if holds else 0.75)
        roll = float(self._rng.uniform(0.55, 1.0))
        self.uses.append(ToolUse(tool, port, max(start, 0.0), end, site, stroke, jaws, holds, roll))
        return len(self.uses) - 1

    def _pause(self, start: float) -> float:
        end = start + self._rng.uniform(3.5, 6.0) * self._pace
        self.pauses.append((start, end))
        return end

    def _preparation(self, phase: Phase) -> None:
        """A look around, up to the ligament; adhesions are pulled off the fat, and a vessel sealed in passing."""
        u = self._pace
        self.glances.append(Glance(phase.start + 0.6 * u, phase.start + 2.4 * u, "ligament", 1.0))
        begin = phase.start + 4.4 * u
        self._use("grasper", "left", begin, phase.end + 1.0 * u, "fundus", 0.05, True)
        half = begin + (phase.end - begin) * self._rng.uniform(0.45, 0.6)
        self._use("grasper", "right", begin + 0.5 * u, half, "fat")
        if self._rng.random() < 0.6:
            self._use("bipolar", "right", half + 0.3 * u, phase.end - 0.2 * u, "fat")

    def _calot_dissection(self, phase: Phase) -> None:
        """The hook frees the duct; sometimes the lens is taken out for cleaning."""
        self._dissect(phase, "duct")
        if self._rng.random() < 0.6:
            self.withdrawals.append((phase.end - 3.6 * self._pace, phase.end - 1.4 * self._pace))

    def _gallbladder_dissection(self, phase: Phase) -> None:
        """The hook frees the gallbladder from the liver."""
        self._dissect(phase, "bed")

    def _dissect(self, phase: Phase, site: str) -> None:
        u = self._pace
        self._use("grasper", "left", phase.start, phase.end, "fundus", 0.06, True)
        if phase.name not in self._bloody:
            rest = phase.at(self._rng.uniform(0.45, 0.65))
            self._use("hook", "right", phase.start + 0.8 * u, rest, site)
            self._use("hook", "right", rest + 1.0 * u, phase.end - 0.2 * u, site)
            self._pause(phase.start + self._rng.uniform(2.2, 3.0) * u)
            return
        start = phase.start + self._rng.uniform(2.8, 4.2) * u
        cause = self._use("hook", "right", phase.start + 0.5 * u, start + self._rng.uniform(1.0, 2.0) * u, site)
        seal, wash, end = (start + x * u for x in (6.5, 8.4, 12.6))
        self.bleeds.append(Bleed(start, seal, wash, end, cause))
        if self._rng.random() < 0.75:
            self._use("bipolar", "right", seal - 2.4 * u, seal + 0.6 * u, site, 0.05)
        self._use("irrigator", "low", wash - 1.3 * u, end + 0.3 * u, site, 0.22)
        if phase.end - end > 2.5 * u:
            self._use("hook", "right", end + 0.4 * u, phase.end - 0.2 * u, site)

    def _clipping_cutting(self, phase: Phase) -> None:
        """Clips on the duct, then scissors between them: the only phase with either."""
        u = self._pace
        self._use("grasper", "left", phase.start, phase.end, "fundus", 0.05, True)
        middle = phase.at(self._rng.uniform(0.50, 0.56))
        self._use("clipper", "right", phase.start + 0.1 * u, middle, "duct", 0.06)
        self._use("scissors", "right", middle, phase.end + 0.2 * u, "duct", 0.06)

    def _packaging(self, phase: Phase) -> None:
        """The gallbladder goes into the bag."""
        u = self._pace
        self._use("specimen bag", "low", phase.start + 0.3 * u, phase.end + 0.3 * u, "neck", 0.08)
        self._use("grasper", "left", phase.start, phase.at(0.8), "fundus", 0.08, True)

    def _cleaning(self, phase: Phase) -> None:
        """Suction and a last touch of the bipolar, with or without blood; a look under the liver."""
        u = self._pace
        self._use("irrigator", "right", phase.start + 0.5 * u, phase.at(0.45), "bed", 0.24)
        self._use("bipolar", "low", phase.at(0.35), phase.at(0.66), "bed", 0.10)
        self.glances.append(Glance(phase.at(0.76), phase.at(0.92), "vein", 1.20))

    def _retraction(self, phase: Phase) -> None:
        """The bag is pulled to the port, and the camera leaves the body."""
        u = self._pace
        self._use("specimen bag", "low", phase.start - 0.2 * u, phase.end + 2 * u, "bowel", 0.06)
        self._use("grasper", "right", phase.start + 0.4 * u, phase.end - 1.5 * u, "bowel", 0.12)
        self.withdrawals.append((phase.end - 1.6 * u, phase.end + 1.2 * u))
