"""A request as files that CVAT imports: pictures, labels, and what the model believes as annotations."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import fill
from typing import TextIO
from xml.sax.saxutils import escape, quoteattr
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import numpy.typing as npt
from PIL import Image

from mtal.annotation.about import write_about
from mtal.annotation.cvat_labels import DONE, UNUSABLE, CvatLabels, class_label, done_label, unknown_label
from mtal.annotation.hand_out import why
from mtal.annotation.pictures import picture_names, whole_pictures
from mtal.annotation.request import Request
from mtal.datasets.label_map import LabelMap
from mtal.progress import track

IMAGES, ANNOTATIONS, LABELS, GIVEN_BACK = "images.zip", "annotations.xml", "labels.json", "given_back"
_WIDTH = 100
_TASK = (
    f"Create a task called {{name}}. Paste {LABELS} into the tab Raw of its labels, give {IMAGES} as its files, and "
    "leave the sorting by name (lexicographical)."
)
_GUESSED = (
    f"Upload {ANNOTATIONS} as annotations of the format CVAT 1.1: it shows what the model believes. Correct where it "
    "is wrong."
)
_STATES = (
    f"Give an image the tag {DONE} once all of it is answered, or {done_label('<head>')} for one head alone. An image "
    f"without them is still owed, whatever is marked in it. {unknown_label('<head>')} says that a head cannot be told, "
    f"and {UNUSABLE} that the image is good for nothing; it is then never used."
)
_EXPORT = (
    "Export the annotations of the task as CVAT for images 1.1, without images, and put the file as it is into "
    f"{GIVEN_BACK}. An export may be of a part of the work, and a later one corrects it. COCO 1.0 and Segmentation "
    "mask 1.1 are read as well; they have no tags, so export them when all is done: they answer heads of pixels, in "
    "every image in which they show anything of that head."
)
_SECOND = (
    "A second annotator has a task of their own, whose exports go into a folder with a name, as in "
    f"{GIVEN_BACK}/anna; the majority counts, and nothing where it is tied."
)


def write_task(folder: Path, name: str, request: Request, labels: CvatLabels) -> None:
    """``images.zip``, ``labels.json``, ``annotations.xml``, ``frames.csv``, ``README.txt`` and ``given_back/``.

    Arguments and errors as for :func:`mtal.annotation.hand_out.write_hand_out`, with the labels of its heads.
    """
    maps = [labels.label_maps[task] for task in request.tasks]
    files = picture_names(request.frames)
    sizes: dict[int, tuple[int, int]] = {}
    marks: dict[int, str] = {}
    with ZipFile(folder / IMAGES, "w", ZIP_STORED) as archive:  # PNG is small already
        for row, picture in track(whole_pictures(request.frames), "Writing images", total=len(files)):
            png = io.BytesIO()
            Image.fromarray(picture).save(png, format="PNG")
            archive.writestr(files[row], png.getvalue())
            sizes[row] = picture.shape[:2]
            guess = request.guess(row, sizes[row]) if request.guess is not None else {}
            asked = [m for m, is_asked in zip(maps, request.asked[row], strict=True) if is_asked]
            marks[row] = "".join(line for m in asked if m.task in guess for line in marked(m, guess[m.task]))
    with (folder / ANNOTATIONS).open("w", encoding="utf-8") as file:
        _write_xml(file, name, labels, files, sizes, marks)
    content = json.dumps(labels.for_constructor(), indent=1, ensure_ascii=False)
    (folder / LABELS).write_text(content, encoding="utf-8")
    write_about(folder, name, request, maps, files, sizes)
    why(request, files).to_csv(folder / "frames.csv", index=False)
    (folder / GIVEN_BACK).mkdir()
    (folder / "README.txt").write_text(_readme(name, request, maps), encoding="utf-8")


def marked(label_map: LabelMap, label: npt.NDArray[np.uint8]) -> Iterator[str]:
    """A label as elements of an ``<image>``: a tag or a mask for each class that is there."""
    for number, name in enumerate(label_map.classes):
        there = label == number if label_map.exclusive else label[number] == 1
        called = quoteattr(class_label(label_map.task, name))
        if label_map.support == "frame":
            if there:
                yield f'    <tag label={called} source="auto"></tag>\n'
        elif there.any():
            yield f'    <mask label={called} source="auto" occluded="0" {_runs(there)} z_order="0"></mask>\n'


def _runs(there: npt.NDArray[np.bool_]) -> str:
    """Run lengths along the rows of the smallest window, the first of pixels that do not belong."""
    rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    window = there[top : rows[-1] + 1, left : columns[-1] + 1]
    flat = window.ravel()
    edges = np.flatnonzero(np.diff(flat, prepend=False, append=~flat[-1]))
    counts = np.diff(edges, prepend=0)
    return (
        f'rle="{", ".join(map(str, counts.tolist()))}" left="{left}" top="{top}" width="{window.shape[1]}" '
        f'height="{window.shape[0]}"'
    )


def _write_xml(
    file: TextIO,
    name: str,
    labels: CvatLabels,
    files: list[str],
    sizes: Mapping[int, tuple[int, int]],
    marks: Mapping[int, str],
) -> None:
    """CVAT for images 1.1."""
    file.write(
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta>\n    <task>\n'
    )
    file.write(f"      <name>{escape(name)}</name>\n      <size>{len(files)}</size>\n      <mode>annotation</mode>\n")
    file.write("      <labels>\n")
    for label in labels.for_constructor():
        told = "".join(f"<{key}>{escape(label[key])}</{key}>" for key in ("name", "color", "type"))
        file.write(f"        <label>{told}<attributes></attributes></label>\n")
    file.write("      </labels>\n    </task>\n  </meta>\n")
    for row, image in enumerate(files):
        height, width = sizes[row]
        file.write(f'  <image id="{row}" name={quoteattr(image)} width="{width}" height="{height}">\n')
        file.write(f"{marks[row]}  </image>\n")
    file.write("</annotations>\n")


def _readme(name: str, request: Request, label_maps: list[LabelMap]) -> str:
    """``README.txt``, for somebody who knows CVAT and nothing of the program."""
    count = len(request.frames)
    first = f"{count} frames, in order of choice: if there is no time for all of them, begin with the first."
    if request.held_out:
        first = (
            f"{count} frames, drawn at random, to test on and never to learn from. They tell how good the model is, so "
            "label them with special care."
        )
    steps = [_TASK.format(name=name), _GUESSED if request.guess is not None else ""]
    steps += [_asks(m) for m in label_maps] + [_STATES, _EXPORT, _SECOND]
    what = [f"{number}. {step}" for number, step in enumerate(filter(None, steps), start=1)]
    text = "\n".join(fill(step, _WIDTH, subsequent_indent="   ") for step in what)
    return f"{count} FRAMES TO LABEL\n\n{fill(first, _WIDTH)}\n\nWHAT TO DO\n\n{text}\n"


def _asks(label_map: LabelMap) -> str:
    """What to mark for a head, in words."""
    names = ", ".join(class_label(label_map.task, c) for c in label_map.classes)
    if label_map.support == "pixel":
        rest = (
            "pixels of none count as not annotated, and of two that overlap the upper one counts"
            if label_map.exclusive
            else "they may overlap, and where none is drawn it is not there"
        )
        return f"Draw masks or polygons of {names}; {rest}."
    if label_map.exclusive:
        return f"Give each image one of the tags {names}."
    return f"Give each image those of the tags that are there: {names}."
