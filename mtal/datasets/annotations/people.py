"""Who is operated on in each image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from mtal.datasets.annotations.files import SPLITS
from mtal.datasets.table_cells import SUFFIXES, Cells
from mtal.refusals import Refusals

_SPLIT_OF_A_YEAR = re.compile(r"([a-z]+)(?:19|20)[0-9]{2}")
_LAYOUT = {*SPLITS, "images", "image", "imgs", "img", "frames", "jpegimages", "default", "data"}


def patients_of(source: Path, files: Sequence[str], patients: str) -> list[str]:
    """The patient of each image.

    Args:
        source: of the annotations, for messages.
        files: paths of images from the folder of images, with ``/``.
        patients: ``"folder"`` for the first folder of the path that is not called as layouts are (``train``,
            ``images``, …); or a table with the columns ``image`` and ``patient``; or a regular expression whose group,
            found in the path, is the patient.

    Raises:
        FileNotFoundError: there is no such table.
        ValueError: nothing tells the patient of an image.
    """
    if patients == "folder":
        found = [_folder(file) for file in files]
        way_out = (
            "say who is operated on by data.patients: a regular expression with one group, as in "
            "\"data.patients='^(.+)_[0-9]+'\" for ada_0001.jpg, or a CSV with the columns image and patient"
        )
    elif patients.lower().endswith(SUFFIXES):
        listed = _listed(Path(patients))
        found = [listed.get(file) for file in files]
        way_out = f"add rows with their paths as they stand here to {patients}"
    else:
        found = _matched(files, patients)
        way_out = f"make data.patients, which is {patients!r}, fit these too"
    refusals = Refusals(source)
    for file, patient in zip(files, found, strict=True):
        if not patient:
            refusals.add("images of which nothing tells the patient", file)
    refusals.tell(way_out)
    return [patient for patient in found if patient]


def _folder(file: str) -> str | None:
    return next((part for part in PurePosixPath(file).parts[:-1] if not _is_layout(part)), None)


def _is_layout(folder: str) -> bool:
    """As ``train2017`` is, too; ``train01`` may be a patient."""
    name = folder.lower()
    return name in _LAYOUT or ((match := _SPLIT_OF_A_YEAR.fullmatch(name)) is not None and match[1] in SPLITS)


def _listed(table: Path) -> dict[str, str]:
    cells = Cells.read(table)
    for column in ("image", "patient"):
        if column not in cells.columns:
            raise ValueError(
                f"{table}: the columns are {', '.join(cells.columns)}; there must be 'image' and 'patient'"
            )
    listed: dict[str, str] = {}
    refusals = Refusals(table)
    for image, patient in zip(cells.column("image"), cells.column("patient"), strict=True):
        if listed.setdefault(image, patient) != patient:
            refusals.add("images of two patients", f"{image} ({listed[image]}, {patient})")
    refusals.tell("keep the row that is right")
    return listed


def _matched(files: Sequence[str], pattern: str) -> list[str | None]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"data.patients={pattern!r} is no regular expression: {error}") from error
    if expression.groups != 1:
        raise ValueError(
            f"data.patients={pattern!r} has {expression.groups} groups; put what tells the patient, and that alone, "
            "into parentheses, as in '^(.+)_[0-9]+'"
        )
    return [match[1].replace("/", "_") if (match := expression.search(file)) else None for file in files]
