"""One operation, frame by frame: picture and labels from the same geometry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mtal.datasets.surgery.appearance import Appearance
from mtal.datasets.surgery.bleeding import Pool
from mtal.datasets.surgery.camera import Camera, View
from mtal.datasets.surgery.names import BACKGROUND, BLOOD, TOOLS
from mtal.datasets.surgery.optics import Optics
from mtal.datasets.surgery.organs import draw_anatomy
from mtal.datasets.surgery.scene import Forces, Scene
from mtal.datasets.surgery.sheet import Point
from mtal.datasets.surgery.texture import Field
from mtal.datasets.surgery.tools import Pose, draw_tool, tip_area
from mtal.datasets.surgery.workflow import ToolUse, count_bleeds, write_script

BLOOD_AREA = 0.015
"""Bleeding is labelled where visible blood covers more than this share of the picture."""
TIP_VISIBLE = 0.5
"""A tool is labelled where at least this share of its tip is seen, which is Cholec80's rule."""
_PORTS = {"left": 2.75, "right": 0.45, "low": 1.45}  # directions in radians, from x to the right towards y down
_CLIP = np.array([0.80, 0.82, 0.84], np.float32)
_SCORCH = np.array([0.24, 0.13, 0.08], np.float32)
_CUT = np.array([0.34, 0.12, 0.09], np.float32)
_BURNING = ("hook", "bipolar")


