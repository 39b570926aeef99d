"""The synthetic surgery as a data set: drawn on first use, read from disk ever after like Cholec80 and CholecSeg8k."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mtal.cores import usable_cores
from mtal.datasets import cholecseg8k
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.surgery.render import BLOOD_AREA
from mtal.datasets.surgery.write import SurgeryArguments, is_written, video_name, write_surgeries


def load(
    root: str | Path,
    rate_hz: float = 1.0,
    patients: int = 15,
    test_patients: int = 5,
    val_patients: int = 0,
    seconds: float = 75.0,
    fps: int = 5,
    size: int = 160,
    difficulty: float = 0.35,
    seed: int = 0,
    workers: int | None = None,
) -> SurgicalDataset:
    """Frames of the synthetic surgery, sampled at ``rate_hz``; the set is drawn into ``root`` if it is not there yet.

    Tasks: ``tools`` (Cholec80's seven, any subset), ``bleeding`` (blood is visible) and ``anatomy`` (CholecSeg8k's nine
    organs, by pixel; the black rim, tools and blood are ignored); also ``phase``. Tools are labelled once a second, so
    they are exact at 1 Hz. The last ``test_patients`` patients are the split ``test``,
    the ``val_patients`` before them ``val``, all others ``pool``.

    Args:
        root: folder of the set.
        rate_hz: frames per second to use, at most ``fps``.
        patients: number of patients, one video each.
        test_patients: how many of them are held out.
        val_patients: how many more are in the split ``val``.
        seconds: length of each video.
        fps: frames per second of the videos, at least 5.
        size: edge of the square picture in pixels.
        difficulty: 0 to 1; how much patients differ, and how noisy, smoky and blurred pictures are.
        seed: of all randomness.
        workers: processes that draw; as many as there are processors if ``None``. The files do not depend on it.

    Raises:
        ValueError: ``root`` holds a set made with other arguments, or a value is out of range.
    """
    root = Path(root).resolve()
    if not 0 < rate_hz <= fps:
        raise ValueError(f"synthetic surgery: rate_hz={rate_hz}, but it must lie above 0 and at most at fps={fps}")
    if not 0 <= test_patients <= test_patients + val_patients < patients:
        held_out = f"test_patients={test_patients}" + (f" and val_patients={val_patients}" if val_patients else "")
        raise ValueError(f"synthetic surgery: {held_out} of patients={patients} leaves nobody for the pool")
    pool = patients - test_patients - val_patients
    arguments = SurgeryArguments(patients, seconds, fps, size, difficulty, seed)
    if not is_written(root, arguments):
        draw(root, arguments, workers)
    with warnings.catch_warnings():
        # where a tool's shaft is seen but not its tip, its column says 0
        warnings.filterwarnings("ignore", message=".*are the columns swapped")
        read = cholecseg8k.load(
            root / "cholecseg8k",
            cholec80=root / "cholec80",
            frames="videos",
            blood_area=BLOOD_AREA,
            rate_hz=rate_hz,
            fps=fps,
            test_videos=[video_name(p) for p in range(pool + val_patients, patients)],
            val_videos=[video_name(p) for p in range(pool, pool + val_patients)],
        )
    return replace(read, name="synthetic")


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
            workers=workers or usable_cores(),
            progress=lambda done, _: bar.update(task, completed=done),
        )
