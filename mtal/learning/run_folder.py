"""The run folder: the database of an experiment, and the only state it has."""

from __future__ import annotations

import fcntl
import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import yaml

from mtal.annotation import Request, Status
from mtal.frames.index import FrameIndex
from mtal.learning.same_run import (
    refuse_config,
    refuse_encoder,
    refuse_frames,
    refuse_labels,
    refuse_looks,
    refuse_tasks,
    tell_corrected,
    tell_moved,
)
from mtal.whole_files import IN_A_RUN, whole_folder, whole_or_not, write_whole

LABELS = "labels.parquet"
"""Digests of labels: of the held-out frames in the run folder, of its picks in each round."""

_LOCK = ".lock"
_NO_RUN = {_LOCK, "run.log"}  # all that is there before a run is known to be none of another
ENCODER = "encoder.json"
HELD_OUT = "held_out.parquet"
"""The frames that people were asked to label for the test."""

WAITING = "waiting.json"
"""How far annotators are with what the run waits for; see :class:`mtal.reporting.progress.Progress`."""


class Fingerprints(Protocol):
    """What labels, pictures and the encoder are now."""

    def held_out(self) -> pd.DataFrame:
        """``frame_id``, a digest of its label for each task, and ``look``, which is ``None`` for most, by frame."""

    def digests(self, frame_ids: Sequence[str], asked: pd.DataFrame) -> pd.DataFrame:
        """``frame_id`` and a digest of its label for each task, of frames that were ``asked`` for."""

    @property
    def encoder(self) -> Mapping[str, Any]:
        """What the encoder is, see :attr:`~mtal.models.Encoder.description`."""


