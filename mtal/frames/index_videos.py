"""Many videos scanned side by side in processes of their own; a bad one is set aside and the rest go on."""

from __future__ import annotations

import logging
import queue
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from filelock import FileLock

from mtal.cores import usable_cores
from mtal.frames.contact_sheet import draw_contact_sheet
from mtal.frames.decoding_process import DecodingProcess, free_process, put_back
from mtal.frames.hygiene import REASONS, Hygiene
from mtal.frames.index import frame_id
from mtal.frames.sampler import Sampler
from mtal.frames.scan import StoredScan, run_elsewhere
from mtal.frames.timeline import Truncated
from mtal.progress import track
from mtal.refusals import SHOWN
from mtal.whole_files import whole_or_not

_FRAME = ["frame_id", "video", "frame", "time_s", "source"]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VideoIndex:
    """What a set of videos holds.

    Args:
        frames: frames kept: ``frame_id, video, frame, time_s, source``.
        dropped: frames sampled and not kept: the same columns and ``reason, value, threshold``.
        quarantined: videos that cannot be used: ``source, reason, file``, the last to be deleted for another try. It
            is ``""`` where the next start tries again by itself: a decoder hung or was ended by others, or the file
            may not be read.
    """

    frames: pd.DataFrame
    dropped: pd.DataFrame
    quarantined: pd.DataFrame


def index_videos(
    videos: Mapping[str, Path | str],
    sampler: Sampler,
    hygiene: Hygiene,
    folder: Path,
    workers: int | None = None,
    limit_s: float = 60.0,
    on_truncated: Truncated = "raise",
    progress: bool = True,
) -> VideoIndex:
    """Sample every video and drop what hygiene finds fault with; what was scanned before is read from ``folder``.

    A process decodes one video at a time and is replaced when it crashes or hangs, so that no other video goes with it.
    Beside the scans, ``folder`` gets ``frames.parquet``, ``dropped.parquet``, ``dropped.png`` (the contact sheet) and
    ``quarantined.csv``.

    Args:
        videos: name → file, or ``folder_source`` of a folder of pictures.
        sampler: which frames are looked at.
        hygiene: which of them are dropped.
        folder: where scans are kept; made when needed.
        workers: processes at once; as many as there are processors if ``None``.
        limit_s: seconds without a new frame after which a decoder counts as hung and its video is left out.
        on_truncated: whether a video with fewer frames than its header promises, or with joined ones unread, is
            quarantined (``"raise"``), or those that decode are used (``"keep"``).
        progress: show a bar.

    Raises:
        FileNotFoundError: a video is missing.
        RuntimeError: a process failed for a reason that lies in the program.
    """
    scans_folder = folder / "scans"
    scans_folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):  # a second process waits, and finds the scans
        scans = {
            name: StoredScan(scans_folder, source, sampler, hygiene, on_truncated) for name, source in videos.items()
        }
        missing = [s for s in scans.values() if not s.done]
        ended = _each_in_a_process(missing, workers or usable_cores(), limit_s)
        for _ in track(ended, "Looking through videos", len(missing), "videos") if progress else ended:
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
    columns = [*_FRAME, "reason", "value", "threshold"]
    sampled = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
    kept = sampled["reason"].isna()
    frames, dropped = sampled.loc[kept, _FRAME], sampled.loc[~kept, columns]
    frames, dropped = frames.reset_index(drop=True), dropped.reset_index(drop=True)

    def thumbnail(row: int) -> bytes:
        return scans[str(dropped["video"].iloc[row])].thumbnail(int(dropped["frame"].iloc[row]))

    draw_contact_sheet(dropped, folder / "dropped.png", thumbnail)
    with whole_or_not(folder / "frames.parquet") as file:
        frames.to_parquet(file, index=False)
    with whole_or_not(folder / "dropped.parquet") as file:
        dropped.to_parquet(file, index=False)
    with whole_or_not(folder / "quarantined.csv") as file:
        quarantined.to_csv(file, index=False)
    _tell(VideoIndex(frames, dropped, quarantined), folder)
    return VideoIndex(frames, dropped, quarantined)


def _tell(index: VideoIndex, folder: Path) -> None:
    counts = index.dropped["reason"].value_counts()
    by_reason = ", ".join(f"{counts[r]} {r.replace('_', ' ')}" for r in REASONS if r in counts)
    what = f" ({by_reason}; see {folder / 'dropped.png'})" if by_reason else ""
    _log.info("%d frames kept, %d dropped%s", len(index.frames), len(index.dropped), what)
    if len(index.quarantined):
        _log.warning(
            "%d of the videos cannot be used, listed in %s; %s",
            len(index.quarantined),
            folder / "quarantined.csv",
            first_reasons(index.quarantined),
        )


def first_reasons(quarantined: pd.DataFrame) -> str:
    """Why the first three of the videos in quarantine cannot be used, and how they are tried again."""
    some = quarantined[:SHOWN]
    told = [
        f"{reason} (noted, and not tried again before {file} is deleted)"
        if file
        else f"{reason} (tried again next time)"
        for reason, file in zip(some["reason"], some["file"], strict=True)
    ]
    return f"the first: {'; '.join(told)}"


def _each_in_a_process(scans: Sequence[StoredScan], workers: int, limit_s: float) -> Iterator[None]:
    """Run the scans, yielding for each that has ended one way or the other."""
    running: set[DecodingProcess] = set()
    stopped = threading.Event()
    with ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(_in_a_process, s, limit_s, running, stopped) for s in scans]
        try:
            for job in as_completed(jobs):
                yield job.result()
        finally:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                process.end()


def _in_a_process(stored: StoredScan, limit_s: float, running: set[DecodingProcess], stopped: threading.Event) -> None:
    """Run a scan. If its decoder crashes, the video is quarantined; if it hangs or is ended, left out this time.

    Raises:
        RuntimeError: the program is at fault, not the video.
    """
    process = free_process()
    running.add(process)
    if stopped.is_set():  # too late for whoever ends those that run
        process.end()
        return
    try:
        kind, value = process.ask((run_elsewhere, (stored,)), limit_s)
    except queue.Empty:
        # a busy machine is slow, and another limit_s may do
        stored.passing = f"{stored.source}: decoding got stuck, with nothing new for {limit_s:g} s; re-encode the file"
    except (EOFError, BrokenPipeError):
        if stopped.is_set():
            return
        code = process.exit_code or 0
        if code >= 0:  # no decoder ends a process in order
            raise RuntimeError(f"{stored.source}: looking through it ended its process (exit code {code})") from None
        if process.ended_by_others:
            stored.passing = f"{stored.source}: decoding was ended by others ({process.ended_by_others})"
        else:
            stored.quarantine(f"{stored.source}: decoding crashed ({signal.Signals(-code).name}); re-encode the file")
    else:
        if kind == "error":
            process.end()
            raise RuntimeError(f"{stored.source}: looking through it failed:\n{value}") from value
        stored.passing = value
        put_back(process)
    finally:
        running.discard(process)
