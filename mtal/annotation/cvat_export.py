"""What CVAT exported, image by image: CVAT for images 1.1, COCO 1.0 or Segmentation mask 1.1."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element
from zipfile import ZipInfo

import numpy as np

from mtal.annotation.cvat_entry import Entry
from mtal.annotation.cvat_labels import CvatLabels
from mtal.annotation.unpacked import unpack
from mtal.datasets.annotations import coco, cvat
from mtal.datasets.annotations.labelmap import read_labelmap
from mtal.datasets.annotations.marks import BACKGROUND, AnnotatedImage, ClassMask
from mtal.datasets.mask import Size
from mtal.frames.picture import picture_size
from mtal.refusals import Refusals

SUFFIXES = (".zip", ".xml", ".json")
_FORMATS = "CVAT for images 1.1, COCO 1.0 or Segmentation mask 1.1"
_MASKS = "SegmentationClass"
Drawing = Callable[[Size, Collection[str]], AnnotatedImage]
_AGAIN = "mend it in CVAT and export again"


def entries(path: Path, scratch: Path, labels: CvatLabels, refusals: Refusals) -> Iterator[Entry]:
    """The images of an export.

    Args:
        path: a zip as CVAT makes it, or the XML or JSON of one.
        scratch: an empty folder to unpack into.
        labels: of the task.
        refusals: gathers what is wrong.
    """
    files = [path]
    if path.suffix.lower() == ".zip":
        files = []
        with refusals:
            files = _unpacked(path, scratch)
    for file in files:
        called = str(path) if file == path else f"{path}, {file.relative_to(scratch)}"
        with refusals, _called(file, called):
            if file.suffix.lower() == ".xml":
                yield from _of_cvat(file, called)
            elif file.suffix.lower() == ".json":
                yield from _of_coco(file, called, refusals)
            else:
                yield from _of_masks(file, called, labels, refusals)


@contextmanager
def _called(file: Path, called: str) -> Iterator[None]:
    """Errors that tell of a file by what people call it, rather than by where it was unpacked."""
    try:
        yield
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(str(error).replace(str(file), called)) from error


def _unpacked(path: Path, scratch: Path) -> list[Path]:
    """Unpack what is read of a zip; its files of annotations.

    Raises:
        ValueError: see :func:`~mtal.annotation.unpacked.unpack`; or there is nothing to read.
    """
    unpack(path, scratch, _is_read)
    found = [f for f in sorted(scratch.rglob("*")) if f.suffix in (".xml", ".json") or f.name == "labelmap.txt"]
    if not found:
        raise ValueError(f"{path}: there are no annotations in it that are read; export the task as {_FORMATS}")
    return found


def _is_read(member: ZipInfo) -> bool:
    place = PurePosixPath(member.filename.replace("\\", "/"))
    return place.suffix in (".xml", ".json") or place.name == "labelmap.txt" or _MASKS in place.parts


def _of_cvat(file: Path, called: str) -> Iterator[Entry]:
    for element in cvat.read_document(file).iterfind("image"):
        name = element.get("name", "")
        content: dict[str, list[str]] = defaultdict(list)
        for mark in element:
            if mark.get("label"):
                content[mark.get("label", "")].append(repr((mark.tag, sorted(mark.attrib.items()))))
        where = f"{called}, image {name!r}"
        yield Entry(name, where, cvat.stated_size(element), content, True, _drawing_cvat(element, where))


def _drawing_cvat(element: Element, where: str) -> Drawing:
    def draw(size: Size, labels: Collection[str]) -> AnnotatedImage:
        faults = Refusals(Path(where))
        some = Element(element.tag, element.attrib)
        some.extend(mark for mark in element if mark.get("label") in labels)
        marks = cvat.marks_of(some, size, (), faults)
        faults.tell(_AGAIN)
        return AnnotatedImage(element.get("name", ""), where, size, marks)

    return draw


def _of_coco(file: Path, called: str, refusals: Refusals) -> Iterator[Entry]:
    content = coco.read_content(file)
    faults = Refusals(Path(called))
    images, categories = coco.images_and_categories(content, faults)
    of_image: dict[Any, list[Any]] = defaultdict(list)
    for number, annotation in enumerate(content["annotations"]):
        image, category = (annotation.get(key) for key in ("image_id", "category_id"))
        if not (coco.is_listed(image, images) and coco.is_listed(category, categories)):
            faults.add("annotations of no image or category that is listed", f"annotation {number}")
        else:
            of_image[image].append(annotation)
    with refusals:
        faults.tell(_AGAIN)
    for key, image in images.items():
        marked: dict[str, list[str]] = defaultdict(list)
        for annotation in of_image[key]:
            told_again = {k: v for k, v in annotation.items() if k not in ("id", "image_id")}
            marked[categories[annotation["category_id"]]].append(json.dumps(told_again, sort_keys=True))
        where = f"{called}, image {image['file_name']!r}"
        draw = _drawing_coco(key, image["file_name"], of_image[key], categories, where)
        yield Entry(image["file_name"], where, coco.stated_size(image), marked, False, draw)


def _drawing_coco(key: Any, name: str, annotations: list[Any], categories: dict[Any, str], where: str) -> Drawing:
    def draw(size: Size, labels: Collection[str]) -> AnnotatedImage:
        faults = Refusals(Path(where))
        some = [a for a in annotations if categories[a["category_id"]] in labels]
        marks = coco.marks_of(some, categories, {key: size}, faults)[key]
        faults.tell(_AGAIN)
        return AnnotatedImage(name, where, size, tuple(marks))

    return draw


def _of_masks(labelmap: Path, called: str, labels: CvatLabels, refusals: Refusals) -> Iterator[Entry]:
    """Masks of one label per pixel, which can tell of one head of pixels alone."""
    heads = [m for m in labels.label_maps.values() if m.support == "pixel"]
    if len(heads) != 1 or not heads[0].exclusive:
        heads_told = " and ".join(m.task for m in heads)
        why = f"tell what of {heads_told} lies below another" if heads else "tell tags"
        raise ValueError(f"{called}: masks of one label per pixel cannot {why}; export the task as CVAT for images 1.1")
    names = read_labelmap(labelmap.parent)
    folder = labelmap.parent / _MASKS
    for file in sorted(folder.rglob("*.png")):
        where = f"{called.removesuffix(labelmap.name)}{file.relative_to(labelmap.parent)}"
        with refusals:
            yield _of_mask(file, where, ClassMask(file, names))


def _of_mask(file: Path, where: str, mask: ClassMask) -> Entry:
    with _called(file, where):
        size = picture_size(file)
        known, pixels = mask.read(size, "masks")
    shown = [known[k] for k in np.unique(pixels).tolist() if k < len(known) and known[k] != BACKGROUND]
    digest = hashlib.blake2b(repr(known).encode() + pixels.tobytes(), digest_size=16).hexdigest()

    def draw(of: Size, _: Collection[str]) -> AnnotatedImage:
        return AnnotatedImage(file.name, where, of, mask=mask)

    return Entry(file.name, where, size, {name: [digest] for name in shown}, False, draw)
