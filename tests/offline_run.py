"""What an offline file of W&B says, read without W&B's own reader."""

from __future__ import annotations

import json
import struct
import time
from collections import defaultdict
from pathlib import Path

from wandb.proto import wandb_internal_pb2


def records(path):
    """The records of a ``.wandb`` file: a seven-byte header, then LevelDB's log format in blocks of 32 KiB."""
    content, position, record = path.read_bytes(), 7, b""
    assert content[:4] == b":W&B"
    while position + 7 <= len(content):
        left = 32768 - position % 32768
        if left < 7:  # too short for a header: padding
            position += left
            continue
        _, length, kind = struct.unpack("<IHB", content[position : position + 7])
        if position + 7 + length > len(content):  # still being written
            return
        record += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or last part
            message = wandb_internal_pb2.Record()
            message.ParseFromString(record)
            yield message
            record = b""


def read_whole(path):
    """Records by kind, once the last one is there: W&B's service writes it shortly after ``finish`` returns."""
    for _ in range(600):
        by_kind = defaultdict(list)
        for record in records(path):
            kind = record.WhichOneof("record_type")
            by_kind[kind].append(getattr(record, kind))
        if by_kind["exit"]:
            return by_kind
        time.sleep(0.05)
    raise AssertionError(f"{path} was never closed")


class Written:
    """What the newest offline file of a run says."""

    def __init__(self, run_dir):
        self.folder = max((run_dir / "wandb").glob("offline-run-*"))
        (file,) = self.folder.glob("run-*.wandb")
        self.by_kind = read_whole(file)

    @property
    def history(self):
        rows = {}
        for history in self.by_kind["history"]:
            row = rows[history.step.num] = {}
            for item in history.item:
                *parents, key = list(item.nested_key) or [item.key]
                at = row
                for parent in parents:
                    at = at.setdefault(parent, {})
                at[key] = json.loads(item.value_json)
        return rows

    def table(self, step):
        """The table of one round with its pictures; the copy beside the history has none."""
        artifact = [a for a in self.by_kind["artifact"] if a.type == "run_table"][step]
        (entry,) = (e for e in artifact.manifest.contents if e.path.endswith(".table.json"))
        return json.loads(Path(entry.local_path).read_text())
