"""One operation, frame by frame: picture and labels from the same geometry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mtal.datasets.label_map import IGNORE
from mtal.datasets.surgery.appearance import Appearance
from mtal.datasets.surgery.bleeding import Pool
from mtal.datasets.surgery.camera import Camera, View
from mtal.datasets.surgery.names import TOOLS
from mtal.datasets.surgery.optics import Optics
from mtal.datasets.surgery.organs import GLOSS, RGB, SLOPE_X, SLOPE_Y, draw_anatomy
from mtal.datasets.surgery.texture import Field
from mtal.datasets.surgery.tools import Pose, draw_tool, tip_area
from mtal.datasets.surgery.workflow import ToolUse, count_bleeds, gaze, hand_clock, write_script

BLOOD_AREA = 0.008
"""Bleeding is labelled where visible blood covers more than this share of the picture."""
TIP_VISIBLE = 0.5
"""A tool is labelled where at least this share of its tip is seen."""
_BLOOD_FILM = 0.22  # a thinner film counts as a stain
_BLOOD = np.array([0.60, 0.04, 0.035], np.float32)
_STAIN = np.array([0.12, 0.75, 0.70], np.float32)  # absorption per channel
_PORTS = {"left": 2.75, "right": 0.45, "low": 1.45}  # directions in radians, from x to the right towards y down


@dataclass(frozen=True)
class Frame:
    """A rendered frame.

    Args:
        image: ``[size, size, 3]`` uint8 RGB.
        anatomy: ``[size, size]`` uint8 organ numbers; tools, blood and the dark border are ``IGNORE``.
        tools: ``[7]`` zeros and ones.
        bleeding: 0 or 1.
        phase: its name.
        time_s: presentation time in seconds.
    """

    image: NDArray[np.uint8]
    anatomy: NDArray[np.uint8]
    tools: tuple[int, ...]
    bleeding: int
    phase: str
    time_s: float


class Surgery:
    """The operation on one patient.

    The same arguments give the same frames. Frames depend on what happened before (blood, clips, scorch marks), so
    they are drawn in order.

    Args:
        seed: of the whole data set.
        patient: number, from 0.
        seconds: length.
        fps: frames per second.
        size: edge of the square picture in pixels.
    """

    def __init__(self, seed: int, patient: int, seconds: float, fps: int, size: int) -> None:
        self.frames_total = max(round(seconds * fps), 1)
        self._fps = fps
        self._size = size
        streams = [np.random.default_rng([seed, 1 + patient, purpose]) for purpose in range(5)]
        look_rng, organ_rng, script_rng, self._blood_rng, optics_rng = streams
        self._look = Appearance.draw(look_rng)
        self._anatomy = draw_anatomy(organ_rng, self._look)
        self._script = write_script(script_rng, seconds, count_bleeds(seed, patient))
        self._camera = Camera(script_rng)
        self._ports = {port: angle + script_rng.normal(0, 0.16) for port, angle in _PORTS.items()}
        self._tool_scale = float(script_rng.uniform(0.9, 1.15))
        self._breath = float(script_rng.uniform(0.20, 0.30))
        self._pools: list[Pool] = []
        centres = ((np.arange(size) + 0.5) / size * 2 - 1).astype(np.float32)
        self._y, self._x = np.meshgrid(centres, centres, indexing="ij")
        self._optics = Optics(optics_rng, self._look, self._x, self._y)

    def frames(self) -> Iterator[Frame]:
        """Every frame, in order of presentation."""
        marks = _Marks()
        for number in range(self.frames_total):
            yield self._frame(number / self._fps, marks)

    def _frame(self, t: float, marks: _Marks) -> Frame:
        script, sites = self._script, self._anatomy.sites
        point, zoom = gaze(script.phases, sites, t)
        hand = hand_clock(script.phases, t)
        view = self._camera.view(hand / max(script.pace, 0.2), point, zoom)
        at_work = [use for use in script.uses if use.start < t < use.end]
        tips = {id(use): self._tip(use, t) for use in at_work}  # in the plane
        self._scar(t, at_work, tips, marks)
        pull = self._pull(at_work, tips, t)

        tissue, organs, plane = self._tissue(view, t, pull)
        blood = self._bleed(t, at_work, tips, plane, tissue)
        image = self._optics.light(tissue)
        burning = [u.inserted(t, 2 * self._travel) for u in at_work if u.tool in ("hook", "bipolar")]
        if burning:
            self._optics.smoke(image, max(burning), t)
        poses = [self._pose(use, view, tips[id(use)], t) for use in at_work]
        solid, tip_number = self._tools(image, poses)

        hidden = (solid > 0.5) | self._optics.outside
        seen_blood = blood & ~hidden
        anatomy = np.where(hidden | blood, IGNORE, organs).astype(np.uint8)
        return Frame(
            image=self._optics.record(image, hand),
            anatomy=anatomy,
            tools=self._present(tip_number, poses),
            bleeding=int(seen_blood.mean() > BLOOD_AREA),
            phase=script.phase(t).name,
            time_s=t,
        )

    def _tip(self, use: ToolUse, t: float) -> NDArray[np.float64]:
        return self._anatomy.sites[use.site] + use.stroke(t)

    def _scar(self, t: float, at_work: list[ToolUse], tips: dict[int, NDArray[np.float64]], marks: _Marks) -> None:
        """Leave what tools leave: scorch marks, clips, the cut."""
        calot = self._anatomy.calot
        site = self._anatomy.sites["duct"]
        for use in at_work:
            done = (t - use.start) / (use.end - use.start)
            if use.tool == "hook" and 0.25 < done < 0.8 and use.site == "duct":
                calot.mark(tips[id(use)], (0.03, 0.022), 0.4, np.array([0.22, 0.12, 0.08, 1.0], np.float32), 0.35)
            for clip in range(2):
                if use.tool == "clipper" and done > 0.45 + 0.3 * clip and marks.clips <= clip:
                    place = site + np.array([0.0, -0.07 + 0.14 * clip])
                    calot.mark(place, (0.085, 0.016), 0.15, np.array([0.75, 0.77, 0.78, 1.0], np.float32), 1.0)
                    marks.clips = clip + 1
            if use.tool == "scissors" and done > 0.6 and not marks.cut:
                calot.mark(site, (0.09, 0.012), 0.1, np.array([0.30, 0.10, 0.08, 1.0], np.float32), 0.9)
                marks.cut = True

    def _pull(self, at_work: list[ToolUse], tips: dict[int, NDArray[np.float64]], t: float) -> NDArray[np.float64]:
        """How far the gallbladder is drawn by a tool that holds it."""
        pull = np.zeros(2)
        for use in at_work:
            if use.holds:
                grip = use.inserted(t, self._travel) ** 4
                pull += grip * (tips[id(use)] - self._anatomy.sites["fundus"] + np.array([-0.03, -0.06]))
        return pull

    @property
    def _travel(self) -> float:
        return 0.9 * self._script.pace

    def _tissue(
        self, view: View, t: float, pull: NDArray[np.float64]
    ) -> tuple[Field, NDArray[np.uint8], tuple[Field, Field]]:
        """Sheets of tissue as the camera sees them: texels ``[H, W, 7]``, organ numbers, coordinates in the plane."""
        breath = 0.5 + 0.5 * float(np.sin(2 * np.pi * self._breath * t))
        plane = view.to_plane(self._x, self._y)
        # Tissue gives way unevenly: more at its free edge than where it hangs.
        sway_x, sway_y = 0.3 * np.cos(1.7 * plane[1]), 1 + 0.4 * np.sin(2 * plane[0] + 0.7)
        anatomy = self._anatomy
        seen, organs = np.empty(0, np.float32), np.empty(0, np.uint8)
        for layer in anatomy.layers:
            pan_x, pan_y = (view.centre * (layer.parallax - 1)).tolist()
            x, y = plane[0] + pan_x - layer.breath * breath * sway_x, plane[1] + pan_y - layer.breath * breath * sway_y
            if layer is anatomy.gallbladder:
                (fundus_x, fundus_y), (pull_x, pull_y) = anatomy.sites["fundus"].tolist(), pull.tolist()
                grip = np.exp(((x - fundus_x) ** 2 + (y - fundus_y) ** 2) / -(0.55**2))
                x, y = x - grip * pull_x, y - grip * pull_y
            if layer is anatomy.wall:
                seen, organs = layer.sample(x.ravel(), y.ravel())
            else:
                layer.cover(x.ravel(), y.ravel(), seen, organs)
        square = (self._size, self._size)
        return seen.reshape(*square, -1), organs.reshape(square), plane

    def _bleed(
        self,
        t: float,
        at_work: list[ToolUse],
        tips: dict[int, NDArray[np.float64]],
        plane: tuple[Field, Field],
        tissue: Field,
    ) -> NDArray[np.bool_]:
        """Let blood flow and paint it on the tissue; returns where it is more than a stain."""
        for bleed in self._script.bleeds[len(self._pools) :]:
            if t >= bleed.start:
                wound = self._tip(self._script.uses[bleed.cause], t)
                self._pools.append(Pool(self._blood_rng, bleed, wound, self._script.pace))
        rinse = next((tips[id(use)] for use in at_work if use.tool == "irrigator"), None)
        wet = np.zeros(tissue.shape[:2], dtype=bool)
        for pool in self._pools:
            pool.advance(t, 1 / self._fps, rinse)
            self._stain(tissue, pool.stain(*plane))
            film = pool.film(*plane)
            if not film.any():
                continue
            cover = np.clip(film / _BLOOD_FILM * 0.5, 0, 0.95)
            blood = _BLOOD * (1.15 - 0.65 * np.clip(film, 0, 1)[..., None])
            tissue[..., RGB] += cover[..., None] * (blood - tissue[..., RGB])
            down, right = np.gradient(film)
            tissue[..., SLOPE_X] += cover * (4 * right - 0.7 * tissue[..., SLOPE_X])
            tissue[..., SLOPE_Y] += cover * (4 * down - 0.7 * tissue[..., SLOPE_Y])
            tissue[..., GLOSS] += cover * (0.6 - tissue[..., GLOSS])
            wet |= film > _BLOOD_FILM
        return wet

    @staticmethod
    def _stain(tissue: Field, stain: Field) -> None:
        texels, flat = tissue.reshape(-1, tissue.shape[-1]), stain.ravel()
        here = np.flatnonzero(flat)
        texels[here, RGB] *= np.exp(-flat[here, None] * _STAIN)

    def _pose(self, use: ToolUse, view: View, site: NDArray[np.float64], t: float) -> Pose:
        angle = self._ports[use.port] - view.angle * 0.3
        axis = np.array([np.cos(angle), np.sin(angle)])
        outside = axis * 2.1
        tip = outside + use.inserted(t, self._travel) * (view.to_screen(site) - outside)
        lean = axis * 3.0 - tip  # the port itself does not move with the tip
        opening = 0.1 if use.holds else float(np.clip(0.5 + use.jaws(t)[0], 0, 1))
        return Pose(
            tool=use.tool,
            tip=tip,
            axis=lean / np.hypot(*lean),
            scale=self._tool_scale * view.zoom**0.7,
            opening=round(opening * 20) / 20,
            mirror=-1 if use.port == "left" else 1,
            brightness=float(0.95 * self._look.exposure / (1 + 0.3 * np.hypot(*tip) ** 2)),
        )

    def _tools(self, image: Field, poses: list[Pose]) -> tuple[Field, NDArray[np.int8]]:
        """Paint tools and the shadows they cast; returns their opacity and the number of the tip at each pixel."""
        solid = np.zeros(image.shape[:2], np.float32)
        tip_number = np.full(image.shape[:2], -1, np.int8)
        if not poses:
            return solid, tip_number
        painted = image.copy()
        for number, pose in enumerate(poses):
            draw_tool(pose, self._x, self._y, painted, solid, tip_number, number, self._look.shaft)
        shift = self._size // 22
        shadow = np.roll(ndimage.uniform_filter(solid, self._size // 14), (shift, shift // 2), axis=(0, 1))
        image *= (1 - 0.5 * shadow * (1 - solid))[..., None]
        image += np.minimum(4 * solid, 1)[..., None] * (painted - image)
        return solid, tip_number

    def _present(self, tip_number: NDArray[np.int8], poses: list[Pose]) -> tuple[int, ...]:
        present = [0] * len(TOOLS)
        visible = np.where(self._optics.outside, -1, tip_number)
        for number, pose in enumerate(poses):
            area = tip_area(pose.tool, pose.opening) * (pose.scale * self._size / 2) ** 2  # in pixels
            if np.count_nonzero(visible == number) >= TIP_VISIBLE * area:
                present[TOOLS.index(pose.tool)] = 1
        return tuple(present)


@dataclass
class _Marks:
    """What has been done for good."""

    clips: int = 0
    cut: bool = False
