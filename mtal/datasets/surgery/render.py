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
from mtal.datasets.surgery.motion import Wander
from mtal.datasets.surgery.names import TOOLS
from mtal.datasets.surgery.organs import ALPHA, GLOSS, RGB, SLOPE_X, SLOPE_Y, draw_anatomy
from mtal.datasets.surgery.texture import Field, fractal_noise
from mtal.datasets.surgery.tools import Pose, draw_tool, tip_area
from mtal.datasets.surgery.workflow import ToolUse, count_bleeds, gaze, rest_aware_clock, write_script

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
        look_rng, organ_rng, script_rng, self._blood_rng, self._noise_rng = streams
        self._look = Appearance.draw(look_rng)
        self._anatomy = draw_anatomy(organ_rng, self._look)
        self._script = write_script(script_rng, seconds, count_bleeds(seed, patient))
        self._camera = Camera(script_rng)
        self._ports = {port: angle + script_rng.normal(0, 0.16) for port, angle in _PORTS.items()}
        self._tool_scale = float(script_rng.uniform(0.9, 1.15))
        self._breath = float(script_rng.uniform(0.20, 0.30))
        self._haze_path = Wander(script_rng, 2, 0.2, 40.0)
        self._haze = fractal_noise(script_rng, 256, 120, 2.0)
        self._focus = Wander(script_rng, 1, 0.09, 1.0)
        self._pools: list[Pool] = []
        centres = ((np.arange(size) + 0.5) / size * 2 - 1).astype(np.float32)
        self._y, self._x = np.meshgrid(centres, centres, indexing="ij")
        self._border, self._light = self._optics()

    def frames(self) -> Iterator[Frame]:
        """Every frame, in order of presentation."""
        marks = _Marks()
        for number in range(self.frames_total):
            yield self._frame(number / self._fps, marks)

    def _optics(self) -> tuple[Field, Field]:
        look = self._look
        off_axis = np.hypot(self._x - look.axis[0], self._y - look.axis[1])
        border = np.clip((look.aperture - off_axis) * self._size / 4 + 0.5, 0, 1)
        off_light = (self._x - look.light[0]) ** 2 + (self._y - look.light[1]) ** 2
        light = look.exposure * 1.25 / (1 + look.falloff * off_light) * (1 - 0.12 * off_axis**2)
        return border.astype(np.float32), light.astype(np.float32)

    def _frame(self, t: float, marks: _Marks) -> Frame:
        script, sites = self._script, self._anatomy.sites
        point, zoom = gaze(script.phases, sites, t)
        hand = rest_aware_clock(script.phases, t)
        view = self._camera.view(hand / max(script.pace, 0.2), point, zoom)
        at_work = [use for use in script.uses if use.start < t < use.end]
        tips = {id(use): self._tip(use, t) for use in at_work}  # in the plane
        self._scar(t, at_work, tips, marks)
        pull = self._pull(at_work, tips, t)

        tissue, organs, plane = self._tissue(view, t, pull)
        blood = self._bleed(t, at_work, tips, plane, tissue)
        image = tissue[..., RGB] * self._light[..., None]
        image += self._highlights(tissue)[..., None]
        self._smoke(image, at_work, t)
        poses = [self._pose(use, view, tips[id(use)], t) for use in at_work]
        solid, tip_number = self._tools(image, poses)

        hidden = (solid > 0.5) | (self._border < 0.5)
        seen_blood = blood & ~hidden
        anatomy = np.where(hidden | blood, IGNORE, organs).astype(np.uint8)
        return Frame(
            image=self._expose(image, hand),
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
            x, y = view.to_plane(self._x, self._y, layer.parallax)
            x, y = x - layer.breath * breath * sway_x, y - layer.breath * breath * sway_y
            if layer is anatomy.gallbladder:
                (fundus_x, fundus_y), (pull_x, pull_y) = anatomy.sites["fundus"].tolist(), pull.tolist()
                grip = np.exp(((x - fundus_x) ** 2 + (y - fundus_y) ** 2) / -(0.55**2))
                x, y = x - grip * pull_x, y - grip * pull_y
            texels, classes = layer.sample(x, y)
            if layer is anatomy.wall:
                seen, organs = texels, classes
                continue
            cover = texels[..., ALPHA, None]
            seen += cover * (texels - seen)
            organs = np.where(cover[..., 0] > 0.5, classes, organs)
        return seen, organs, plane

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
            tissue[..., RGB] *= np.exp(-pool.stain(*plane)[..., None] * _STAIN)
            film = pool.film(*plane)
            if not film.any():
                continue
            cover = np.clip(film / _BLOOD_FILM * 0.5, 0, 0.95)
            blood = _BLOOD * (1.15 - 0.65 * np.clip(film, 0, 1)[..., None])
            tissue[..., RGB] += cover[..., None] * (blood - tissue[..., RGB])
            down, right = np.gradient(film)
            tissue[..., SLOPE_X] += cover * (5 * right - tissue[..., SLOPE_X])
            tissue[..., SLOPE_Y] += cover * (5 * down - tissue[..., SLOPE_Y])
            tissue[..., GLOSS] += cover * (0.6 - tissue[..., GLOSS])
            wet |= film > _BLOOD_FILM
        return wet

    def _highlights(self, tissue: Field) -> Field:
        """Reflections of the lamp: bright where the surface faces half-way between lamp and lens."""
        off_x = tissue[..., SLOPE_X] + 0.55 * (self._x - 0.12)
        off_y = tissue[..., SLOPE_Y] + 0.55 * (self._y + 0.10)
        off = off_x**2 + off_y**2
        return tissue[..., GLOSS] * (0.75 * np.exp(off / -0.035) + 0.10 * np.exp(off / -0.4)) * self._look.exposure

    def _smoke(self, image: Field, at_work: list[ToolUse], t: float) -> None:
        """Haze rises while a hook or a bipolar burns."""
        burning = max((u.inserted(t, 2 * self._travel) for u in at_work if u.tool in ("hook", "bipolar")), default=0.0)
        if burning == 0:
            return
        row, column = (self._haze_path(t) % 256).astype(int)
        step = 256 / self._size / 2
        rows = (row + np.arange(self._size) * step).astype(int) % 256
        columns = (column + np.arange(self._size) * step).astype(int) % 256
        haze = np.clip(0.10 + 0.09 * self._haze[np.ix_(rows, columns)], 0, 0.35) * burning
        image += haze[..., None] * (np.array([0.72, 0.70, 0.72], np.float32) - image)

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
        visible = np.where(self._border > 0.5, tip_number, -1)
        for number, pose in enumerate(poses):
            area = tip_area(pose.tool, pose.opening) * (pose.scale * self._size / 2) ** 2  # in pixels
            if np.count_nonzero(visible == number) >= TIP_VISIBLE * area:
                present[TOOLS.index(pose.tool)] = 1
        return tuple(present)

    def _expose(self, image: Field, hand: float) -> NDArray[np.uint8]:
        """Lens, sensor and camera processor."""
        look = self._look
        defocus = max(float(self._focus(hand)[0]) - 0.75, 0.0) * 1.6
        blur = look.blur + defocus
        image = ndimage.gaussian_filter(image, (blur, blur, 0), truncate=2.5) * self._border[..., None]
        gray = (image[..., 0] + image[..., 1] + image[..., 2])[..., None] / 3
        image = (gray + look.saturation * (image - gray)) * look.gain
        image = np.where(image > 0.8, 0.8 + 0.2 * np.tanh((image - 0.8) / 0.2), image)  # soft shoulder of the sensor
        grain = self._noise_rng.standard_normal(image.shape[:2], dtype=np.float32) * look.noise * self._border
        return (np.clip(image + grain[..., None], 0, 1) * 255 + 0.5).astype(np.uint8)


@dataclass
class _Marks:
    """What has been done for good."""

    clips: int = 0
    cut: bool = False
