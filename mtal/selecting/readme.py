"""``README.txt``: what is in the folder and what to do with it, for somebody who knows nothing of the program."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill
from typing import Any

from mtal.annotation import form
from mtal.annotation.mask_files import mask_folders
from mtal.selecting.selection import Selection

_WIDTH = 100


def readme(selection: Selection, about: Mapping[str, Any]) -> str:
    """The text.

    Args:
        selection: the picks.
        about: ``selection.json``.
    """
    count, videos = len(selection.table), selection.table["video"].nunique()
    order = "in order of choice"
    if selection.table["utility"].notna().any():
        order = "put in order by a trained model: those it expects to learn most from come first"
    first = (
        f"{count} frames from {videos} of {len(about['videos'])} videos, {order}. If there is no time for all of them, "
        "label from the first one on and stop anywhere."
    )
    files = _files(selection)
    wide = max(map(len, files)) + 2
    sections = {
        f"{count} FRAMES TO LABEL": fill(first, _WIDTH),
        "WHAT IS HERE": "\n".join(f"{name:<{wide}}{what}" for name, what in files.items()),
        "WHAT TO DO": "\n".join(_steps(selection)),
        **form.masks([t.label_map for t in selection.pixel_tasks], _WIDTH),
    }
    if about["dropped"]:
        told = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in about["dropped"].items())
        sections["LEFT OUT AS NOT WORTH A LABEL"] = told
    if about["quarantined"]:
        sections["VIDEOS THAT COULD NOT BE READ"] = "\n".join(bad["reason"] for bad in about["quarantined"])
    return "\n\n".join(f"{title}\n\n{text}" for title, text in sections.items()) + "\n"


def _files(selection: Selection) -> dict[str, str]:
    masks = {
        f"{folder}/": f"the model's guess at {' '.join(column.split('/')[1:])}, named as the images"
        for task in selection.pixel_tasks
        for column, folder in mask_folders(task.label_map).items()
    }
    return {
        "overview.html": "look at this first: each frame with its time, the guess, and why it was chosen",
        "images/": "the frames at full size, 001_… first",
        **masks,
        "label_map.json": "what the gray values in the masks mean",
        "frames.csv": "one row per frame to fill in: image, answers, video, time, reason, scores, guesses",
        "selection.json": "how the frames were chosen, for the program, as is request.json",
    }


def _steps(selection: Selection) -> list[str]:
    steps = ["Open overview.html in a browser and frames.csv in a spreadsheet. Then, for every image from 001 on:"]
    for task in selection.tasks:
        what = f"- {form.column(task.name)}: {form.asks(task.label_map)}"
        steps.append(fill(what, _WIDTH, subsequent_indent="  "))
    return [
        *steps,
        fill(form.CELLS, _WIDTH),
        "The guesses are often wrong, most of all in these frames: trust your eyes.",
    ]
