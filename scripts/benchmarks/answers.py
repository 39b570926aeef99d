"""Taking in a hundred new answers of people where many are there already."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.clocks import Clock
from PIL import Image
from rich.table import Table

from mtal.annotation import FolderOracle
from mtal.annotation.about import described
from mtal.datasets.table import load

NEW = 100
SIZE = (480, 854)


def compare(by_both_clocks: Clock, sizes: list[int], masks: list[int], repeats: int) -> Table:
    """Seconds for each number of frames that were asked for: for tags, and for striped masks as large as videos are."""
    table = Table(
        "frames asked for", "seconds of the processor", "on the clock", title=f"oracle=folder: {NEW} new answers"
    )
    for kind, frames in [*((_Desk, n) for n in sizes), *((_MaskDesk, n) for n in masks)]:
        with tempfile.TemporaryDirectory() as folder:
            turns = kind(Path(folder), frames)
            seconds = by_both_clocks({"collect": turns.collect}, repeats)["collect"]
        table.add_row(f"{frames:,} ({kind.what})", f"{seconds.processor:.2f}", f"{seconds.wall:.2f}")
    return table


class _Desk:
    """A folder with a row per frame, all of them answered, of which some change their mind at each turn."""

    what = "tags"
    task, column, said = "tools", "tool_hook", "hook"

    def __init__(self, root: Path, frames: int) -> None:
        Image.new("RGB", SIZE[::-1]).save(root / "a.png")
        (root / "masks").mkdir()
        Image.new("L", SIZE[::-1]).save(root / "masks/mask.png")
        known = {
            "patient": ["p"],
            "image": ["a.png"],
            "split": ["pool"],
            self.column: ["masks/mask.png" if self.column == "mask" else 1],
        }
        pd.DataFrame(known).to_csv(root / "frames.csv", index=False)
        classes = {0: "wall", 1: "liver", 2: "fat"} if self.column == "mask" else None
        self.dataset, self.root = load(root / "frames.csv", mask_classes=classes), root / "desk"
        (label_map,) = self.dataset.label_maps
        self.images = [f"images/{k:06d}.png" for k in range(frames)]
        asked = [
            {"image": i, "frame_id": f"v/{k:06d}", "size": SIZE, "asked": [self.task]}
            for k, i in enumerate(self.images)
        ]
        self.folder = self.root / "00_x"
        self.folder.mkdir(parents=True)
        about = {"id": "00_x", "tasks": {self.task: described(label_map)}, "frames": asked}
        (self.folder / "request.json").write_text(json.dumps(about))
        self.table = pd.DataFrame(
            {"image": self.images, f"label/{self.task}": self.said, "unusable": "", "seconds": "9"}
        )
        self._write()
        self._annotate(self.images)
        FolderOracle(self.dataset, self.root).collect()

    def _annotate(self, images: list[str]) -> None:
        """What is not in the table."""

    def _write(self) -> None:
        self.table.to_csv(self.folder / "frames.csv", index=False)

    def collect(self) -> None:
        """Writing the table is what the annotator does, and costs as much at each size as its rows."""
        new = self.table.index[-NEW:]
        self.table.loc[new, "label/tools"] = "none" if self.table["label/tools"].iloc[-1] == "hook" else "hook"
        self._write()
        FolderOracle(self.dataset, self.root).collect()


class _MaskDesk(_Desk):
    """The same with a mask for each frame."""

    what = f"striped masks of {SIZE[1]} x {SIZE[0]}"
    task, column, said = "anatomy", "mask", "done"

    def _annotate(self, images: list[str]) -> None:
        self._paint(self.folder / "masks" / self.task, images, 0)
        self._paint(self.folder.parent / "elsewhere", images[-NEW:], 1)

    @staticmethod
    def _paint(folder: Path, images: list[str], shift: int) -> None:
        folder.mkdir(parents=True)
        rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
        for k, image in enumerate(images):
            striped = (columns + rows * (k % 7) + shift) // (1 + k % 13) % 3
            Image.fromarray(striped.astype(np.uint8)).save(folder / Path(image).name, compress_level=1)

    def collect(self) -> None:
        """The annotator puts masks that were painted meanwhile in the place of others, which costs nothing."""
        mine, other, aside = self.folder / "masks" / self.task, self.folder.parent / "elsewhere", self.root / "aside"
        for image in self.images[-NEW:]:
            name = Path(image).name
            (mine / name).rename(aside)
            (other / name).rename(mine / name)
            aside.rename(other / name)
        FolderOracle(self.dataset, self.root).collect()
