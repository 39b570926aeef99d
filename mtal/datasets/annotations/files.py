"""Annotation files and the images that they speak of, found on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml.common import DefusedXmlException

from mtal.datasets.annotations.shapes import told
from mtal.datasets.mask import Size
from mtal.datasets.threads import in_threads
from mtal.frames.image_folder import SUFFIXES
from mtal.frames.picture import picture_size
from mtal.refusals import Refusals

MOST_BYTES = 2**31  # parsed JSON takes ten times as much memory
SPLITS = {
    **dict.fromkeys(("train", "training"), "pool"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no JSON, in another encoding, or too large.
    """
    _check(path)
    try:
        return json.loads(path.read_bytes())
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: this is no text in UTF-8, as JSON is ({error}); export it again") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: this is no JSON ({error}); export it again") from error
    except RecursionError as error:
        raise ValueError(f"{path}: lists in lists, deeper than any annotations are; export it again") from error
    except ValueError as error:  # of a number with thousands of digits
        raise ValueError(f"{path}: a number in it cannot be read ({error}); export it again") from error


def read_xml(path: Path) -> Element:
    """Root of an XML file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no XML, in an unknown encoding, declares entities, or is too large.
    """
    _check(path)
    try:
        root: Element = defusedxml.ElementTree.parse(path).getroot()
    except ParseError as error:
        raise ValueError(f"{path}: this is no XML of annotations ({error}); export it again") from error
    except DefusedXmlException as error:
        raise ValueError(
            f"{path}: its XML declares entities, which annotations have none of and which are not read ({error}); "
            "export it again, or take the declaration out"
        ) from error
    except (ValueError, LookupError) as error:
        raise ValueError(f"{path}: its XML is in an encoding that is not read ({error}); save it as UTF-8") from error
    return root


