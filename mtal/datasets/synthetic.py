"""The synthetic surgery as a data set: drawn on first use, read from disk ever after."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_table import LabelTable
from mtal.datasets.surgery.names import LABEL_MAPS
from mtal.datasets.surgery.write import SurgeryArguments, is_written, read_labels, video_name, write_surgeries
from mtal.frames.index import FrameIndex


def load(
    root: str | Path,
    rate_hz: float = 1.0,
    patients: int = 10,
    test_patients: int = 3,
    seconds: float = 75.0,
    fps: int = 5,
    size: int = 160,
    seed: int = 0,
    workers: int | None = None,
) -> SurgicalDataset:
    """Frames of the synthetic surgery, sampled at ``rate_hz``; the set is drawn into ``root`` if it is not there yet.

    Tasks: ``tools`` (7 tools, any subset), ``bleeding`` (blood is visible) and ``anatomy`` (7 organs, by pixel). The
    last ``test_patients`` patients are the split ``test``, all others ``pool``.

    Args:
        root: folder of the set.
        rate_hz: frames per second to use, at most ``fps``.
        patients: number of patients, one video each.
        test_patients: how many of them are held out.
        seconds: length of each video.
        fps: frames per second of the videos, at least 5.
        size: edge of the square picture in pixels.
        seed: of all randomness.
        workers: processes that draw; as many as there are processors if ``None``. The files do not depend on it.

    Raises:
        ValueError: ``root`` holds a set made with other arguments, or a value is out of range.
    """
    root = Path(root).resolve()
    if not 0 < rate_hz <= fps:
        raise ValueError(f"synthetic surgery: rate_hz={rate_hz}, but it must lie above 0 and at most at fps={fps}")
    if not 0 <= test_patients < patients:
        raise ValueError(
            f"synthetic surgery: test_patients={test_patients} of patients={patients} leaves nobody for the pool"
        )
    arguments = SurgeryArguments(patients, seconds, fps, size, seed)
    if not is_written(root, arguments):
        draw(root, arguments, workers)
    table = read_labels(root, arguments)
    table = table[table["frame"].isin(sampled_frames(int(table["frame"].max()) + 1, fps, rate_hz))]
    held_out = {video_name(p) for p in range(patients - test_patients, patients)}
    table["split"] = np.where(table["patient"].isin(held_out), "test", "pool")
    return SurgicalDataset(
        name="synthetic",
        index=FrameIndex(table),
        label_maps=LABEL_MAPS,
        labels=LabelTable(
            pd.DataFrame(table[["frame_id", *(m.task for m in LABEL_MAPS)]]),
            LABEL_MAPS,
            frame_sizes={video_name(p): (size, size) for p in range(patients)},
        ),
    )


def sampled_frames(total: int, fps: int, rate_hz: float) -> NDArray[np.int64]:
    """Native numbers ⌊k · fps / rate + ½⌋ < ``total`` of frames sampled at ``rate_hz``.

    >>> sampled_frames(12, fps=6, rate_hz=2.0).tolist()
    [0, 3, 6, 9]
    """
    numbers = np.floor(np.arange(int(np.ceil(total * rate_hz / fps)) + 1) * fps / rate_hz + 0.5).astype(np.int64)
    return numbers[numbers < total]


def draw(root: Path, arguments: SurgeryArguments, workers: int | None = None) -> None:
    """Draw the set into ``root``, with a progress bar on standard error."""
    console = Console(stderr=True)
    console.print(
        f"drawing the synthetic surgery into {root}: {arguments.patients} patients, {arguments.seconds:g} s each",
        highlight=False,
        soft_wrap=True,
    )
    columns = (TextColumn("patients"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("patients", total=arguments.patients)
        write_surgeries(
            root,
            arguments,
            workers=workers or os.cpu_count() or 1,
            progress=lambda done, _: bar.update(task, completed=done),
        )
