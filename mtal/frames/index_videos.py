"""Many videos scanned side by side, each in a process of its own; a bad one is set aside and the rest go on."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import pandas as pd
from filelock import FileLock

from mtal.frames.contact_sheet import draw_contact_sheet
from mtal.frames.hygiene import REASONS, Hygiene
from mtal.frames.index import frame_id
from mtal.frames.sampler import Sampler
from mtal.frames.scan import StoredScan
from mtal.progress import track

_FRAME = ["frame_id", "video", "frame", "time_s", "source"]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VideoIndex:
    """What a set of videos holds.

    Args:
        frames: frames kept: ``frame_id, video, frame, time_s, source``.
        dropped: frames sampled and not kept: the same columns and ``reason, value, threshold``.
        quarantined: videos that cannot be used: ``source, reason, file``, the last to be deleted for another try.
    """

    frames: pd.DataFrame
    dropped: pd.DataFrame
    quarantined: pd.DataFrame


def index_videos(
    videos: Mapping[str, Path],
    sampler: Sampler,
    hygiene: Hygiene,
    folder: Path,
    workers: int | None = None,
    time_limit_s: float = 3600.0,
    progress: bool = True,
) -> VideoIndex:
    """Sample every video and drop what hygiene finds fault with; what was scanned before is read from ``folder``.

    A process decodes one video and ends, so that a decoder that crashes or hangs takes no other video with it. Beside
    the scans, ``folder`` gets ``frames.parquet``, ``dropped.parquet``, ``dropped.png`` (the contact sheet) and
    ``quarantined.csv``.

    Args:
        videos: name → file.
        sampler: which frames are looked at.
        hygiene: which of them are dropped.
        folder: where scans are kept; made when needed.
        workers: processes at once; as many as there are processors if ``None``.
        time_limit_s: a scan that takes longer is ended and its video quarantined.
        progress: show a bar.

    Raises:
        FileNotFoundError: a video is missing.
        RuntimeError: a process failed for a reason that lies in the program.
    """
    scans_folder = folder / "scans"
    scans_folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):  # a second process waits, and finds the scans
        scans = {name: StoredScan(scans_folder, source, sampler, hygiene) for name, source in videos.items()}
        missing = [s for s in scans.values() if not s.done]
        ended = _each_in_a_process(missing, workers or os.cpu_count() or 1, time_limit_s)
        for _ in track(ended, "Looking through videos", len(missing)) if progress else ended:
            pass
        return _collect(scans, folder)


def _collect(scans: Mapping[str, StoredScan], folder: Path) -> VideoIndex:
    tables, faults = [], []
    for name, stored in scans.items():
        table = stored.frames()
        if table is None:
            faults.append(stored.fault())
            continue
        ids = [frame_id(name, frame) for frame in table["frame"]]
        tables.append(table.assign(frame_id=ids, video=name, source=str(stored.source)))
    quarantined = pd.DataFrame(faults, columns=["source", "reason", "file"])
    columns = [*_FRAME, "reason", "value", "threshold", "thumbnail"]
    sampled = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
    kept = sampled["reason"].isna()
    frames, dropped = sampled.loc[kept, _FRAME].reset_index(drop=True), sampled.loc[~kept, columns]
    draw_contact_sheet(dropped, folder / "dropped.png")
    dropped = dropped.drop(columns="thumbnail").reset_index(drop=True)
    frames.to_parquet(folder / "frames.parquet", index=False)
    dropped.to_parquet(folder / "dropped.parquet", index=False)
    quarantined.to_csv(folder / "quarantined.csv", index=False)
    _tell(VideoIndex(frames, dropped, quarantined), folder)
    return VideoIndex(frames, dropped, quarantined)


def _tell(index: VideoIndex, folder: Path) -> None:
    counts = index.dropped["reason"].value_counts()
    by_reason = ", ".join(f"{counts[r]} {r.replace('_', ' ')}" for r in REASONS if r in counts)
    what = f" ({by_reason}; see {folder / 'dropped.png'})" if by_reason else ""
    _log.info("%d frames kept, %d dropped%s", len(index.frames), len(index.dropped), what)
    if len(index.quarantined):
        _log.warning(
            "%d of the videos cannot be used, listed in %s; the first: %s",
            len(index.quarantined),
            folder / "quarantined.csv",
            index.quarantined["reason"].iloc[0],
        )


def _each_in_a_process(scans: Sequence[StoredScan], workers: int, time_limit_s: float) -> Iterator[StoredScan]:
    """Run the scans, yielding each that has ended one way or the other."""
    context = multiprocessing.get_context("spawn")  # decoders do not survive a fork
    waiting = list(reversed(scans))
    running: dict[int, tuple[BaseProcess, StoredScan, float]] = {}  # by sentinel
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                stored = waiting.pop()
                process: BaseProcess = context.Process(target=stored.run, daemon=True)
                process.start()
                running[process.sentinel] = process, stored, time.monotonic() + time_limit_s
            first = min(until for _, _, until in running.values())
            wait(list(running), timeout=max(0.0, first - time.monotonic()))
            for sentinel, (process, stored, until) in list(running.items()):
                late = process.is_alive() and time.monotonic() >= until
                if late:
                    process.kill()
                elif process.is_alive():
                    continue
                process.join()
                del running[sentinel]
                if not stored.done:
                    stored.quarantine(f"{stored.source}: {_ending(process, time_limit_s if late else None)}")
                yield stored
    finally:
        for left, _, _ in running.values():
            left.kill()
            left.join()


def _ending(process: BaseProcess, limit_s: float | None) -> str:
    """Why a scan left nothing.

    Raises:
        RuntimeError: the program is at fault, not the video.
    """
    if limit_s is not None:
        return f"decoding took longer than time_limit_s={limit_s:g}; raise it, or copy the video into another file"
    code = process.exitcode or 0
    if code >= 0:
        raise RuntimeError(f"a process that scanned a video ended with exit code {code}; its error is above")
    return f"decoding was ended by {signal.Signals(-code).name}; copy the video into another file"
