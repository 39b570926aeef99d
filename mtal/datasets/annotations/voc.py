"""Pascal VOC: an XML of boxes for each image, masks in ``SegmentationClass`` with ``labelmap.txt``, or both.

An image with an XML or a mask was annotated, and what is not marked in it is not there; an image with neither was not.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

from mtal.datasets.annotations.files import (
    SPLITS,
    by_name,
    check_sizes,
    files_below,
    find_images,
    images_below,
    read_size,
    read_xml,
    split_of_folders,
)
from mtal.datasets.annotations.labelmap import read_labelmap
from mtal.datasets.annotations.marks import BACKGROUND, AnnotatedImage, Annotations, ClassMask, Kind, Mark, names_with
from mtal.datasets.mask import Size
from mtal.datasets.text_files import read_text
from mtal.progress import track
from mtal.refusals import Refusals


def read(path: Path, root: Path | None) -> Annotations:
    """The images of a folder.

    Args:
        path: folder of ``Annotations``, ``JPEGImages``, ``SegmentationClass`` and ``ImageSets``, or of images with an
            XML beside each, in subfolders or not.
        root: folder of the images; ``None`` for ``JPEGImages``, ``images`` or the folder itself.

    Raises:
        FileNotFoundError: there is nothing of this, or an image is missing.
        ValueError: an XML or ``labelmap.txt`` is broken, or contradicts its image.
    """
    beside = not (path / "Annotations").is_dir()
    below = path if beside else path / "Annotations"
    xmls = {_key(f, below): f for f in files_below(below, (".xml",))}
    of_masks = path / "SegmentationClass"
    masks = {_key(f, of_masks): f for f in files_below(of_masks, (".png",))}
    if not xmls and not masks:
        raise FileNotFoundError(
            f"{path}: neither XML files (in 'Annotations' or beside the images) nor 'SegmentationClass' here; give the "
            "folder of a VOC data set as data.path"
        )
    base = root or next((path / n for n in ("JPEGImages", "images") if (path / n).is_dir()), path)
    left_out = set() if base != path else {of_masks, path / "SegmentationObject"}
    files = by_name(base, images_below(base, left_out), lambda file: _key(base / file, base))
    refusals = Refusals(path)
    documents = {key: _document(xml, refusals) for key, xml in track(list(xmls.items()), "Reading XML")}
    refusals.tell("export these files again")
    for key in [key for key in documents if key not in files]:  # another name than the image has
        _, (file,) = find_images(xmls[key], [(documents[key].findtext("filename") or "").strip()], [base])
        image = _key(base / file, base)
        if image in documents:
            refusals.add("images with two XML files", f"{file} with {xmls[key].name}")
        documents[image], xmls[image] = documents.pop(key), xmls.pop(key)
    refusals.tell("keep one for each image")
    for key in sorted(set(masks) - set(files)):
        refusals.add("masks without an image", masks[key].name)
    refusals.tell(f"images were looked for in {base}; give their folder as data.root=DIR", FileNotFoundError)
    colors = read_labelmap(path) if masks else {}
    splits = _splits(path / "ImageSets")
    stated = [_stated(documents[key]) if key in documents else None for key in files]
    sizes = check_sizes(path, [base / f for f in files.values()], stated)
    images = [
        AnnotatedImage(
            file,
            str(xmls.get(key, masks.get(key, base / file))),
            size,
            _marks(documents[key]) if key in documents else (),
            mask=ClassMask(masks[key], colors) if key in masks else None,
            split=splits.get(key, split_of_folders(file)),
            annotated=key in documents or key in masks,
        )
        for (key, file), size in zip(files.items(), sizes, strict=True)
    ]
    named = (mark.names[0] for image in images for mark in image.marks)
    listed = (name for name in colors.values() if name not in (None, BACKGROUND))
    return Annotations(path, base, tuple(images), tuple(dict.fromkeys(map(str, (*listed, *named)))))


def _key(file: Path, folder: Path) -> str:
    return file.relative_to(folder).with_suffix("").as_posix()


def _document(xml: Path, refusals: Refusals) -> Element:
    document = read_xml(xml)
    if document.tag != "annotation":
        refusals.add("XML files that are not of VOC", f"{xml.name} has the root <{document.tag}>")
    nameless = sum(not (thing.findtext("name") or "").strip() for thing in document.iterfind("object"))
    if nameless:
        refusals.add("XML files with objects without a name", xml.name)
    try:
        _stated(document)
    except ValueError as error:
        refusals.add("XML files with a size that cannot be read", f"{xml.name}: {error}")
    return document


def _stated(document: Element) -> Size | None:
    """Some tools write 0, which says nothing."""
    height, width = ((document.findtext(f"size/{side}") or "").strip() or None for side in ("height", "width"))
    size = read_size(height, width)
    return size if size and all(size) else None


def _marks(document: Element) -> tuple[Mark, ...]:
    marks = []
    for thing in document.iterfind("object"):
        attributes = {
            a.findtext("name") or "": a.findtext("value") or "" for a in thing.iterfind("attributes/attribute")
        }
        kind: Kind = "tag" if thing.find("bndbox") is None else "box"
        marks.append(Mark(names_with((thing.findtext("name") or "").strip(), attributes), kind))
    return tuple(marks)


def _splits(folder: Path) -> dict[str, str]:
    """Image → split, of the lists ``train.txt``, ``val.txt`` and ``test.txt``."""
    splits: dict[str, str] = {}
    for kind in ("Main", "Segmentation"):
        for file in sorted((folder / kind).glob("*")):
            if file.stem.lower() in SPLITS and file.suffix.lower() == ".txt":
                for line in read_text(file).splitlines():
                    if line.strip():
                        splits.setdefault(line.split()[0], SPLITS[file.stem.lower()])
    return splits
