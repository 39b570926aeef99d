"""LabelMe: a JSON for each image, with polygons, boxes, circles and flags.

An image with a JSON was annotated: what is not marked in it is not there. Ticked flags of the image are tags.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
import posixpath
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from mtal.datasets.annotations.files import (
    check_sizes,
    files_below,
    find_images,
    read_json,
    read_size,
    split_of_folders,
)
from mtal.datasets.annotations.marks import BACKGROUND, AnnotatedImage, Annotations, Mark, names_with
from mtal.datasets.annotations.shapes import Shape, polygons, runs
from mtal.datasets.mask import Size
from mtal.datasets.mask_alpha import transparent
from mtal.progress import track
from mtal.refusals import Refusals

_CIRCLE_POINTS = 360
_BACKGROUND, _IGNORED = "_background_", "__ignore__"  # as LabelMe's own scripts call them


def read(path: Path, root: Path | None) -> Annotations:
    """The images of all JSON files of a folder and its subfolders.

    Args:
        path: the folder.
        root: folder that the images are told from as the files are from ``path``; ``None`` where they lie beside them.

    Raises:
        FileNotFoundError: there are no such files, or an image is missing.
        ValueError: a file is no JSON of LabelMe, or contradicts its image.
    """
    files = files_below(path, (".json",))
    if not files:
        raise FileNotFoundError(f"{path}: no .json files here; give the folder of LabelMe's files as data.path")
    contents = [read_json(file) for file in track(files, "Reading JSON")]
    refusals = Refusals(path)
    for file, content in zip(files, contents, strict=True):
        if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
            refusals.add("JSON files that are not LabelMe's", f"{file.name} has no list 'shapes'")
        elif not isinstance(content.get("imagePath"), str):
            refusals.add("JSON files without 'imagePath'", file.name)
    refusals.tell("remove these files or say what they are by data.format")
    names = []
    for file, content in zip(files, contents, strict=True):
        folder = file.parent.relative_to(path).as_posix()
        name = posixpath.normpath(posixpath.join(folder, content["imagePath"].replace("\\", "/")))
        # files that were moved still name the folder where the image once lay
        names.append(posixpath.join(folder, posixpath.basename(name)) if name.startswith("../") else name)
    base, places = find_images(path, names, [root or path])
    stated = [_stated(file, content, refusals) for file, content in zip(files, contents, strict=True)]
    refusals.tell("correct these files")
    sizes = check_sizes(path, [base / p for p in places], stated)
    images = []
    for file, content, place, size in zip(files, contents, places, sizes, strict=True):
        marks = _marks(file, content, size, refusals)
        images.append(AnnotatedImage(place, str(file), size, marks, split=split_of_folders(place)))
    refusals.tell("correct these files")
    named = dict.fromkeys(mark.names[0] for image in images for mark in image.marks)
    return Annotations(path, base, tuple(images), tuple(n for n in named if n not in (BACKGROUND, _IGNORED)))


def _stated(file: Path, content: dict[str, Any], refusals: Refusals) -> Size | None:
    try:
        return read_size(content.get("imageHeight"), content.get("imageWidth"))
    except ValueError as error:
        refusals.add("sizes of images that cannot be read", f"{file.name}: {error}")
        return None


def _marks(file: Path, content: dict[str, Any], size: Size, refusals: Refusals) -> tuple[Mark, ...]:
    flags = content.get("flags") or {}
    if not isinstance(flags, dict):
        refusals.add("flags that are no mapping from names to true or false", file.name)
        flags = {}
    marks = [Mark((str(flag),), "tag") for flag, ticked in flags.items() if ticked]
    for i, entry in enumerate(content["shapes"]):
        if not isinstance(entry, dict) or not isinstance(entry.get("label"), str):
            refusals.add("shapes without a label", f"{file.name}, shape {i}")
            continue
        try:
            shape = _shape(entry, size)
        except KeyError as error:
            refusals.add("outlines that cannot be drawn", f"{file.name}, shape {i}: {error} is missing")
            continue
        except (ValueError, TypeError, IndexError) as error:
            refusals.add("outlines that cannot be drawn", f"{file.name}, shape {i}: {error}")
            continue
        label = BACKGROUND if entry["label"] == _BACKGROUND else entry["label"]
        marks.append(Mark(names_with(label, entry.get("flags")), "region" if shape else "box", shape))
    return tuple(marks)


def _shape(entry: dict[str, Any], size: Size) -> Shape | None:
    kind, points = entry.get("shape_type") or "polygon", entry["points"]
    if kind == "polygon":
        return polygons([[v for point in points for v in point]], size)
    if kind == "circle":
        (cx, cy), (x, y) = points
        radius = math.hypot(x - cx, y - cy)
        angles = np.linspace(0, 2 * np.pi, _CIRCLE_POINTS, endpoint=False)
        rim = np.stack([cx + radius * np.cos(angles), cy + radius * np.sin(angles)], axis=1)  # [P, 2]
        return polygons([rim.ravel().tolist()], size)
    if kind == "mask":
        return _mask(entry["mask"], points, size)
    return None


def _mask(code: str, points: list[list[float]], size: Size) -> Shape:
    """A small PNG, whose upper left pixel is at the first point."""
    try:
        content = base64.b64decode(code)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"a mask that is no base64 text ({error})") from error
    try:
        with Image.open(io.BytesIO(content)) as image:
            # Pillow warns of a palette with transparency on its way to gray
            inside = np.asarray((image.convert("RGBA") if image.mode == "P" else image).convert("L")) > 0  # [h, w]
            if (hidden := transparent(image, "a mask that")) is not None:
                inside = inside & ~hidden
    except UnidentifiedImageError:
        raise ValueError("a mask that is no PNG") from None
    except Image.DecompressionBombError as error:
        raise ValueError(f"a mask that is too large ({error})") from error
    except (OSError, SyntaxError) as error:
        raise ValueError(f"a mask whose PNG is not whole ({error})") from error
    left, top = (round(v) for v in points[0])
    edges = np.flatnonzero(np.diff(inside.ravel().astype(np.int8), prepend=0)).tolist()
    counts = np.diff([0, *edges, inside.size])
    return runs(counts.tolist(), (top, left, *inside.shape), size, by_rows=True)
