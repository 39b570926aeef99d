"""Mask images beside the images: one for each image, or a folder of them for each class.

Masks are told from the folder of masks as images are from theirs: ``p1/001.png`` for ``p1/001.jpg``, with the name of
its class as one folder more (``liver/p1/001.png`` or ``p1/liver/001.png``) where each class has masks of its own. Names
may have an ending that images lack (``001_mask.png``). An image with a mask was annotated, one without was not; of
masks of one class, one that is missing says nothing of that class.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from mtal.datasets.annotations.files import by_name, image_sizes, images_below, split_of_folders
from mtal.datasets.annotations.labelmap import read_labelmap
from mtal.datasets.annotations.marks import BACKGROUND, AnnotatedImage, Annotations, ClassMask, Mark
from mtal.datasets.annotations.shapes import MaskImage
from mtal.datasets.label_map import Value
from mtal.refusals import Refusals


def read(path: Path, root: Path | None, values: Collection[str]) -> Annotations:
    """The images of a folder with the masks of another.

    Args:
        path: folder of masks; ``labelmap.txt`` in it or above it names their colours.
        root: folder of the images; ``None`` for ``images`` beside that of the masks.
        values: gray values or ``R/G/B`` that masks of several classes may hold, where there is no ``labelmap.txt``; 0
            is the background and 255 was not annotated unless they are listed.

    Raises:
        FileNotFoundError: there are no images or no masks, or a mask has no image.
        ValueError: masks of one class lie among masks of several, or an image cannot be read.
    """
    base = root or path.parent / "images"
    there = images_below(base, {path} if path != base else ()) if base.is_dir() else []
    files = by_name(base, there, _key)
    if not files:
        raise FileNotFoundError(f"{base}: no images here; give their folder as data.root=DIR")
    whole, of_class = _matched(path, set(files))
    classes = frozenset(name for masks in of_class.values() for name in masks)
    names = _names(path, values) if whole else {}
    keys = list(files)
    images = []
    for key, size in zip(keys, image_sizes([base / files[key] for key in keys]), strict=True):
        masks = of_class.get(key, {})
        images.append(
            AnnotatedImage(
                files[key],
                str(whole.get(key, base / files[key])),
                size,
                tuple(Mark((name,), "region", MaskImage(file)) for name, file in masks.items()),
                mask=ClassMask(whole[key], names) if key in whole else None,
                split=split_of_folders(files[key]),
                annotated=key in whole or bool(masks),
                unknown=classes - set(masks),
            )
        )
    listed = [name for name in names.values() if name is not None and name != BACKGROUND]
    return Annotations(path, base, tuple(images), (*listed, *sorted(classes)))


def _key(file: str) -> str:
    return str(PurePosixPath(file).with_suffix(""))


def _matched(path: Path, images: set[str]) -> tuple[dict[str, Path], dict[str, dict[str, Path]]]:
    """Image → its mask of several classes, and image → class → its mask."""
    masks = images_below(path) if path.is_dir() else []
    if not masks:
        raise FileNotFoundError(f"{path}: no masks here; give their folder as data.path=DIR")
    ending = _ending(masks, images)
    whole: dict[str, Path] = {}
    of_class: dict[str, dict[str, Path]] = defaultdict(dict)
    refusals = Refusals(path)
    for mask in masks:
        key = _key(mask).removesuffix(ending)
        parts = key.split("/")
        one_less = [(parts[i], "/".join(parts[:i] + parts[i + 1 :])) for i in range(len(parts) - 1)]
        found = [(name, image) for name, image in one_less if image in images]
        if key in images:
            whole[key] = path / mask
        elif found:
            name, image = found[0]
            of_class[image][name] = path / mask
        else:
            refusals.add("masks without an image", mask)
    refusals.tell("name masks as their images, and give the folder of images as data.root=DIR", FileNotFoundError)
    if whole and of_class:
        one = next(iter(next(iter(of_class.values())).values()))
        raise ValueError(
            f"{path}: some masks are of one class ({one}) and some of several ({next(iter(whole.values()))}); give a "
            "folder of one kind"
        )
    return whole, of_class


def _ending(masks: list[str], images: set[str]) -> str:
    """What all names of masks end with beyond that of an image."""
    stems = {PurePosixPath(image).name for image in images}
    first = PurePosixPath(_key(masks[0])).name
    beginnings = [first[:n] for n in range(len(first), 0, -1) if first[:n] in stems]
    if not beginnings:
        return ""
    ending = first.removeprefix(beginnings[0])
    return ending if all(_key(mask).endswith(ending) for mask in masks) else ""


def _names(path: Path, values: Collection[str]) -> dict[Value, str | None]:
    """Value in a mask → category."""
    for folder in (path, path.parent):
        if (folder / "labelmap.txt").is_file():
            return read_labelmap(folder)
    listed = {_value(text): text for text in values}
    colored = any(isinstance(value, tuple) for value in listed)
    black: Value = (0, 0, 0) if colored else 0
    white: Value = (255, 255, 255) if colored else 255
    return {black: BACKGROUND, white: None, **listed}


def _value(text: str) -> Value:
    numbers = [part.strip() for part in text.split("/")]
    if len(numbers) not in (1, 3) or not all(n.isdecimal() and int(n) < 256 for n in numbers):
        raise ValueError(
            f"data.heads: {text!r} is no gray value and no R/G/B of a mask; name classes by their values, as in "
            "{1: liver, 2: fat}, or write a labelmap.txt beside the masks"
        )
    return int(numbers[0]) if len(numbers) == 1 else (int(numbers[0]), int(numbers[1]), int(numbers[2]))
