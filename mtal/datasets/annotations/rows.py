"""Images of annotations as rows of a frame index: whose they are, when they were taken, who is held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mtal.datasets.annotations.marks import Annotations
from mtal.datasets.annotations.people import patients_of
from mtal.datasets.splits import assign_splits
from mtal.datasets.table_places import Asked, Place, find_places, index_rows


def rows_of(
    found: Annotations, patients: str, rate_hz: float, test_patients: Sequence[str], val_patients: Sequence[str]
) -> list[dict[str, Any]]:
    """The rows of the frame index.

    Args:
        found: the images.
        patients: as for :func:`~mtal.datasets.annotations.people.patients_of`.
        rate_hz: frames per second that numbers of images count.
        test_patients: held out for the test, in place of what the annotations say.
        val_patients: held out for validation, likewise.

    Raises:
        ValueError: nothing tells the patient of an image or who is held out, or a patient is in two splits.
    """
    who = patients_of(found.source, [image.file for image in found.images], patients)
    splits = _splits(found, who, test_patients, val_patients)
    return index_rows(_places(found, who, rate_hz), who, splits)


def _splits(
    found: Annotations, who: Sequence[str], test_patients: Sequence[str], val_patients: Sequence[str]
) -> list[str]:
    name = str(found.source)
    if test_patients or val_patients:
        assigned = assign_splits(name, who, test_patients, val_patients, who="patients")
        return [assigned[patient] for patient in who]
    given = [image.split for image in found.images]
    if None in given:
        raise ValueError(
            f"{name}: nothing tells what is held out; give data.test_patients, of {', '.join(sorted(set(who)))}"
        )
    if "pool" not in given:
        raise ValueError(f"{name}: all images are held out ({', '.join(sorted(set(map(str, given))))}); give all files")
    in_splits: dict[str, set[str]] = {}
    for patient, split in zip(who, given, strict=True):
        in_splits.setdefault(patient, set()).add(str(split))
    torn = sorted(patient for patient, splits in in_splits.items() if len(splits) > 1)
    if torn:
        raise ValueError(
            f"{name}: the subsets of the annotations share patients: {len(torn)} ({', '.join(torn[:3])}"
            f"{', …' if len(torn) > 3 else ''}), who would be learnt from and tested on; give data.test_patients, of "
            f"{', '.join(sorted(in_splits))}"
        )
    return [str(split) for split in given]


def _places(found: Annotations, who: Sequence[str], rate_hz: float) -> list[Place]:
    """Where each image is read from: those of one folder and patient are one recording."""
    asked = [
        Asked(f"{found.source}: {image.file}", found.base / image.file, True, patient)
        for image, patient in zip(found.images, who, strict=True)
    ]
    return find_places(asked, found.base, rate_hz)
