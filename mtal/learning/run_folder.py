"""The run folder: the database of an experiment, and the only state it has."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mtal.frames.index import FrameIndex

FREE_KEYS = ("logger", "loop.rounds", "cache", "cache_limit_gib", "run_root")
"""Config keys that may differ when a run goes on: none of them changes a round that is already there."""


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

    def open(self, config: Mapping[str, Any], tasks: Mapping[str, Any], index: FrameIndex) -> int:
        """Start the run, or find where it stands.

        Returns:
            The number of complete rounds.

        Raises:
            ValueError: the folder holds a run of another config or of other frames; the keys that differ are named.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self.rounds.mkdir(exist_ok=True)
        self.refuse_other(config)
        _write_whole(self.path / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))
        _write_whole(self.path / "tasks.json", json.dumps(tasks, indent=1))
        frames_file = self.path / "frames.parquet"
        if frames_file.exists():
            if not pd.read_parquet(frames_file).equals(index.table):
                raise ValueError(
                    f"{frames_file} lists other frames than the data set does now: the data changed since this run. "
                    "Restore the data, or start a new run with name=…"
                )
        else:
            temporary = frames_file.with_name(".frames.parquet")
            index.write(temporary)
            temporary.rename(frames_file)
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
            _refuse_changes(self.path, yaml.safe_load(config_file.read_text()), dict(config))

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


def differences(before: Mapping[str, Any], now: Mapping[str, Any], free: Sequence[str] = ()) -> str:
    """The first keys of two nested mappings whose values differ, with both values; ``""`` where none do.

    Args:
        before: keys and values.
        now: the same.
        free: keys that may differ.

    >>> differences({"loop": {"batch": 4}, "seed": 0}, {"loop": {"batch": 8}, "seed": 0})
    'loop.batch: 4 then, 8 now'
    """
    was, is_ = _flat(before), _flat(now)
    changed = [
        key
        for key in sorted(was.keys() | is_.keys())
        if was.get(key) != is_.get(key) and not any(key == f or key.startswith(f"{f}.") for f in free)
    ]
    listed = "; ".join(f"{k}: {was.get(k, 'absent')!r} then, {is_.get(k, 'absent')!r} now" for k in changed[:5])
    return listed + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")


def _refuse_changes(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    changed = differences(before, now, FREE_KEYS)
    if changed:
        raise ValueError(
            f"{path} holds a run of a different config ({changed}). Give the new run its own name=…, "
            "or take the old folder away"
        )


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(node, Mapping):
        return {prefix: node}
    if not node:
        return {prefix: {}} if prefix else {}
    flat: dict[str, Any] = {}
    for key, value in node.items():
        flat |= _flat(value, f"{prefix}.{key}" if prefix else str(key))
    return flat


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(text)
    temporary.rename(path)
