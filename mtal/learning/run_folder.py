"""The run folder: the database of an experiment, and the only state it has."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import yaml

from mtal.frames.index import FrameIndex
from mtal.learning.same_run import (
    refuse_config,
    refuse_encoder,
    refuse_frames,
    refuse_labels,
    refuse_looks,
    refuse_tasks,
    tell_moved,
)

LABELS = "labels.parquet"
"""Digests of labels: of the held-out frames in the run folder, of its picks in each round."""

ENCODER = "encoder.json"


class Fingerprints(Protocol):
    """What labels, pictures and the encoder are now."""

    def held_out(self) -> pd.DataFrame:
        """``frame_id``, a digest of its label for each task, and ``look``, which is ``None`` for most, by frame."""

    def digests(self, frame_ids: Sequence[str]) -> pd.DataFrame:
        """``frame_id`` and a digest of its label for each task, of frames that the oracle has labelled."""

    @property
    def encoder(self) -> Mapping[str, Any]:
        """What the encoder is, see :attr:`~mtal.models.Encoder.description`."""


class RunFolder:
    """Reads and writes ``<run>/`` so that whatever is there is complete.

    A round is written under a temporary name and renamed when whole; small files likewise. A killed run therefore
    leaves complete rounds and at most one temporary folder, which the next start removes.

    Args:
        path: the folder; made when it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rounds = path / "rounds"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes out of this run. The lock goes with the process, however that ends.

        Raises:
            RuntimeError: another process is working on this run.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RuntimeError(
                    f"{self.path} is in use by another process; wait for it, or give this run another name="
                ) from error
            yield

    def open(
        self,
        config: Mapping[str, Any],
        tasks: Mapping[str, Any],
        index: FrameIndex,
        prints: Fingerprints | None = None,
    ) -> int:
        """Start the run, or find where it stands. All is compared before anything is written.

        Args:
            config: may differ in options that are free, see :mod:`mtal.free_keys`.
            tasks: what the heads mean.
            index: the frames, which may lie elsewhere than before.
            prints: of labels and pictures; ``None`` to compare none.

        Returns:
            The number of complete rounds.

        Raises:
            ValueError: the folder holds a run of another config, of other heads, frames, labels or pictures.

        Warns:
            UserWarning: the frames lie elsewhere.
        """
        self.refuse_other(config)
        moved = self.refuse_others(tasks, index)
        held_out = None
        if prints is not None:
            self.refuse_other_encoder(prints.encoder)
            held_out = self._refuse_other_content(prints)
        if moved:
            tell_moved(self.path, pd.read_parquet(self.path / "frames.parquet"), index.table)
        self.rounds.mkdir(parents=True, exist_ok=True)
        write_whole(self.path / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))
        write_whole(self.path / "tasks.json", json.dumps(tasks, indent=1))
        if prints is not None:
            write_whole(self.path / ENCODER, json.dumps(prints.encoder, indent=1))
        begun = self.complete_rounds() > 0
        if moved or not begun or not (self.path / "frames.parquet").exists():
            _write_table(self.path / "frames.parquet", index.table)
        if held_out is not None and not (begun and (self.path / LABELS).exists()):
            _write_table(self.path / LABELS, held_out)
        for leftover in self.rounds.glob(".*/"):
            shutil.rmtree(leftover)
        return self.complete_rounds()

    def refuse_other(self, config: Mapping[str, Any]) -> None:
        """Make sure that the folder holds a run of ``config``, or none.

        Raises:
            ValueError: it holds a run of another config; the keys that differ are named.
        """
        config_file = self.path / "config.yaml"
        if config_file.exists():
            refuse_config(self.path, yaml.safe_load(config_file.read_text()), dict(config))

    def refuse_others(self, tasks: Mapping[str, Any], index: FrameIndex) -> bool:
        """Make sure that the folder has no complete round, or rounds of these heads and frames.

        Returns:
            Whether the frames lie elsewhere than they did.

        Raises:
            ValueError: it holds a run of others.
        """
        if not self.complete_rounds():
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

    def _refuse_other_content(self, prints: Fingerprints) -> pd.DataFrame:
        held_out = prints.held_out()
        if self.complete_rounds() and (self.path / LABELS).exists():  # earlier versions kept none
            before = pd.read_parquet(self.path / LABELS)
            now = held_out.set_index("frame_id", drop=False).reindex(before["frame_id"]).reset_index(drop=True)
            refuse_labels(self.path, before.drop(columns="look"), now, "the run is tested on")
            seen = before["look"].notna()
            refuse_looks(self.path, before[seen], now[seen])
        kept = [self.round_path(number) / LABELS for number in range(self.complete_rounds())]
        if kept := [file for file in kept if file.exists()]:
            learnt = pd.concat(map(pd.read_parquet, kept), ignore_index=True)
            refuse_labels(self.path, learnt, prints.digests(learnt["frame_id"].tolist()), "the run has learnt from")
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

    @contextmanager
    def round(self, number: int) -> Iterator[Path]:
        """A folder to write round ``number`` into; it gets its final name when the block ends without an error."""
        temporary = self.rounds / f".{number:02d}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            yield temporary
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        temporary.rename(self.round_path(number))

    def labelled(self) -> list[str]:
        """Frames picked so far, in order of choice."""
        picks = [
            pd.read_parquet(self.round_path(r) / "picks.parquet", columns=["frame_id"])
            for r in range(self.complete_rounds())
        ]
        return pd.concat(picks)["frame_id"].tolist() if picks else []

    def metrics(self, number: int) -> dict[str, Any]:
        """``metrics.json`` of a complete round."""
        content: dict[str, Any] = json.loads((self.round_path(number) / "metrics.json").read_text())
        return content


def write_whole(path: Path, text: str) -> None:
    """Write a small file so that it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text, encoding="utf-8")
    temporary.rename(path)


def _write_table(path: Path, table: pd.DataFrame) -> None:
    temporary = path.with_name(f".{path.name}")
    table.to_parquet(temporary, index=False)
    temporary.rename(path)
