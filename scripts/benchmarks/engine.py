"""The pass over the pool by an actor of Ray against the same pass in this process, on one core each, start-up apart."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from benchmarks.scoring import GROUPS, acquisitions
from rich.table import Table

from mtal.datasets.surgery.names import LABEL_MAPS
from mtal.frames.cache import FrameArray
from mtal.frames.frames_file import FramesFile
from mtal.models import MultiTaskModel, build_encoder
from mtal.scoring.engine import Engine
from mtal.scoring.inputs import FeatureInputs, FrameInputs, Inputs
from mtal.scoring.local import Local
from mtal.scoring.pool import score_pool
from mtal.scoring.ray_actors import RayActors
from mtal.tasks.task import Task


def compare(encoder: str, frames: int, size: int, repeats: int) -> Table:
    """Seconds of both, turn by turn: medians, and the median of the ratio within a turn."""
    torch.set_num_threads(1)
    device = torch.device("cpu")
    tasks = [Task(m) for m in LABEL_MAPS]
    model = MultiTaskModel(build_encoder(encoder), tasks, channels=32, frozen=True, loss_prediction=True).eval()
    acquisition = acquisitions()[next(iter(GROUPS))]
    positions = np.arange(frames)
    engines: dict[str, Engine] = {"this process": Local(), "an actor of Ray": RayActors(actors=1, cpus=1)}
    table = Table("input", "frames", *(f"{name}, s" for name in engines), "ratio", title="Engines, one core each")
    with tempfile.TemporaryDirectory() as folder:
        array = _written(Path(folder), frames, size)
        features = FeatureInputs.compute(model, array, Path(folder), device)
        sources: dict[str, Inputs] = {"frames": FrameInputs(array), "cached features": features}
        for source, inputs in sources.items():
            seconds: dict[str, list[float]] = {name: [] for name in engines}
            for turn in range(repeats + 1):
                for name, engine in engines.items():
                    start = time.perf_counter()
                    score_pool(model, tasks, inputs, positions, acquisition, device, engine=engine)
                    if turn:  # the first starts Ray and fills the disk's cache
                        seconds[name].append(time.perf_counter() - start)
            here, there = seconds.values()
            ratio = median(b / a for a, b in zip(here, there, strict=True))
            table.add_row(source, str(frames), f"{median(here):.2f}", f"{median(there):.2f}", f"{ratio:.3f}")
    return table


def _written(folder: Path, frames: int, size: int) -> FrameArray:
    """Noise, in a file as the frame cache has it."""
    generator = np.random.default_rng(0)
    file = FramesFile(folder / "frames.npy", (frames, size, size, 3))
    parts = np.array_split(np.arange(frames), max(1, frames // 64))
    file.write(generator.integers(0, 256, (len(part), size, size, 3), dtype=np.uint8) for part in parts)
    places = np.arange(frames)
    return FrameArray([file], np.zeros_like(places), places, (size, size), key="benchmark")
