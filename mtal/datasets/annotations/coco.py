"""COCO JSON: categories with boxes, polygons or run lengths; tags and attributes where there are some.

An image that is listed was annotated: what is not marked in it is not there. Crowds (``iscrowd``) count like any region
of their category. Attributes are those that CVAT writes (``attributes``), tags of images those of FiftyOne (``tags``).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtal.datasets.annotations.files import SPLITS, check_sizes, find_images, read_json, read_size, split_of
from mtal.datasets.annotations.marks import AnnotatedImage, Annotations, Kind, Mark, names_with
from mtal.datasets.annotations.shapes import Shape, counts_of, polygons, runs, told
from mtal.datasets.mask import Size
from mtal.refusals import Refusals


def read(path: Path, root: Path | None) -> Annotations:
    """The images that a file lists.

    Args:
        path: a ``.json`` file.
        root: folder that the names of images start from; ``None`` to look beside the file, and where COCO, CVAT and
            Roboflow put images.

    Raises:
        FileNotFoundError: the file or an image is missing.
        ValueError: the file is no COCO JSON, or contradicts itself or its images.
    """
    content = read_content(path)
    refusals = Refusals(path)
    images, categories = images_and_categories(content, refusals)
    names = [image["file_name"] for image in images.values()]
    for name, times in Counter(names).items():
        if times > 1:
            refusals.add("images listed twice", repr(name))
    refusals.tell("correct the file")
    folders = [root] if root else _folders(path)
    base, files = find_images(path, names, folders)
    sizes = check_sizes(path, [base / f for f in files], [stated_size(image) for image in images.values()])
    size_of = dict(zip(images, sizes, strict=True))
    marks = marks_of(content["annotations"], categories, size_of, refusals)
    refusals.tell("correct the file")
    split = split_of(path.stem) or SPLITS.get(path.parent.name.lower())
    found = tuple(
        AnnotatedImage(file, f"{path}, image {key}", size_of[key], (*_tags(image), *marks[key]), split=split)
        for (key, image), file in zip(images.items(), files, strict=True)
    )
    return Annotations(path, base, found, tuple(dict.fromkeys(categories.values())))


def read_content(path: Path) -> dict[str, Any]:
    """What a file holds, which are the lists of COCO.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the file is no COCO JSON.
    """
    content = read_json(path)
    lists: dict[str, Any] = content if isinstance(content, dict) else {}
    lacking = [key for key in ("images", "annotations", "categories") if not isinstance(lists.get(key), list)]
    if lacking:
        raise ValueError(
            f"{path}: this is no COCO file, which has a list {lacking[0]!r}; say what it is by data.format"
        )
    if any(isinstance(entry, dict) and "segments_info" in entry for entry in lists["annotations"]):
        raise ValueError(f"{path}: this is panoptic COCO, of one picture for each image; give its instances or masks")
    return lists


def images_and_categories(
    content: Mapping[str, Any], refusals: Refusals
) -> tuple[dict[Any, dict[str, Any]], dict[Any, str]]:
    """Image by id, with whole numbers or ``None`` for its height and width, and name of the category by id.

    Args:
        content: of a file.
        refusals: gets the faults.
    """
    images = _by_id(content["images"], "file_name", "images", refusals)
    for key, image in images.items():
        size = None
        try:
            size = read_size(image.get("height"), image.get("width"))
        except ValueError as error:
            refusals.add("images of a size that cannot be read", f"{image['file_name']!r}: {error}")
        height, width = size or (None, None)
        images[key] = {**image, "height": height, "width": width}
    categories = _by_id(content["categories"], "name", "categories", refusals)
    return images, {k: str(c["name"]) for k, c in categories.items()}


def _by_id(entries: list[Any], name: str, what: str, refusals: Refusals) -> dict[Any, dict[str, Any]]:
    found: dict[Any, dict[str, Any]] = {}
    for i, entry in enumerate(entries):
        key = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(key, (int, str)) or not isinstance(entry.get(name), str):
            refusals.add(f"{what} without 'id' or {name!r}", f"entry {i}")
        elif key in found:
            refusals.add(f"{what} with the id of another", f"{entry[name]!r} with {key}")
        else:
            found[key] = entry
    return found


def _folders(path: Path) -> list[Path]:
    """Where images may lie: the file may be in ``annotations`` beside ``<subset>`` or ``images/<subset>``."""
    subset = path.stem.rpartition("_")[2]
    here = [path.parent, path.parent / "images", path.parent / subset, path.parent / "images" / subset]
    above = path.parent.parent
    return [*here, above / "images", above / subset, above / "images" / subset, above]


def stated_size(image: Mapping[str, Any]) -> Size | None:
    """(H, W) that an image of :func:`images_and_categories` states."""
    return read_size(image.get("height"), image.get("width"))


def marks_of(
    annotations: list[Any], categories: Mapping[Any, str], sizes: Mapping[Any, Size], refusals: Refusals
) -> dict[Any, list[Mark]]:
    """Image → its marks.

    Args:
        annotations: of any images.
        categories: name by id.
        sizes: image → (H, W).
        refusals: gets the faults.
    """
    marks: dict[Any, list[Mark]] = defaultdict(list)
    for i, entry in enumerate(annotations):
        if not isinstance(entry, dict):
            refusals.add("annotations that are no objects", f"entry {i}")
            continue
        called = f"annotation {entry.get('id', f'at place {i}')}"
        image, category = entry.get("image_id"), entry.get("category_id")
        if not is_listed(image, sizes):
            refusals.add("annotations of images that are not listed", f"{called}: image_id {image}")
            continue
        if not is_listed(category, categories):
            refusals.add("annotations of categories that are not listed", f"{called}: category_id {category}")
            continue
        try:
            shape = _shape(entry.get("segmentation"), sizes[image])
        except ValueError as error:
            refusals.add("outlines that cannot be drawn", f"{called}: {error}")
            continue
        kind: Kind = "region" if shape else "box" if entry.get("bbox") or entry.get("segmentation") else "tag"
        marks[image].append(Mark(names_with(categories[category], entry.get("attributes")), kind, shape))
    return marks


def is_listed(key: Any, known: Mapping[Any, Any]) -> bool:
    """Whether what a file has for an id is one of those known."""
    return isinstance(key, (int, float, str)) and key in known


def _shape(outline: Any, size: Size) -> Shape | None:
    if not outline:
        return None
    if isinstance(outline, list):
        return polygons(outline if isinstance(outline[0], list) else [outline], size)
    code = outline if isinstance(outline, dict) else {}
    if code.get("size") != list(size):
        raise ValueError(f"run lengths of the size {code.get('size')} for an image of {told(size)}")
    counts = code.get("counts")
    return runs(counts_of(counts) if isinstance(counts, str) else counts, (0, 0, *size), size)


def _tags(image: dict[str, Any]) -> list[Mark]:
    tags = image.get("tags")
    found = [Mark((str(tag),), "tag") for tag in tags] if isinstance(tags, list) else []
    of_image = names_with("", image.get("attributes"))[1:]
    return found + [Mark((name.removeprefix("/"),), "tag") for name in of_image]
