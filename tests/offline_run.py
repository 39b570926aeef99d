"""What an offline file of W&B says."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from pathlib import Path

from mtal.reporting.offline_file import records


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
