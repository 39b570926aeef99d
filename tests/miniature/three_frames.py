"""Three frames of one recording, and heads of every kind to be asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mtal.annotation import Oracle, Request
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.frames.image_folder import folder_source

TOOLS = LabelMap("tools", "frame", False, ("grasper", "hook"), ((0, 0, 1), (0, 0, 2)))
PHASE = LabelMap("phase", "frame", True, ("prepare", "dissect"), ((0, 1, 0), (0, 2, 0)))
ANATOMY = LabelMap("anatomy", "pixel", True, ("wall", "liver"), ((150, 0, 0), (200, 0, 0)), {7: 0, 9: 1})
VESSELS = LabelMap("vessels", "pixel", False, ("artery", "bile duct"), ((1, 1, 0), (2, 1, 0)))
MAPS = (TOOLS, PHASE, ANATOMY, VESSELS)
A, B, C = "v/000000", "v/000001", "v/000002"
SIZE = (20, 30)
FILES = [f"00{k + 1}_v_00000{k}.png" for k in range(3)]
_GENERATOR = np.random.default_rng(0)
DRAWN = _GENERATOR.choice(np.array([0, 1, IGNORE], np.uint8), SIZE)
"""A label of ``ANATOMY``."""
LAYERS = _GENERATOR.integers(0, 2, (2, *SIZE)).astype(np.uint8)
"""A label of ``VESSELS``."""


def write(root: Path, size: tuple[int, int] = SIZE, maps: tuple[LabelMap, ...] = MAPS) -> SurgicalDataset:
    """Frame k is of the gray value 90 + k."""
    rows = []
    for frame in range(3):
        Image.fromarray(np.full((*size, 3), 90 + frame, np.uint8)).save(root / f"{frame:02d}.png")
        place = {"patient": "p", "video": "v", "frame": frame, "time_s": float(frame), "split": "pool"}
        rows.append({**place, "source": folder_source(root, 0, 1.0), **{m.task: None for m in maps}})
    return SurgicalDataset.from_rows("three", rows, maps)


def request(dataset: SurgicalDataset, **more: Any) -> Request:
    """All heads of all three frames, but for the last, which is asked for its first head alone."""
    tasks = [m.task for m in dataset.label_maps]
    asked = np.ones((3, len(tasks)), dtype=bool)
    asked[2, 1:] = False
    return Request("00", dataset.index.select([A, B, C]), tasks, asked, **more)


def states(oracle: Oracle) -> dict[tuple[str, str], str]:
    """Frame and head → what its label is, of all that was ever asked for."""
    return {(f, t): s for f, t, s in oracle.view.states.itertuples(index=False)}