@dataclass(frozen=True)
class Frame:
    """A rendered frame.

    Args:
        image: ``[size, size, 3]`` uint8 RGB.
        mask: ``[size, size]`` uint8 gray values of CholecSeg8k.
        tools: ``[7]`` zeros and ones.
        phase: its name.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    tools: tuple[int, ...]
    phase: str

    @property
    def bleeding(self) -> int:
        """1 where enough blood is seen."""
        return int((self.mask == BLOOD).mean() > BLOOD_AREA)


class Surgery:
    """The operation on one patient.

    The same arguments give the same frames. Frames depend on what happened before (blood, clips, scorch marks), so
    they are drawn in order, once.

    Args:
        seed: of the whole data set.
        patient: number, from 0.
        seconds: length.
        fps: frames per second.
        size: edge of the square picture in pixels.
        difficulty: 0 to 1; how much patients differ, and how noisy, smoky and blurred pictures are.
    """

    def __init__(self, seed: int, patient: int, seconds: float, fps: int, size: int, difficulty: float = 0.35) -> None:
        self.frames_total = max(round(seconds * fps), 1)
        self._fps = fps
        self._size = size
        streams = [np.random.default_rng([seed, 1 + patient, purpose]) for purpose in range(5)]
        look_rng, organ_rng, script_rng, self._blood_rng, optics_rng = streams
        self.look = Appearance.draw(look_rng, difficulty)
        self._anatomy = draw_anatomy(organ_rng, self.look, 5 * size // 2)
        self._scene = Scene(self._anatomy, size)
        self._script = write_script(script_rng, seconds, count_bleeds(seed, patient))
        self._camera = Camera(script_rng)
        self._ports = {port: angle + script_rng.normal(0, 0.16) for port, angle in _PORTS.items()}
        self._tool_scale = float(script_rng.uniform(0.9, 1.15))
        self._breath = float(script_rng.uniform(0.20, 0.30))
        self._optics = Optics(optics_rng, self.look, size, difficulty)
        self._pools: list[Pool] = []
        self._bled = self._clips = 0
        self._is_cut = False

    def frames(self) -> Iterator[Frame]:
        """Every frame, in order of presentation."""
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)  # patients are drawn side by side
        try:
            for number in range(self.frames_total):
                yield self._frame(number / self._fps)
        finally:
            cv2.setNumThreads(threads)

    def _frame(self, t: float) -> Frame:
        script = self._script
        hand = script.hand_time(t)
        point, zoom = script.gaze(self._anatomy.sites, t)
        view = self._camera.view(hand, point, zoom)
        out = script.withdrawn(t)
        at_work = [use for use in script.uses if use.start < t < use.end]
        tips = {id(use): self._anatomy.sites[use.site] + use.stroke(hand) for use in at_work}  # in the plane
        self._operate(t, at_work, tips)

        tissue = self._scene.render(view, self._forces(t, at_work, tips), self._pools)
        image = self._optics.light(tissue, view)
        poses = [self._pose(use, view, tips[id(use)], t, hand) for use in at_work]
        tip_number = self._tools(image, tissue.mask, poses)
        burning = [use.inserted(t, 2 * self._travel) for use in at_work if use.tool in _BURNING]
        if burning:
            self._optics.smoke(image, max(burning) * (0.65 + 0.35 * float(np.sin(1.3 * hand))), hand)
        fog = script.fog(t)
        if fog > 0.05:
            image = self._optics.fog(image, fog)
        mask = tissue.mask
        if out > 0:
            self._optics.withdraw(image, mask, out, BACKGROUND)
        self._optics.rim(mask, BACKGROUND)
        return Frame(
            image=self._optics.record(image, hand, self._speed(t, view)),
            mask=mask,
            tools=tools_seen(np.where(mask == BACKGROUND, -1, tip_number), poses),
            phase=script.phase(t).name,
        )

    @property
    def _travel(self) -> float:
        return 0.9 * self._script.pace

    def _speed(self, t: float, view: View) -> NDArray[np.float64]:
        """Of the picture, in half picture widths per second."""
        ahead = 0.02
        point, zoom = self._script.gaze(self._anatomy.sites, t + ahead)
        return -self._camera.view(self._script.hand_time(t + ahead), point, zoom).to_screen(view.centre) / ahead

    def _operate(self, t: float, at_work: list[ToolUse], tips: dict[int, Point]) -> None:
        """What tools do to tissue for good: scorch marks, clips, the cut, wounds."""
        script, anatomy = self._script, self._anatomy
        bed, duct = anatomy.bed, anatomy.sites["duct"]
        if not self._is_cut:
            anatomy.open(script.opened(t))
        for use in at_work:
            done = (t - use.start) / (use.end - use.start)
            if use.tool == "hook" and 0.25 < done < 0.8:
                bed.mark(tips[id(use)], (0.03, 0.02), 0.4, _SCORCH, 0.2)
            for clip in range(2):
                if use.tool == "clipper" and done > 0.45 + 0.3 * clip and self._clips <= clip:
                    bed.mark(np.add(duct, [0.0, -0.07 + 0.14 * clip]), (0.085, 0.016), 0.15, _CLIP, 1.0)
                    self._clips = clip + 1
        if script.cut(t) and not self._is_cut:
            anatomy.close()
            bed.mark(duct, (0.10, 0.05), 0.1, _CUT, 0.8)
            bed.mark(np.add(duct, [0.05, 0.10]), (0.05, 0.016), 0.4, _CLIP, 1.0)
            self._is_cut = True
        self._bleed(t, at_work, tips)

    def _bleed(self, t: float, at_work: list[ToolUse], tips: dict[int, Point]) -> None:
        """Let blood flow, and leave stains of what has been sucked off."""
        script = self._script
        for bleed in script.bleeds[self._bled :]:
            if t >= bleed.start:
                cause = script.uses[bleed.cause]
                wound = self._anatomy.sites[cause.site] + cause.stroke(script.hand_time(t))
                self._pools.append(Pool(self._blood_rng, bleed, wound, script.pace))
                self._bled += 1
        suction = next((tips[id(use)] for use in at_work if use.tool == "irrigator"), None)
        for pool in self._pools:
            pool.advance(t, 1 / self._fps, suction)
            if pool.over:
                pool.soak(self._anatomy.bed)
        self._pools = [pool for pool in self._pools if not pool.over]

    def _forces(self, t: float, at_work: list[ToolUse], tips: dict[int, Point]) -> Forces:
        """How tissue is displaced: a tool that holds draws the gallbladder, others dent what they touch."""
        script, sites = self._script, self._anatomy.sites
        pull, pushes = np.zeros(2), []
        for use in at_work:
            grip = use.inserted(t, self._travel) ** 4
            if use.holds and use.site == "fundus":
                pull = pull + grip * (tips[id(use)] - sites["fundus"] + np.array([-0.03, -0.06]))
            elif grip > 0:
                pushes.append(
                    (tips[id(use)], 0.05 * grip * np.array([-np.cos(a := self._ports[use.port]), -np.sin(a)]))
                )
        bagged = script.bagged(t)
        return Forces(
            breath=0.5 + 0.5 * float(np.sin(2 * np.pi * self._breath * t)),
            pushes=pushes,
            pull=pull,
            lift=script.peeled(t) * np.array([0.16, -0.34]),
            carry=None if bagged >= 1 else bagged * (sites["neck"] - sites["fundus"] + [0.1, 0.25]),
        )

    def _pose(self, use: ToolUse, view: View, site: Point, t: float, hand: float) -> Pose:
        angle = self._ports[use.port] - view.angle * 0.3
        axis = np.array([np.cos(angle), np.sin(angle)])
        outside = axis * 2.1
        inserted = use.inserted(t, self._travel)
        tip = outside + inserted * (view.to_screen(site) - outside)
        lean = axis * 3.0 - tip  # the port itself does not move with the tip
        swing = float(use.jaws(hand)[0])
        return Pose(
            tool=use.tool,
            tip=tip,
            axis=lean / np.hypot(*lean),
            scale=self._tool_scale * view.zoom**0.7,
            opening=0.1 if use.holds else round(float(np.clip(0.5 + swing, 0, 1)) * 20) / 20,
            roll=float(np.clip(use.roll + 0.1 * swing, 0.5, 1)),
            mirror=-1 if use.port == "left" else 1,
            buried=max(0.05 * inserted**4 if use.holds else 0.04 * swing * inserted**4, 0.0),
        )

    def _tools(self, image: Field, mask: NDArray[np.uint8], poses: list[Pose]) -> NDArray[np.int8]:
        """Paint tools and the shadows they cast; returns the number of the tip at each pixel."""
        tip_number = np.full(mask.shape, -1, np.int8)
        if not poses:
            return tip_number
        solid = np.zeros(mask.shape, np.float32)
        painted = image.copy()
        for number, pose in enumerate(poses):
            draw_tool(pose, painted, solid, tip_number, mask, number, self._optics.brightness, self.look.shaft)
        reach, shift = self._size // 14, self._size // 22
        shadow = np.roll(cv2.blur(solid, (reach, reach)), (shift, shift // 2), axis=(0, 1))
        image *= cv2.merge([1 - 0.45 * shadow * (1 - solid)] * 3)
        image += cv2.merge([np.minimum(4 * solid, 1)] * 3) * (painted - image)
        return tip_number


def tools_seen(tip_number: NDArray[np.int8], poses: list[Pose]) -> tuple[int, ...]:
    """``[7]`` zeros and ones: the tools of which at least ``TIP_VISIBLE`` of the tip is in view.

    Args:
        tip_number: ``[size, size]`` number of the pose whose tip is seen at a pixel, −1 for none.
        poses: of the tools at work.
    """
    present = [0] * len(TOOLS)
    for number, pose in enumerate(poses):
        area = pose.roll * tip_area(pose.tool, pose.opening) * (pose.scale * tip_number.shape[0] / 2) ** 2  # in pixels
        if np.count_nonzero(tip_number == number) >= TIP_VISIBLE * area:
            present[TOOLS.index(pose.tool)] = 1
    return tuple(present)