class RunFolder:
    """Reads and writes ``<run>/`` so that whatever is there is complete.

    A round is picked, then asked for, then learnt from. What it picked is written under a temporary name and renamed
    to ``picked/<number>`` when whole; what it learnt likewise to ``rounds/<number>``, which takes over what was picked.
    A killed run therefore leaves complete rounds, at most one that was picked, and temporary folders, which the next
    start removes. What a round has scored of the pool is in ``scored/<number>`` until it has picked.

    Args:
        path: the folder; made when it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rounds = path / "rounds"
        self._picked = path / "picked"
        self._scored = path / "scored"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes out of this run. The lock goes with the process, however that ends.

        Nothing is left in a folder into which nothing else was written: the run was refused.

        Raises:
            RuntimeError: another process is working on this run.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / _LOCK).open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RuntimeError(
                    f"{self.path} is in use by another process; wait for it, or give this run another name="
                ) from error
            try:
                yield
            finally:
                if {p.name for p in self.path.iterdir()} <= _NO_RUN:
                    for name in _NO_RUN:
                        (self.path / name).unlink(missing_ok=True)

    def open(
        self,
        config: Mapping[str, Any],
        tasks: Mapping[str, Any],
        index: FrameIndex,
        prints: Fingerprints | None = None,
        *,
        corrected: bool = False,
    ) -> int:
        """Start the run, or find where it stands. All is compared before anything is written.

        Args:
            config: may differ in options that are free, see :mod:`mtal.free_keys`.
            tasks: what the heads mean.
            index: the frames, which may lie elsewhere than before.
            prints: of labels and pictures; ``None`` to compare none.
            corrected: labels may be others than they were, because people correct them.

        Returns:
            The number of complete rounds.

        Raises:
            ValueError: the folder holds a run of another config, of other heads, frames, labels or pictures.

        Warns:
            UserWarning: the frames lie elsewhere, or labels were corrected.
        """
        self.refuse_other(config)
        moved = self.refuse_others(tasks, index)
        held_out = None
        if prints is not None:
            self.refuse_other_encoder(prints.encoder)
            held_out = self._refuse_other_content(prints, corrected)
        if moved:
            tell_moved(self.path, pd.read_parquet(self.path / "frames.parquet"), index.table)
        self.rounds.mkdir(parents=True, exist_ok=True)
        write_whole(self.path / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))
        write_whole(self.path / "tasks.json", json.dumps(tasks, indent=1))
        if prints is not None:
            write_whole(self.path / ENCODER, json.dumps(prints.encoder, indent=1))
        begun = self._begun()
        if moved or not begun or not (self.path / "frames.parquet").exists():
            with whole_or_not(self.path / "frames.parquet", IN_A_RUN) as file:
                index.write(file)
        if held_out is not None and not (begun and (self.path / LABELS).exists()):
            self.keep_held_out(held_out)
        for leftover in (*self.rounds.glob(".*/"), *self._picked.glob(".*/")):
            shutil.rmtree(leftover)
        for number in range(self.complete_rounds()):
            self._let_go(number)
        for folder in self._scored.glob("*/"):
            if int(folder.name) < self.complete_rounds() or self.picked_path(int(folder.name)).is_dir():
                self.forget_scored(int(folder.name))
        return self.complete_rounds()

    def keep_held_out(self, held_out: pd.DataFrame) -> None:
        """Keep :meth:`Fingerprints.held_out` for later starts to compare with."""
        _write_table(self.path / LABELS, held_out)

    def ask_held_out(self, frame_ids: Sequence[str]) -> None:
        """Note that people are asked for these frames, so that no other data may take the place of these."""
        if not (self.path / HELD_OUT).exists():
            _write_table(self.path / HELD_OUT, pd.DataFrame({"frame_id": list(frame_ids)}))

    def note_waiting(self, request: Request, status: Status) -> None:
        """Keep how far annotators are with a request while they owe anything, for those who read the folder."""
        file = self.path / WAITING
        if not any(status.owed.values()):
            file.unlink(missing_ok=True)
            return
        told = {
            "title": request.title,
            "frames": status.frames,
            "done": status.done,
            "owed": {task: len(frames) for task, frames in status.owed.items() if frames},
            "by": dict(status.by),
            "seconds": None if math.isnan(status.seconds) else status.seconds,
            "where": status.where,
            "time": datetime.now(UTC).isoformat(timespec="minutes"),
        }
        write_whole(file, json.dumps(told, indent=1, ensure_ascii=False))

    def refuse_other(self, config: Mapping[str, Any]) -> None:
        """Make sure that the folder holds a run of ``config``, or none.

        Raises:
            ValueError: it holds a run of another config; the keys that differ are named.
        """
        config_file = self.path / "config.yaml"
        if config_file.exists():
            refuse_config(self.path, yaml.safe_load(config_file.read_text()), dict(config))

    def refuse_others(self, tasks: Mapping[str, Any], index: FrameIndex) -> bool:
        """Make sure that the folder has picked nothing so far, or from these frames for these heads.

        Returns:
            Whether the frames lie elsewhere than they did.

        Raises:
            ValueError: it holds a run of others.
        """
        if not self._begun():
            return False
        tasks_file, frames_file = self.path / "tasks.json", self.path / "frames.parquet"
        if tasks_file.exists():
            refuse_tasks(tasks_file, json.loads(tasks_file.read_text()), tasks)
        return frames_file.exists() and refuse_frames(frames_file, pd.read_parquet(frames_file), index.table)

    def refuse_other_encoder(self, encoder: Mapping[str, Any]) -> None:
        """Make sure that the folder has no complete round, or rounds of this encoder.

        Args:
            encoder: see :attr:`~mtal.models.Encoder.description`.

        Raises:
            ValueError: its weights or its normalisation are others.
        """
        file = self.path / ENCODER
        if self.complete_rounds() and file.exists():  # earlier versions kept none
            refuse_encoder(file, json.loads(file.read_text()), encoder)

    def _refuse_other_content(self, prints: Fingerprints, corrected: bool) -> pd.DataFrame:
        held_out = prints.held_out()
        compare = tell_corrected if corrected else refuse_labels
        if self.complete_rounds() and (self.path / LABELS).exists():  # earlier versions kept none
            before = pd.read_parquet(self.path / LABELS)
            now = held_out.set_index("frame_id", drop=False).reindex(before["frame_id"]).reset_index(drop=True)
            compare(self.path, before.drop(columns="look"), now, "the run is tested on")
            seen = before["look"].notna()
            refuse_looks(self.path, before[seen], now[seen])
        kept = [self.round_path(number) / LABELS for number in range(self.complete_rounds())]
        if kept := [file for file in kept if file.exists()]:
            learnt = pd.concat(map(pd.read_parquet, kept), ignore_index=True)
            now = prints.digests(learnt["frame_id"].tolist(), self.asked())
            compare(self.path, learnt, now, "the run has learnt from")
        return held_out

    def complete_rounds(self) -> int:
        """How many rounds are there, counted from 00 without a gap."""
        number = 0
        while self.round_path(number).is_dir():
            number += 1
        return number

    def round_path(self, number: int) -> Path:
        """Final name of a round's folder."""
        return self.rounds / f"{number:02d}"

    def picked_path(self, number: int) -> Path:
        """Where a round that has picked, and has not learnt yet, keeps what it found; not there otherwise."""
        return self._picked / f"{number:02d}"

    @contextmanager
    def picking(self, number: int) -> Iterator[Path]:
        """A folder to write what round ``number`` picks into; :meth:`picked_path` when the block ends without error."""
        self._picked.mkdir(exist_ok=True)
        try:
            with whole_folder(self.picked_path(number)) as temporary:
                yield temporary
            self.forget_scored(number)
        finally:
            self._tidy()

    def scored_path(self, number: int) -> Path:
        """Where a round keeps what it has scored of the pool until it has picked."""
        return self._scored / f"{number:02d}"

    def forget_scored(self, number: int) -> None:
        """Remove what a round has scored, which is of use for its picks alone."""
        shutil.rmtree(self.scored_path(number), ignore_errors=True)
        if self._scored.is_dir() and not any(self._scored.iterdir()):
            self._scored.rmdir()

    @contextmanager
    def round(self, number: int) -> Iterator[Path]:
        """A folder to write round ``number`` into; it gets its final name when the block ends without an error.

        What the round picked becomes part of it, but for files that are written anew.
        """
        with whole_folder(self.round_path(number)) as temporary:
            yield temporary
            _take_over(self.picked_path(number), temporary)
        self._let_go(number)

    def _let_go(self, number: int) -> None:
        """Remove what a round picked that has become part of it."""
        shutil.rmtree(self.picked_path(number), ignore_errors=True)
        self._tidy()

    def _tidy(self) -> None:
        if self._picked.is_dir() and not any(self._picked.iterdir()):
            self._picked.rmdir()

    def _begun(self) -> bool:
        """Whether frames were picked or asked for."""
        return self.complete_rounds() > 0 or self.picked_path(0).is_dir() or (self.path / HELD_OUT).exists()

    def labelled(self) -> list[str]:
        """Frames picked so far, in order of choice."""
        picks = [
            pd.read_parquet(self.round_path(r) / "picks.parquet", columns=["frame_id"])
            for r in range(self.complete_rounds())
        ]
        return pd.concat(picks)["frame_id"].tolist() if picks else []

    def asked(self) -> pd.DataFrame:
        """Frame → columns ``asked/<task>``, whether it was asked for the head, of all complete rounds."""
        files = [self.round_path(number) / "picks.parquet" for number in range(self.complete_rounds())]
        tables = [pd.read_parquet(file).set_index("frame_id").filter(regex="^asked/") for file in files]
        return pd.concat(tables) if tables else pd.DataFrame()

    def metrics(self, number: int) -> dict[str, Any]:
        """``metrics.json`` of a complete round."""
        content: dict[str, Any] = json.loads((self.round_path(number) / "metrics.json").read_text())
        return content


def _take_over(folder: Path, into: Path) -> None:
    """Give the files of a folder a second name in another, where there is none of that name."""
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        target = into / file.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            continue
        try:
            target.hardlink_to(file)
        except OSError:  # a file system without links
            shutil.copyfile(file, target)


def _write_table(path: Path, table: pd.DataFrame) -> None:
    with whole_or_not(path, IN_A_RUN) as file:
        table.to_parquet(file, index=False)
