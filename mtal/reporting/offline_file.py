"""W&B's offline file, read without W&B, which has no reader to offer: what of a run is in it, to its end or not."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

_BLOCK = 2**15
_HEADER = 7  # bytes of the file's header, and of each part's
_LAST_PARTS = (1, 4)  # the only one, the last of several
_SECONDS = 0.5  # within which W&B's service writes the end after it was told of it


def records(file: Path) -> Iterator[Any]:
    """What the file says, up to where it is cut: LevelDB's log format in blocks of 32 KiB, behind a header.

    Raises:
        ValueError: it is no file of W&B's.
    """
    content, at, record = file.read_bytes(), _HEADER, b""
    if content[:4] != b":W&B":
        raise ValueError(f"{file}: this is no file of W&B's")
    while at + _HEADER <= len(content):
        left = _BLOCK - at % _BLOCK
        if left < _HEADER:  # padding
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        at += _HEADER
        if kind == 0 or at + length > len(content):
            return
        record += content[at : at + length]
        at += length
        if kind in _LAST_PARTS:
            message = wandb_internal_pb2.Record()  # type: ignore[attr-defined]
            message.ParseFromString(record)
            yield message
            record = b""


def has_ended(file: Path, wait_s: float = _SECONDS) -> bool:
    """Whether the file says that the run ended: W&B's service says nothing itself where it could not write."""
    until = time.monotonic() + wait_s
    while not any(record.WhichOneof("record_type") == "exit" for record in records(file)):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def is_logged(run_dir: Path, run_id: str, rounds: Iterable[int], project: str, entity: str | None = None) -> bool:
    """Whether the newest offline file of a run folder has all the ``rounds`` of a run, and its end."""
    newest = (run_dir / "wandb" / "latest-run").resolve()
    file = newest / f"run-{run_id}.wandb"
    if not newest.name.startswith("offline-run-") or not file.is_file():
        return False
    try:
        told = list(records(file))
    except ValueError:
        return False
    kinds = [record.WhichOneof("record_type") for record in told]
    steps = {record.history.step.num for record, kind in zip(told, kinds, strict=True) if kind == "history"}
    runs = [record.run for record, kind in zip(told, kinds, strict=True) if kind == "run"]
    meant = bool(runs) and runs[-1].project == project and entity in (None, runs[-1].entity)
    return meant and "exit" in kinds and steps >= {*rounds}