def _check(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file of annotations; give it as data.path")
    if path.suffix.lower() == ".zip":
        raise ValueError(f"{path}: unpack this archive and give the file of annotations in it as data.path")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(
            f"{path}: {size / 2**30:.1f} GiB are too much to read at once; export fewer images at a time and give all "
            "files, as in 'data.path=[a.json,b.json]'"
        )


def split_of(*words: str) -> str | None:
    """``pool``, ``val`` or ``test`` by the first of several names that ends in the name of a split.

    >>> split_of("instances_train2017", "annotations"), split_of("valid"), split_of("contest")
    ('pool', 'val', None)
    """
    for word in words:
        split = SPLITS.get(word.lower().rpartition("_")[2].rstrip("0123456789"))
        if split is not None:
            return split
    return None


def split_of_folders(file: str) -> str | None:
    """``pool``, ``val`` or ``test`` where a folder of a path is called as a split is.

    >>> split_of_folders("valid/a.jpg"), split_of_folders("my_test/a.jpg")
    ('val', None)
    """
    return next((SPLITS[part.lower()] for part in PurePosixPath(file).parts[:-1] if part.lower() in SPLITS), None)


def inside(name: str) -> str | None:
    r"""A relative path with ``/``, ``None`` where it is absolute or climbs out.

    >>> inside("a\\b.png"), inside("a/./b.png"), inside("../b.png"), inside("C:/b.png")
    ('a/b.png', 'a/b.png', None, None)
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if not name or path.is_absolute() or ".." in path.parts or path.parts[:1] == () or path.parts[0].endswith(":"):
        return None
    return str(path)


def find_images(source: Path, names: Sequence[str], folders: Iterable[Path]) -> tuple[Path, list[str]]:
    """The folder that the images lie in, and for each name the path of its file from there.

    A name may lack the suffix, as those of frames that CVAT took from a video do.

    Args:
        source: file of annotations, for messages.
        names: as the annotations have them.
        folders: where they may lie; the first that has any of them is taken.

    Raises:
        FileNotFoundError: images are missing.
        ValueError: a name is absolute or climbs out of the folder.
    """
    refusals = Refusals(source)
    for name in names:
        if inside(name) is None:
            refusals.add("images whose paths lead out of the folder of images", repr(name))
    refusals.tell("write paths from data.root, without '..' or a drive")
    paths = [inside(name) or "" for name in names]
    candidates = list(dict.fromkeys(folders))
    folder = next((f for f in candidates if any(_file(f, p) for p in paths)), candidates[0])
    found = [_file(folder, p) for p in paths]
    for path, file in zip(paths, found, strict=True):
        if file is None:
            refusals.add("images that are missing", path)
    looked = ", ".join(map(str, candidates)) if not any(found) else str(folder)
    refusals.tell(f"they were looked for in {looked}; give their folder as data.root=DIR", FileNotFoundError)
    return folder, [file for file in found if file is not None]


def holds_any(folders: Iterable[Path], names: Iterable[str]) -> bool:
    """Whether any of the images lies in any of the folders."""
    paths = [path for name in names if (path := inside(name)) is not None]
    return any(_file(folder, path) for folder in folders for path in paths)


def files_below(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Files of a folder and its subfolders, linked ones too, by path; hidden ones are passed over.

    A folder that several ways lead to is entered once, by its own path where it has one: a link may lead back up.

    Args:
        folder: where to look.
        suffixes: in small letters, of files in small letters or capitals.
    """
    entered: set[str] = set()
    found: list[Path] = []
    ways = [folder]
    for way in ways:  # links are added while this goes on
        for place, folders, files in os.walk(way):
            real = os.path.realpath(place)
            folders[:] = [] if real in entered else sorted(name for name in folders if name[0] != ".")
            ways += [link for name in folders if (link := Path(place, name)).is_symlink()]
            if real not in entered:
                paths = (Path(place, name) for name in files if name[0] != ".")
                found += [path for path in paths if path.suffix.lower() in suffixes]
            entered.add(real)
    return sorted(found)


def images_below(folder: Path, left_out: Iterable[Path] = ()) -> list[str]:
    """Paths of all images among :func:`files_below`, from the folder, by name.

    Args:
        folder: where to look.
        left_out: subfolders.
    """
    skipped = set(left_out)
    images = (file for file in files_below(folder, SUFFIXES) if not skipped & set(file.parents))
    return sorted(file.relative_to(folder).as_posix() for file in images)


def by_name(folder: Path, files: Iterable[str], key: Callable[[str], str]) -> dict[str, str]:
    """Name of an image, as masks and XML files are found by, → its file.

    Raises:
        ValueError: two images have one name, as a picture and a mask beside it have.
    """
    found: dict[str, str] = {}
    refusals = Refusals(folder)
    for file in files:
        if (other := found.setdefault(key(file), file)) != file:
            refusals.add("two images of one name", f"{other} and {file}")
    refusals.tell("one of them is perhaps a mask or an overlay: move it to another folder")
    return found


def _file(folder: Path, path: str) -> str | None:
    if (folder / path).is_file():
        return path
    if PurePosixPath(path).suffix.lower() in SUFFIXES:
        return None
    for suffix in SUFFIXES:
        for written in (suffix, suffix.upper()):
            if (folder / (path + written)).is_file():
                return path + written
    return None


def image_sizes(files: Sequence[Path]) -> list[Size]:
    """(H, W) of each image as it is shown, from its header.

    Raises:
        ValueError: a file is no image.
    """
    return in_threads(picture_size, files, "Reading sizes of images")


def read_size(height: Any, width: Any) -> Size | None:
    """(H, W) that annotations state, as numbers or text; ``None`` where they leave it open.

    >>> read_size(480.0, "854"), read_size(None, 854)
    ((480, 854), None)

    Raises:
        ValueError: one of them is there and is no whole number from 0 on.
    """
    sides = [_pixels(name, side) for name, side in (("height", height), ("width", width)) if side is not None]
    return (sides[0], sides[1]) if len(sides) == 2 else None


def _pixels(name: str, side: Any) -> int:
    try:
        number = float(side) if isinstance(side, (int, float, str)) and not isinstance(side, bool) else -1.0
    except (ValueError, OverflowError):
        number = -1.0
    if number < 0 or not number.is_integer():
        raise ValueError(f"{name} {side!r} is no number of pixels")
    return int(number)


def check_sizes(source: Path, files: Sequence[Path], stated: Sequence[Size | None]) -> list[Size]:
    """(H, W) of each image, which must be what the annotations say.

    Raises:
        ValueError: an image is of another size than the annotations say.
    """
    sizes = image_sizes(files)
    refusals = Refusals(source)
    for file, size, said in zip(files, sizes, stated, strict=True):
        if said is not None and said != size:
            refusals.add(
                "images of another size than the annotations say", f"{file.name} is {told(size)}, not {told(said)}"
            )
    refusals.tell("give the images that were annotated")
    return sizes
