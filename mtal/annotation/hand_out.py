"""A request as a folder that can be filled in with any tool."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from mtal.annotation import form
from mtal.annotation.about import write_about
from mtal.annotation.mask_files import grays, write_masks
from mtal.annotation.pictures import picture_names, whole_pictures
from mtal.annotation.reason import reason
from mtal.annotation.request import Request
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.frames.frame_files import frame_files
from mtal.progress import track

_WIDTH = 100
_SHOWN = re.compile(r"(score|percentile)/|(utility|reason)$")  # what would tell annotators of a test what to see


def write_hand_out(folder: Path, name: str, request: Request, label_maps: Mapping[str, LabelMap]) -> None:
    """``frames.csv``, ``images/``, ``masks/``, ``label_map.json``, ``README.txt`` and, for programs, ``request.json``.

    Args:
        folder: which is there and empty.
        name: that the folder will have.
        request: what is asked for.
        label_maps: of its heads.

    Raises:
        FileNotFoundError: a recording is gone.
        ValueError: a frame cannot be read.
    """
    maps = [label_maps[task] for task in request.tasks]
    files = picture_names(request.frames)
    sizes: dict[int, tuple[int, int]] = {}
    masks: dict[int, dict[str, str]] = {}
    (folder / "images").mkdir()
    for row, picture in track(whole_pictures(request.frames), "Writing images and masks", total=len(files)):
        Image.fromarray(picture).save(folder / "images" / files[row])
        sizes[row] = picture.shape[:2]
        masks[row] = {}
        guess = request.guess(row, sizes[row]) if request.guess is not None else {}
        for label_map, asked in zip(maps, request.asked[row], strict=True):
            if asked and label_map.support == "pixel":
                mask = guess.get(label_map.task, _blank(label_map, sizes[row]))
                masks[row][label_map.task] = write_masks(folder, files[row], label_map, mask)
    meanings = json.dumps({m.task: grays(m) for m in maps if m.support == "pixel"}, indent=1, ensure_ascii=False)
    (folder / "label_map.json").write_text(meanings, encoding="utf-8")
    write_about(folder, name, request, maps, [f"images/{file}" for file in files], sizes, masks)
    table(request, maps, files).to_csv(folder / form.TABLE, index=False)
    (folder / "README.txt").write_text(_readme(name, request, maps), encoding="utf-8")


def table(request: Request, label_maps: list[LabelMap], files: list[str]) -> pd.DataFrame:
    """``frames.csv``: what is to be filled in stands first."""
    about = why(request, [f"images/{file}" for file in files])
    columns: dict[str, Any] = {"image": about.pop("image")}
    for t, label_map in enumerate(label_maps):
        columns[form.column(label_map.task)] = np.where(request.asked[:, t], "", form.NOT_ASKED)
    return pd.DataFrame({**columns, form.UNUSABLE: "", form.SECONDS: ""}).join(about)


def why(request: Request, images: list[str]) -> pd.DataFrame:
    """``image, video, patient, frame, time_s, file``, why each was chosen, and scores where annotators may see them."""
    frames = request.frames.reset_index(drop=True)
    columns: dict[str, Any] = {"image": images} | {c: frames[c] for c in ("video", "patient", "frame")}
    columns |= {"time_s": frames["time_s"].round(6), "file": frame_files(frames)}
    if "reason_because" in frames:
        columns["reason"] = [reason(row) for row in frames.to_dict("records")]
    shown = [str(c) for c in frames if _SHOWN.match(str(c)) and not request.held_out]
    return pd.DataFrame(columns).join(frames[shown])


def _blank(label_map: LabelMap, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """A mask in which nothing is annotated."""
    layers = () if label_map.exclusive else (len(label_map.classes),)
    return np.full((*layers, *size), IGNORE, dtype=np.uint8)


def _readme(name: str, request: Request, label_maps: list[LabelMap]) -> str:
    """``README.txt``, for somebody who knows nothing of the program."""
    first = "in order of choice: if there is no time for all of them, begin with the first."
    if request.held_out:
        first = (
            "drawn at random, to test on and never to learn from. They tell how good the model is, so label them with "
            "special care, and without looking at what a model says."
        )
    steps = [
        "Open frames.csv in a spreadsheet. For every image answer each column that begins with label/:",
        *(fill(f"- {form.column(m.task)}: {form.asks(m)}", _WIDTH, subsequent_indent="  ") for m in label_maps),
        fill(form.CELLS, _WIDTH),
        fill(
            "Heads may be answered in any order, and an answer may be corrected later. A second annotator works in a "
            "copy of this folder beside it, whose name has a dot and a name at its end, as in "
            f"{name}.anna; the majority counts, and nothing where it is tied.",
            _WIDTH,
        ),
    ]
    sections = {
        f"{len(request.frames)} FRAMES TO LABEL": fill(f"{len(request.frames)} frames, {first}", _WIDTH),
        "WHAT TO DO": "\n".join(steps),
        **form.masks([m for m in label_maps if m.support == "pixel"], _WIDTH),
    }
    return "\n\n".join(f"{title}\n\n{text}" for title, text in sections.items()) + "\n"
