"""CVAT for images 1.1: tags, boxes, polygons, ellipses and masks with attributes, in one XML.

An image that is listed was annotated: what is not marked in it is not there. Of two regions the one of the higher
``z_order`` lies on top.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from mtal.datasets.annotations.files import check_sizes, find_images, holds_any, read_xml, split_of
from mtal.datasets.annotations.marks import AnnotatedImage, Annotations, Kind, Mark, names_with
from mtal.datasets.annotations.shapes import Shape, polygons, runs
from mtal.datasets.mask import Size
from mtal.refusals import Refusals

_KINDS: dict[str, Kind] = {
    "tag": "tag",
    **dict.fromkeys(("polygon", "mask", "ellipse"), "region"),
    **dict.fromkeys(("box", "polyline", "points", "cuboid", "skeleton"), "box"),
}
_ELLIPSE_POINTS = 360


def read(path: Path, root: Path | None) -> Annotations:
    """The images that a file lists.

    Args:
        path: ``annotations.xml``.
        root: folder that the names of images start from; ``None`` to look beside the file and in ``images``.

    Raises:
        FileNotFoundError: the file or an image is missing.
        ValueError: the file is of another format, or contradicts itself or its images.
    """
    document = read_document(path)
    entries = document.findall("image")
    labels = tuple(dict.fromkeys(e.text or "" for e in document.iterfind("meta//labels/label/name")))
    refusals = Refusals(path)
    seen: set[tuple[str, str]] = set()
    for entry in entries:
        key = (entry.get("name", ""), entry.get("subset", ""))
        if key in seen:
            refusals.add("images listed twice", repr(key[0]))
        seen.add(key)
    refusals.tell("correct the file")
    folders = [root] if root else [path.parent, path.parent / "images"]
    names = [e.get("name", "") for e in entries]
    if not holds_any(folders, names):  # an export of a project has a folder for each subset
        names = [f"{e.get('subset', 'default')}/{e.get('name', '')}" for e in entries]
    base, files = find_images(path, names, folders)
    sizes = check_sizes(path, [base / f for f in files], [stated_size(e) for e in entries])
    images = []
    for entry, file, size in zip(entries, files, sizes, strict=True):
        marks = marks_of(entry, size, labels, refusals)
        images.append(AnnotatedImage(file, f"{path}, {file}", size, marks, split=split_of(entry.get("subset", ""))))
    refusals.tell("correct the file")
    return Annotations(path, base, tuple(images), labels)


def read_document(path: Path) -> Element:
    """The root of a file, which has images.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the file is of another format.
    """
    document = read_xml(path)
    if document.tag != "annotations":
        raise ValueError(
            f"{path}: this is no file of CVAT (its root is <{document.tag}>); say what it is by data.format"
        )
    if document.find("track") is not None:
        raise ValueError(f"{path}: this is 'CVAT for video 1.1'; export the task as 'CVAT for images 1.1'")
    if document.find("image") is None:
        raise ValueError(f"{path}: no <image> in this file; export the task as 'CVAT for images 1.1'")
    return document


def stated_size(entry: Element) -> Size | None:
    """(H, W) that an ``<image>`` states."""
    height, width = entry.get("height", ""), entry.get("width", "")
    return (int(height), int(width)) if height.isdecimal() and width.isdecimal() else None


def marks_of(entry: Element, size: Size, labels: Collection[str], refusals: Refusals) -> tuple[Mark, ...]:
    """What is marked in an ``<image>``.

    Args:
        entry: the element.
        size: of the image.
        labels: those that there are; any where there are none.
        refusals: gets the faults.
    """
    marks = []
    for element in entry:
        if element.tag not in _KINDS:
            continue
        label, called = element.get("label", ""), f"<{element.tag}> in {entry.get('name')}"
        if not label or (labels and label not in labels):
            refusals.add("annotations of labels that the task does not list", f"{label!r}, {called}")
            continue
        kind = _KINDS[element.tag]
        try:
            shape = _shape(element, size) if kind == "region" else None
            level = int(element.get("z_order", "0"))
        except KeyError as error:
            refusals.add("outlines that cannot be drawn", f"{called}: {error} is missing")
            continue
        except ValueError as error:
            refusals.add("outlines that cannot be drawn", f"{called}: {error}")
            continue
        attributes = {a.get("name", ""): a.text or "" for a in element.iterfind("attribute")}
        kind = "box" if kind == "region" and shape is None else kind
        marks.append(Mark(names_with(label, attributes), kind, shape, level))
    return tuple(marks)


def _shape(element: Element, size: Size) -> Shape | None:
    at = element.attrib
    if element.tag == "polygon":
        return polygons([[float(v) for point in at["points"].split(";") for v in point.split(",")]], size)
    if element.tag == "ellipse":
        cx, cy, rx, ry = (float(at[k]) for k in ("cx", "cy", "rx", "ry"))
        turn = math.radians(float(at.get("rotation", "0")))
        angles = np.linspace(0, 2 * np.pi, _ELLIPSE_POINTS, endpoint=False)
        x, y = rx * np.cos(angles), ry * np.sin(angles)  # [P]
        points = np.stack(
            [cx + x * np.cos(turn) - y * np.sin(turn), cy + x * np.sin(turn) + y * np.cos(turn)], axis=1
        )  # [P, 2]
        return polygons([points.ravel().tolist()], size)
    counts = [int(v) for v in at["rle"].split(",")]
    top, left, height, width = (int(at[k]) for k in ("top", "left", "height", "width"))
    return runs(counts, (top, left, height, width), size, by_rows=True)
