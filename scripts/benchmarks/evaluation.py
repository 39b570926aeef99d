"""What it costs to score masks at the resolution of their labels instead of that of the model's input."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from benchmarks.clocks import Clock
from numpy.typing import NDArray
from rich.table import Table

from mtal.datasets.masks import HeldOut, OwnSizeMasks
from mtal.datasets.surgery.names import LABEL_MAPS
from mtal.frames.cache import FrameArray
from mtal.learning.evaluation import measure
from mtal.learning.training import TrainerSettings, fit
from mtal.models import MultiTaskModel, build_encoder
from mtal.scoring.inputs import FeatureInputs, FrameInputs, Inputs
from mtal.tasks.task import Task

CASES = (
    ("efficientnet_lite0", (128, 128), (160, 160)),  # the demo
    ("efficientnet_lite0", (128, 128), (480, 854)),
    ("resnet18", (256, 448), (480, 854)),
)


def scene(size: tuple[int, int], number: int, classes: int) -> NDArray[np.uint8]:
    """A mask of areas like organs, the same at any size."""
    generator = np.random.default_rng(number)
    y, x = np.meshgrid(*(np.linspace(0, 1, n) for n in size), indexing="ij")  # [H, W]
    middles = generator.random((2 * classes, 2))
    distance = [(y - a) ** 2 + (x - b) ** 2 for a, b in middles]
    return (np.argmin(distance, axis=0) % classes).astype(np.uint8)


def compare(by_both_clocks: Clock, frames: int, repeats: int) -> Table:
    """Milliseconds of a processor a frame, and the ratio by both clocks, with pictures and with cached features."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tasks = [Task(m) for m in LABEL_MAPS]
    anatomy = next(t for t in tasks if t.support == "pixel")
    table = Table(
        *("encoder", "input", "labels", "fed with", "at input, ms", "at labels, ms", "ratio", "on the wall"),
        title="Evaluation at the labels' resolution against that of the input, ms of a processor",
    )
    for encoder, size, own in CASES:
        masks = {s: [scene(s, k, len(anatomy.classes)) for k in range(frames)] for s in {size, own}}
        colors = np.array(anatomy.label_map.colors, dtype=np.uint8)
        pixels = np.stack([colors[mask] for mask in masks[size]])  # [N, H, W, 3]
        positions = np.arange(frames)
        array = FrameArray([pixels], np.zeros_like(positions), positions, size, key=f"{encoder} {size}")
        tags = {
            t.name: np.random.default_rng(0).integers(0, 2, (frames, len(t.classes)), dtype=np.uint8)
            for t in tasks
            if t is not anatomy
        }
        targets: dict[str, Mapping[str, HeldOut]] = {
            "input": tags | {anatomy.name: np.stack(masks[size])},
            "labels": tags | {anatomy.name: OwnSizeMasks(masks[own].__getitem__, frames)},
        }
        model = MultiTaskModel(build_encoder(encoder), tasks, channels=32, frozen=True)
        with tempfile.TemporaryDirectory() as folder:
            features = FeatureInputs.compute(model, array, Path(folder), device)
            # a map as a trained head makes it: large areas that agree
            fit(model, tasks, features, positions, targets["input"], TrainerSettings(steps=40, batch_size=8))  # type: ignore[arg-type]
            sources: dict[str, Inputs] = {"pictures": FrameInputs(array), "cached features": features}
            for name, inputs in sources.items():
                passes: dict[str, Callable[[], object]] = {
                    at: partial(measure, model, tasks, inputs, positions, targets[at], device) for at in targets
                }
                seconds = by_both_clocks(passes, repeats)
                each = [1000 * seconds[at].processor / frames for at in ("input", "labels")]
                wall = seconds["labels"].wall / seconds["input"].wall
                sizes = ("x".join(map(str, s)) for s in (size, own))
                ratios = (f"{each[1] / each[0]:.2f}", f"{wall:.2f}")
                table.add_row(encoder, *sizes, name, *(f"{ms:.2f}" for ms in each), *ratios)
    return table
