"""Three patients of sixteen frames, 64 x 64, with labels of all three heads that can be seen in the pictures."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from miniature.copies import Copies
from PIL import Image

from mtal.acquisition import Acquisition, Badge, Entropy, PercentileRank, WeightedMean
from mtal.annotation import SimulatedOracle
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.label_table import LabelTable
from mtal.frames.cache import FrameArray
from mtal.frames.image_folder import folder_source
from mtal.frames.index import FrameIndex, frame_id
from mtal.learning.loop import Experiment
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.trainer_settings import TrainerSettings
from mtal.models import MultiTaskModel, build_encoder
from mtal.scoring.inputs import Inputs
from mtal.tasks.task import Task, build_tasks

SIZE = 64
PER_PATIENT = 16
ENCODER = "test_efficientnet"  # timm's own miniature, 200 000 weights
TOOLS = LabelMap(
    "tools",
    "frame",
    exclusive=False,
    classes=("grasper", "hook", "clipper"),
    colors=((200, 200, 200), (90, 90, 200), (220, 210, 60)),
)
BLEEDING = LabelMap("bleeding", "frame", exclusive=False, classes=("bleeding",), colors=((213, 0, 0),))
ANATOMY = LabelMap(
    "anatomy",
    "pixel",
    exclusive=True,
    classes=("wall", "liver", "gallbladder"),
    colors=((150, 110, 100), (110, 50, 40), (90, 130, 60)),
    values={0: IGNORE, 1: 0, 2: 1, 3: 2},
)
LABEL_MAPS = (TOOLS, BLEEDING, ANATOMY)
_MODELS: dict[str, Copies] = {}


def write(root: Path, label_maps: tuple[LabelMap, ...] = LABEL_MAPS) -> SurgicalDataset:
    """Patients a and b are the pool, c is held out; each is one video at one frame per second."""
    generator = np.random.default_rng(11)
    rows: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    for patient, split in (("a", "pool"), ("b", "pool"), ("c", "test")):
        video = f"video_{patient}"
        (root / video).mkdir(parents=True)
        (root / "masks" / video).mkdir(parents=True)
        for frame in range(PER_PATIENT):
            picture, gray, tools, bleeding = _scene(generator)
            mask = root / "masks" / video / f"{frame:04d}.png"
            Image.fromarray(picture).save(root / video / f"{frame:04d}.png")
            Image.fromarray(gray).save(mask)
            key = {"frame_id": frame_id(video, frame), "patient": patient, "video": video, "frame": frame}
            source = folder_source(root / video, 0, 1.0)
            rows.append({**key, "time_s": float(frame), "source": source, "split": split})
            labels.append({"frame_id": key["frame_id"], "tools": tools, "bleeding": bleeding, "anatomy": mask})
    table = LabelTable(pd.DataFrame(labels), label_maps, {f"video_{p}": (SIZE, SIZE) for p in "abc"})
    return SurgicalDataset("miniature", FrameIndex(pd.DataFrame(rows)), label_maps, table)


def _scene(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[int], list[int]]:
    first, second = sorted(generator.integers(8, SIZE - 8, size=2).tolist())
    gray = np.ones((SIZE, SIZE), dtype=np.uint8)
    gray[:, first:] = 2
    gray[:, second:] = 3
    picture = np.array([(0, 0, 0), *ANATOMY.colors], dtype=np.float64)[gray]  # [H, W, 3]
    picture += generator.normal(0, 12, size=picture.shape)
    tools = (generator.random(3) < 0.5).astype(int).tolist()
    for tool, present in enumerate(tools):
        if present:
            picture[8 + 16 * tool : 20 + 16 * tool, 20:44] = TOOLS.colors[tool]
    bleeding = int(generator.random() < 0.4)
    if bleeding:
        picture[52:62, 4:40] = (190, 0, 0)
    gray[:3] = 0  # a border that nobody annotated
    return picture.clip(0, 255).astype(np.uint8), gray, tools, [bleeding]


def make_model(
    tasks: list[Task],
    *,
    frozen: bool = True,
    encoder: str = ENCODER,
    dropout: float = 0.1,
    loss_prediction: bool = False,
) -> MultiTaskModel:
    """The same weights at each call: a copy of a model that is built once, which takes longer."""
    built = repr((tasks, frozen, encoder, dropout, loss_prediction))
    if built not in _MODELS:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            model = MultiTaskModel(
                build_encoder(encoder),
                tasks,
                channels=32,
                hidden=16,
                dropout=dropout,
                frozen=frozen,
                loss_prediction=loss_prediction,
            )
        _MODELS[built] = Copies(model)
    return _MODELS[built]()


def make_acquisition(**changes: Any) -> Acquisition:
    """Entropy of every head, averaged, with BADGE on top."""
    parts: dict[str, Any] = {
        "signals": {"entropy": Entropy()},
        "normalizer": PercentileRank(),
        "fusion": WeightedMean(),
        "selector": Badge(),
    }
    return Acquisition(**{**parts, **changes})


def make_experiment(dataset: SurgicalDataset, frames: FrameArray, inputs: Inputs, **changes: Any) -> Experiment:
    """Six frames to begin with and two rounds of four more."""
    tasks = build_tasks(dataset.label_maps, {m.task: {} for m in dataset.label_maps})
    settings: dict[str, Any] = {
        "dataset": dataset,
        "frames": frames,
        "inputs": inputs,
        "tasks": tasks,
        "make_model": partial(make_model, tasks),
        "acquisition": make_acquisition(),
        "oracle": SimulatedOracle(dataset),
        "loop": LoopSettings(initial=6, batch=4, rounds=2),
        "trainer": TrainerSettings(steps=2, batch_size=4, accelerator="cpu"),
        "seed": 3,
    }
    return Experiment(**{**settings, **changes})
