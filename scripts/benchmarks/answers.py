"""Taking in a hundred new answers of people where many are there already."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pandas as pd
from benchmarks.clocks import Clock
from PIL import Image
from rich.table import Table

from mtal.annotation import FolderOracle
from mtal.annotation.about import described
from mtal.datasets.table import load

NEW = 100


def compare(by_both_clocks: Clock, sizes: list[int], repeats: int) -> Table:
    """Seconds for each number of frames that were asked for."""
    table = Table(
        "frames asked for", "seconds of the processor", "on the clock", title=f"oracle=folder: {NEW} new answers"
    )
    for frames in sizes:
        with tempfile.TemporaryDirectory() as folder:
            turns = _Desk(Path(folder), frames)
            seconds = by_both_clocks({"collect": turns.collect}, repeats)["collect"]
        table.add_row(f"{frames:,}", f"{seconds.processor:.2f}", f"{seconds.wall:.2f}")
    return table


class _Desk:
    """A folder with a row per frame, all of them answered, of which some change their mind at each turn."""

    def __init__(self, root: Path, frames: int) -> None:
        Image.new("RGB", (64, 48)).save(root / "a.png")
        pd.DataFrame({"patient": ["p"], "image": ["a.png"], "split": ["pool"], "tool_hook": [1]}).to_csv(
            root / "frames.csv", index=False
        )
        self.dataset, self.root = load(root / "frames.csv"), root / "desk"
        (tools,) = self.dataset.label_maps
        images = [f"images/{k:06d}.png" for k in range(frames)]
        asked = [
            {"image": i, "frame_id": f"v/{k:06d}", "size": [48, 64], "asked": ["tools"]} for k, i in enumerate(images)
        ]
        self.folder = self.root / "00_x"
        self.folder.mkdir(parents=True)
        about = {"id": "00_x", "tasks": {"tools": described(tools)}, "frames": asked}
        (self.folder / "request.json").write_text(json.dumps(about))
        self.table = pd.DataFrame({"image": images, "label/tools": "hook", "unusable": "", "seconds": "9"})
        self._write()
        FolderOracle(self.dataset, self.root).collect()

    def _write(self) -> None:
        self.table.to_csv(self.folder / "frames.csv", index=False)

    def collect(self) -> None:
        """Writing the table is what the annotator does, and costs as much at each size as its rows."""
        new = self.table.index[-NEW:]
        self.table.loc[new, "label/tools"] = "none" if self.table["label/tools"].iloc[-1] == "hook" else "hook"
        self._write()
        FolderOracle(self.dataset, self.root).collect()
