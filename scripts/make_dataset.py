"""Draw the synthetic surgery: ``python scripts/make_dataset.py --root data/synthetic --contact-sheet DIR``."""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from mtal.datasets import SurgicalDataset, synthetic
from mtal.datasets.cholec80 import PHASE_NAMES, read_phases
from mtal.datasets.surgery import ORGANS, TOOLS
from mtal.frames.reader import open_reader

COLUMNS, ROWS, THUMBNAIL = 8, 5, 128


def parse_arguments() -> argparse.Namespace:
    default = {name: p.default for name, p in inspect.signature(synthetic.load).parameters.items()}
    parser = argparse.ArgumentParser(description="Draw the synthetic surgery, or show the one that is there.")
    parser.add_argument("--root", type=Path, default=Path("data/synthetic"), help="folder of the set")
    for name, kind, text in (
        ("patients", int, "number of patients, one video each"),
        ("test_patients", int, "how many of them are held out"),
        ("seconds", float, "length of each video"),
        ("fps", int, "frames per second of the videos"),
        ("size", int, "edge of the square picture in pixels"),
        ("difficulty", float, "0 to 1: how much patients differ, and how noisy, smoky and blurred pictures are"),
        ("seed", int, "of all randomness"),
        ("rate_hz", float, "frames per second that the table below counts"),
    ):
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, type=kind, default=default[name], help=f"{text} (default {default[name]})")
    parser.add_argument(
        "--contact-sheet", type=Path, metavar="DIR", help="write a picture of frames of each phase here"
    )
    parser.add_argument("--workers", type=int, default=None, help="processes (default: one per processor)")
    return parser.parse_args()


def prevalence(dataset: SurgicalDataset) -> Table:
    """Percent of frames with each tool, with blood, and percent of pixels of each organ, by patient and split."""
    table = Table(title="prevalence in percent", caption="organs: share of the pixels, tools and blood left out")
    for heading in ("", "frames", *TOOLS, "bleeding", *ORGANS):
        table.add_column(heading, justify="right" if heading else "left", overflow="fold")
    rows = dataset.index.table
    size = next(iter(dataset.labels.frame_sizes.values()))
    for split, of_split in rows.groupby("split", sort=True):
        for name, some in [*of_split.groupby("patient", sort=True), (str(split), of_split)]:
            ids = some["frame_id"].tolist()
            tags = np.hstack([dataset.labels.targets(task, ids) for task in ("tools", "bleeding")])  # [N, 8]
            pixels = np.bincount(dataset.labels.targets("anatomy", ids, size).ravel(), minlength=256)[: len(ORGANS)]
            shares = [*(100 * tags.mean(axis=0)), *(100 * pixels / max(pixels.sum(), 1))]
            whole = name == split
            table.add_row(str(name), str(len(ids)), *(f"{x:.1f}" for x in shares), style="bold" if whole else "")
        table.add_section()
    return table


def write_contact_sheets(dataset: SurgicalDataset, root: Path, folder: Path) -> None:
    """One PNG for each phase: frames of all patients at thumbnail size, evenly from all that were sampled."""
    folder.mkdir(parents=True, exist_ok=True)
    table = dataset.index.table
    phases = {v: read_phases(root / "cholec80/phase_annotations" / f"{v}-phase.txt") for v in table["video"].unique()}
    phase = np.array([phases[v][f] for v, f in zip(table["video"], table["frame"], strict=True)])
    for number, name in enumerate(PHASE_NAMES):
        there = np.flatnonzero(phase == number)
        if not len(there):
            continue
        rows = table.iloc[there[np.unique(np.linspace(0, len(there) - 1, COLUMNS * ROWS).round().astype(int))]]
        thumbnails = []
        for source, frames in rows.groupby("source", sort=False)["frame"]:
            with open_reader(source) as reader:
                pictures = reader.read(frames.tolist())  # [F, H, W, 3]
            thumbnails += [cv2.resize(p, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA) for p in pictures]
        sheet = np.zeros((ROWS, COLUMNS, THUMBNAIL, THUMBNAIL, 3), np.uint8)
        sheet.reshape(-1, THUMBNAIL, THUMBNAIL, 3)[: len(thumbnails)] = thumbnails
        picture = sheet.transpose(0, 2, 1, 3, 4).reshape(ROWS * THUMBNAIL, COLUMNS * THUMBNAIL, 3)
        cv2.imwrite(str(folder / f"{number}_{name}.png"), picture[..., ::-1])


def main() -> None:
    arguments = vars(parse_arguments())
    sheets = arguments.pop("contact_sheet")
    try:
        dataset = synthetic.load(**arguments)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    root = arguments["root"].resolve()
    console = Console()
    # A terminal sets the width; a file has none, and the table must not be cut there.
    console = console if console.is_terminal else Console(width=220)
    if sheets is not None:
        write_contact_sheets(dataset, root, sheets)
    megabytes = sum(p.stat().st_size for p in root.rglob("*") if p.is_file()) / 1e6
    console.print(prevalence(dataset))
    console.print(f"{root}: {arguments['patients']} videos, {len(dataset.index)} frames sampled, {megabytes:.0f} MB")


if __name__ == "__main__":
    main()
