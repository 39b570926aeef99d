"""YOLO: ``data.yaml`` with names, and for each image a text file of boxes or outlines in shares of its size.

An image with a text file was annotated, and an empty one says that nothing is there; an image without was not. A path
has ``labels`` in place of the last ``images`` of its image, as Ultralytics wants it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mtal.datasets.annotations.files import image_sizes, images_below, inside, split_of
from mtal.datasets.annotations.marks import AnnotatedImage, Annotations, Mark
from mtal.datasets.annotations.shapes import polygons
from mtal.datasets.mask import Size
from mtal.datasets.text_files import read_text
from mtal.progress import track
from mtal.refusals import Refusals

_BEYOND = 0.1  # shares of the size that a point may lie outside


def read(path: Path, root: Path | None) -> Annotations:
    """The images of the folders that ``data.yaml`` names.

    Args:
        path: ``data.yaml``, or the folder that it lies in.
        root: folder that its paths start from; ``None`` for its ``path``, where that is there, else its own folder.

    Raises:
        FileNotFoundError: the file, a folder or an image is missing.
        ValueError: the file is no such YAML, or a text file has a line that means nothing.
    """
    file = path / "data.yaml" if path.is_dir() else path
    content = _yaml(file)
    names = _names(file, content)
    base = root or _base(file, content)
    found: dict[Path, str | None] = {}
    for key in ("train", "val", "test"):
        for image in _images(file, base, key, content.get(key)):
            found.setdefault(image, split_of(key))
    if not found:
        raise FileNotFoundError(f"{file}: it names no images; 'train', 'val' and 'test' are folders of them")
    keypoints = int(np.prod(content.get("kpt_shape") or [0]))
    sizes = image_sizes(list(found))
    refusals = Refusals(file)
    images = []
    for (image, split), size in track(list(zip(found.items(), sizes, strict=True)), "Reading labels"):
        labels = _labels(image)
        marks = _marks(labels, names, size, keypoints, refusals) if labels.is_file() else ()
        place = image.relative_to(base).as_posix()
        images.append(AnnotatedImage(place, str(labels), size, marks, split=split, annotated=labels.is_file()))
    refusals.tell("correct these files")
    if not any(image.annotated for image in images):
        raise FileNotFoundError(f"{_labels(next(iter(found)))}: no image has its text file, nor has any other one")
    return Annotations(file, base, tuple(images), tuple(dict.fromkeys(names.values())))


def _yaml(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        raise FileNotFoundError(f"{file}: there is no such file; give a data.yaml as data.path")
    try:
        content = yaml.safe_load(read_text(file))
    except yaml.YAMLError as error:
        raise ValueError(f"{file}: this is no YAML ({' '.join(str(error).split())}); correct it") from error
    return content if isinstance(content, dict) else {}


def _names(file: Path, content: Mapping[str, Any]) -> dict[int, str]:
    names = content.get("names")
    if isinstance(names, list):
        return {number: str(name) for number, name in enumerate(names)}
    if isinstance(names, dict) and all(str(number).isdecimal() for number in names):
        return {int(number): str(name) for number, name in names.items()}
    raise ValueError(f"{file}: 'names' is no list of classes and no mapping from numbers to them; write names: [a, b]")


def _base(file: Path, content: Mapping[str, Any]) -> Path:
    """``path`` may be one of the computer where the file was written."""
    base = file.parent / str(content.get("path") or ".")
    return base if base.is_dir() else file.parent


def _images(file: Path, base: Path, key: str, value: Any) -> list[Path]:
    images: list[Path] = []
    refusals = Refusals()
    for place in value if isinstance(value, list) else [value] if value else []:
        with refusals:
            images += _images_of(file, base, key, str(place))
    refusals.tell()
    return images


def _images_of(file: Path, base: Path, key: str, place: str) -> list[Path]:
    name = inside(place)
    if name is None:  # Roboflow writes ../train/images for train/images, and Ultralytics reads it so
        name = inside(place.removeprefix("../"))
    if name is None:
        raise ValueError(f"{file}: {key!r} is {place!r}, which leads out of {base}; write a path from there")
    if (base / name).is_dir():
        return [base / name / image for image in images_below(base / name)]
    if not (base / name).is_file():
        raise FileNotFoundError(
            f"{file}: {key!r} is {place!r}, but {base / name} is not there; remove it or give data.root=DIR"
        )
    return _listed(base / name) if name.lower().endswith(".txt") else [base / name]


def _listed(file: Path) -> list[Path]:
    refusals = Refusals(file)
    images = []
    lines = [line.strip() for line in read_text(file).splitlines()]
    for line in filter(None, lines):
        name = inside(line)
        if name is None:
            refusals.add("images whose paths lead out of its folder", repr(line))
            continue
        places = [file.parent / n for n in (name, name.removeprefix("data/"))]  # CVAT writes data/images/… for images/…
        there = [place for place in places if place.is_file()]
        images += there[:1]
        if not there:
            refusals.add("images that are missing", line)
    refusals.tell(f"write paths from {file.parent}")
    return images


def _labels(image: Path) -> Path:
    """Where the text file of an image is to be, or is with its suffix in capitals."""
    parts = list(image.with_suffix(".txt").parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    labels = Path(*parts)
    capitals = labels.with_suffix(".TXT")
    return capitals if capitals.is_file() and not labels.is_file() else labels


def _marks(labels: Path, names: Mapping[int, str], size: Size, keypoints: int, refusals: Refusals) -> tuple[Mark, ...]:
    marks = []
    try:
        lines = read_text(labels).splitlines()
    except ValueError:
        refusals.add("files that are no text in UTF-8", str(labels))
        return ()
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        called = f"{labels}, line {number}"
        try:
            values = np.array(words, dtype=np.float64)
        except ValueError:
            refusals.add("lines that are no numbers", called)
            continue
        if values[0] not in names:
            refusals.add("lines of classes that 'names' does not list", f"{called}: {words[0]}")
            continue
        shares = values[1:]
        box = len(shares) in (4, 5, 4 + keypoints)  # a fifth is how sure a model was
        if not box and (len(shares) < 6 or len(shares) % 2):
            refusals.add("lines that are neither box nor outline", f"{called}: {len(words)} numbers")
            continue
        placed = shares[:4] if box else shares
        if not ((placed >= -_BEYOND) & (placed <= 1 + _BEYOND)).all():
            refusals.add("lines with numbers that are no shares of the image, 0 to 1", called)
            continue
        name = (names[int(values[0])],)
        if box:
            marks.append(Mark(name, "box"))
        else:
            points = shares.reshape(-1, 2) * (size[1], size[0])
            marks.append(Mark(name, "region", polygons([points.ravel().tolist()], size)))
    return tuple(marks)
