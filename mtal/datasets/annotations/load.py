"""Annotation files of any format as a data set: heads made of categories, frames placed, patients told apart."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from pycocotools import mask as coco_mask

from mtal.datasets.annotations import coco, cvat, labelme, masks, voc, yolo
from mtal.datasets.annotations.background import warn_of_background
from mtal.datasets.annotations.categories import with_classes
from mtal.datasets.annotations.head_mask import HeadMask, Overlap
from mtal.datasets.annotations.heads import Head
from mtal.datasets.annotations.marks import AnnotatedImage, Annotations
from mtal.datasets.annotations.rows import rows_of
from mtal.datasets.annotations.shapes import MaskImage
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.threads import in_threads
from mtal.frames.index import frame_id
from mtal.refusals import Refusals
from mtal.suggest import nearest

_READERS = {"coco": coco.read, "cvat": cvat.read, "labelme": labelme.read, "voc": voc.read, "yolo": yolo.read}
FORMATS = (*_READERS, "masks")


def load(
    path: Path | str | Sequence[Path | str],
    format: str,  # noqa: A002
    root: Path | str | None = None,
    heads: Mapping[str, Any] | None = None,
    patients: str = "folder",
    empty: str = "absent",
    overlap: str = "smaller",
    rate_hz: float = 25.0,
    test_patients: Sequence[str] = (),
    val_patients: Sequence[str] = (),
) -> SurgicalDataset:
    """The images of annotation files, for heads made of the categories in them.

    Images of one folder and patient are one recording and have the numbers of their names, as in
    :func:`mtal.datasets.table.load`. Who is held out is what the format says (subsets, folders ``train``, ``valid`` and
    ``test``, lists of images), unless ``test_patients`` or ``val_patients`` say it.

    What an image says of a category that is not marked in it: that it is not there, if the image was annotated. COCO,
    CVAT and LabelMe list the images that were, in VOC they have an XML or a mask, in YOLO a text file (which may be
    empty), and else a mask. Other images in the folders of VOC, YOLO and masks are frames without labels.

    Args:
        path: file or folder of the annotations, or several files.
        format: ``coco``, ``cvat`` (for images 1.1), ``labelme``, ``masks``, ``voc`` or ``yolo``.
        root: folder that the paths of images start from; ``None`` for where the format puts them.
        heads: task → ``{kind: multilabel|exclusive, support: frame|pixel, classes: …, rest: …}``. ``classes`` is
            a list of categories, or a mapping from them to the names of classes; a category may be an attribute
            (``phase/name=dissection``). Of a frame, a class is present if anything of it is marked. Of pixels,
            ``rest`` names the class of those in which nothing is marked; without it they are not annotated, as
            are those of categories that the head does not have, and where the background is much of masks that are
            given, a warning says so unless there is ``rest: null``. A pixel head is not annotated in an image where
            one of its classes has a box or a tag only.
        patients: who is operated on, see :func:`~mtal.datasets.annotations.people.patients_of`.
        empty: what an image with nothing marked says: that all is ``"absent"``, or ``"unknown"`` as where a task
            is half done.
        overlap: which of two regions lies on top: the ``"smaller"`` or the ``"later"``.
        rate_hz: frames per second that numbers of images count.
        test_patients: held out for the test.
        val_patients: held out for validation.

    Raises:
        FileNotFoundError: annotations or images are missing.
        ValueError: they cannot be read, contradict each other, or do not have the classes asked for.
    """
    for name, value, choices in (
        ("format", format, FORMATS),
        ("empty", empty, ("absent", "unknown")),
        ("overlap", overlap, get_args(Overlap)),
    ):
        if value not in choices:
            raise ValueError(f"data.{name}={value!r} is none of {', '.join(choices)}{nearest(str(value), choices)}")
    wanted = [Head.parse(str(task), entry) for task, entry in (heads or {}).items()]
    paths = [Path(path)] if isinstance(path, (str, Path)) else [Path(p) for p in path]
    on_purpose = {str(task) for task, entry in (heads or {}).items() if "rest" in entry}  # as in rest: null
    values = {category for head in wanted for category in head.classes or ()}
    folder = None if root is None else Path(root)
    found = _joined(
        [masks.read(p, folder, values) if format == "masks" else _READERS[format](p, folder) for p in paths]
    )
    if empty == "unknown":
        images = (replace(i, annotated=i.annotated and bool(i.marks or i.mask)) for i in found.images)
        found = replace(found, images=tuple(images))
    wanted = with_classes(wanted, found)
    rows = rows_of(found, patients, rate_hz, test_patients, val_patients)
    for head in wanted:
        if head.task not in on_purpose:
            warn_of_background(head, found)
        for row, label in zip(rows, _labels(head, found, overlap), strict=True):
            row[head.task] = label
    sizes = {frame_id(row["video"], row["frame"]): image.size for row, image in zip(rows, found.images, strict=True)}
    return SurgicalDataset.from_rows(found.source.stem, rows, tuple(head.label_map() for head in wanted), sizes)


def _joined(parts: Sequence[Annotations]) -> Annotations:
    """Annotations of several files as one."""
    if len(parts) == 1:
        return parts[0]
    base = Path(os.path.commonpath([part.base.absolute() for part in parts]))
    refusals = Refusals(parts[0].source)
    images: dict[str, AnnotatedImage] = {}
    for part in parts:
        for image in part.images:
            file = (part.base.absolute() / image.file).relative_to(base).as_posix()
            if file in images:
                refusals.add("images that another file lists too", f"{file} in {part.source}")
            images[file] = replace(image, file=file)
    refusals.tell("give one of these files as data.path")
    categories = dict.fromkeys(c for part in parts for c in part.categories)
    return Annotations(parts[0].source, base, tuple(images.values()), tuple(categories))


def _labels(head: Head, found: Annotations, overlap: Any) -> list[Any]:
    """Label of each image, as :class:`~mtal.datasets.label_table.LabelTable` takes them."""
    if head.support == "pixel":
        lacking = sum(head.lacks_outlines(image) for image in found.images if image.annotated)
        if lacking:
            warnings.warn(
                f"{found.source}: {lacking} images have classes of {head.task} without an outline; their pixels count "
                "as not annotated",
                stacklevel=3,
            )
        return [HeadMask.of(head, image, overlap) for image in found.images]
    refusals = Refusals(found.source)
    labels: list[Any] = []
    for image, present in zip(found.images, _present(found.images), strict=True):
        try:
            labels.append(head.tags(image, present))
        except ValueError as error:
            refusals.add(f"images with several classes of {head.task}, which excludes that", str(error))
    refusals.tell(f"let them have one, or set data.heads.{head.task}.kind=multilabel")
    return labels


def _present(images: Sequence[AnnotatedImage]) -> list[frozenset[str]]:
    """What is marked in each image; mask images are read for it."""

    def present(image: AnnotatedImage) -> frozenset[str]:
        names = set()
        for mark in image.marks:
            if not isinstance(mark.shape, MaskImage) or coco_mask.area(mark.shape.rle(image.size)):
                names |= set(mark.names)
        if image.mask is not None:
            categories, pixels = image.mask.read(image.size, "frame")
            names |= {name for k, name in enumerate(categories) if (pixels == k).any()}
        return frozenset(names)

    return in_threads(present, images, "Reading marks")
