"""One round after the encoder on stored features: what each of its stages takes and holds."""

from __future__ import annotations

import time
from collections import UserDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from benchmarks.growth import DIM, GIB, VIDEO, embeddings
from benchmarks.stored_heads import StoredHeads
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from mtal.acquisition import Acquisition, Evidence, PastRound
from mtal.annotation import Availability
from mtal.datasets.label_map import LabelMap
from mtal.frames.index import FrameIndex
from mtal.learning.picking import Picker
from mtal.learning.picks import picks_table
from mtal.learning.presence import labelled_presence
from mtal.learning.round import Round
from mtal.learning.run_folder import RunFolder
from mtal.learning.standing import Standing
from mtal.tasks.task import Task

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
VIDEOS_OF_A_PATIENT = 4
LABELLED = 200
COLOURS = tuple((i, i, i) for i in range(1, 8))
TASKS = [
    Task(LabelMap("tools", "frame", exclusive=False, classes=tuple("abcdefg"), colors=COLOURS)),
    Task(LabelMap("bleeding", "frame", exclusive=False, classes=("bleeding",), colors=COLOURS[:1])),
    Task(LabelMap("anatomy", "pixel", exclusive=True, classes=tuple("abcdef"), colors=COLOURS[:6])),
]


class StoredFeatures:
    """Model inputs: rows of a memory-mapped file, as maps of one cell ``[n, DIM, 1, 1]``."""

    def __init__(self, file: Path) -> None:
        self._rows = np.load(file, mmap_mode="r")

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def key(self) -> str:
        return "stored features"

    def batch(self, positions: np.ndarray) -> list[torch.Tensor]:
        return [torch.from_numpy(self._rows[positions].astype(np.float32))[:, :, None, None]]


class Stages(UserDict[str, float]):
    """Seconds of each stage by the clock and of the processor, and GiB that the process held at most during it.

    What a round does between two stages counts for the later one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.processor: dict[str, float] = {}
        self.peaks: dict[str, float] = {}
        self.forget()

    def forget(self) -> None:
        """What was done since the last stage counts for none."""
        self._since = (time.perf_counter(), time.process_time())
        _forget_peak()

    def __setitem__(self, stage: str, _: float) -> None:
        now = time.perf_counter(), time.process_time()
        for kept, at, before in zip((self.data, self.processor), now, self._since, strict=True):
            kept[stage] = kept.get(stage, 0.0) + at - before
        self.peaks[stage] = max(self.peaks.get(stage, 0.0), _peak())
        self.forget()


def _peak() -> float:
    """GiB of memory that the process held at most since it was forgotten, pages of mapped files among them."""
    held = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(held.split()[1]) * 1024 / GIB


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def write_pool(folder: Path, frames: int) -> None:
    """``frames.parquet`` and ``features.npy``, piece by piece."""
    number = np.arange(frames)
    video = number // VIDEO
    names = np.array([f"operation_{v:06d}" for v in range(int(video[-1]) + 1)])
    at = number % VIDEO * 25
    columns = {
        "frame_id": [f"{names[v]}/{k:06d}" for v, k in zip(video, at, strict=True)],
        "patient": np.char.add("patient_", (video // VIDEOS_OF_A_PATIENT).astype(str)),
        "video": names[video],
        "frame": at,
        "time_s": at / 25,
        "source": np.char.add(np.char.add("/recordings/", names[video]), ".mp4"),
        "split": "pool",
    }
    pd.DataFrame(columns).to_parquet(folder / "frames.parquet", index=False)
    stored = np.lib.format.open_memmap(folder / "features.npy", "w+", np.float16, (frames, DIM))
    start = 0
    for piece in embeddings(frames, "videos", 0):
        stored[start : start + len(piece)] = piece.half().numpy()
        start += len(piece)


def _evidence() -> Evidence:
    """Something of each kind that weights of heads are made of."""
    classes = {t.name: t.classes for t in TASKS}
    scores = {task: {c: 0.4 + 0.05 * i for i, c in enumerate(names)} for task, names in classes.items()}
    counts = {task: {c: 10 + i for i, c in enumerate(names)} for task, names in classes.items()}
    past = tuple(PastRound(n, dict.fromkeys(classes, 0.3 + n / 1000)) for n in (100, 200))
    return Evidence(classes, scores, counts, past)


def _labels(frames: int) -> dict[str, np.ndarray]:
    """Of labelled frames, made up."""
    generator = np.random.default_rng(0)
    shapes = {"tools": (7,), "bleeding": (1,), "anatomy": (16, 16)}
    return {task: generator.integers(0, 2, (frames, *shape), dtype=np.uint8) for task, shape in shapes.items()}


def _write_previous(run: RunFolder, frames: int) -> None:
    """What two earlier rounds said of the pool, made up."""
    generator = np.random.default_rng(0)
    shapes = {"tools": (1, 7), "bleeding": (1, 1), "anatomy": (16, 6)}
    for number in (0, 1):
        said = {f"task/{task}": generator.random((frames, *s)).astype(np.float16) for task, s in shapes.items()}
        run.round_path(number).mkdir()
        np.savez(run.round_path(number) / "posteriors.npz", row=np.arange(frames), **said)


def acquisition(overrides: list[str]) -> Acquisition:
    with initialize_config_dir(str(CONFIGS), version_base=None):
        config = compose("acquisition/default", overrides=overrides)
    made: Acquisition = instantiate(config.acquisition)
    return made


def measure(folder: Path, budget: int, overrides: list[str]) -> dict[str, Any]:
    """Seconds and GiB of each stage of one round on what :func:`write_pool` wrote."""
    how = acquisition(overrides)
    model = StoredHeads(DIM, TASKS, loss_prediction="predicted_loss" in how.batch_needs)
    with torch.no_grad():
        return _measured(folder, budget, how, model)


def _measured(folder: Path, budget: int, how: Acquisition, model: StoredHeads) -> dict[str, Any]:
    stages = Stages()
    index = FrameIndex.read(folder / "frames.parquet")
    inputs = StoredFeatures(folder / "features.npy")
    picker = Picker(SimpleNamespace(index=index), inputs, TASKS, how, torch.device("cpu"), seed=0)  # type: ignore[arg-type]
    availability = Availability(index.frame_ids, [t.name for t in TASKS])
    labelled = index.table["frame_id"].iloc[:: len(index) // LABELLED].tolist()[:LABELLED]
    stages["index"] = 0
    run, path = RunFolder(folder / "run"), folder / "picked"
    for made in (run.rounds, path):
        made.mkdir(parents=True)
    if "previous" in how.pool_needs:
        _write_previous(run, len(index))
    known = Standing(_evidence(), presence=labelled_presence(TASKS, _labels(len(labelled)), None, {}))
    stages.forget()
    asked = Round(
        2, budget, run, path, labelled, known, timings=stages, availability=availability, shards=folder / "shards"
    )
    picks = picker.pick(model, asked)
    picks_table(index.select(picks.frame_ids), {}, [], picks)
    stages["picks"] = 0
    if len(set(picks.frame_ids)) != budget:
        raise RuntimeError(f"{len(set(picks.frame_ids))} frames were picked instead of {budget}")
    written = sum(file.stat().st_size for file in path.iterdir() if file.is_file()) / GIB
    return {"seconds": dict(stages), "processor": stages.processor, "peaks": stages.peaks, "written": written}
