"""The categories of annotations as the classes of heads."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches

from mtal.datasets.annotations.heads import Head
from mtal.datasets.annotations.marks import BACKGROUND, Annotations
from mtal.suggest import nearest


def with_classes(heads: Sequence[Head], found: Annotations) -> list[Head]:
    """The heads with their classes, all of which the annotations have.

    Warns of categories that are in no head but have nearly the name of one that is.

    Raises:
        ValueError: there are no heads, or classes that the annotations do not have.
    """
    counts = Counter(name for image in found.images for mark in image.marks for name in mark.names)
    known = dict.fromkeys((*found.categories, *counts))
    if not heads:
        raise ValueError(
            f"{found.source}: say which heads there are, as in 'data.heads={{tools: {{kind: multilabel, classes: "
            "[hook]}, anatomy: {kind: exclusive, support: pixel, classes: [liver, fat]}}'; there are "
            f"{_listed(found)}"
        )
    known_too = {*known, BACKGROUND}
    unknown = [f"{c!r} of {h.task}{nearest(c, known)}" for h in heads for c in h.classes or () if c not in known_too]
    if unknown:
        raise ValueError(
            f"{found.source}: data.heads names {len(unknown)} categories that are not there ({'; '.join(unknown)}); "
            f"there are {_listed(found)}"
        )
    outlined = {mark.names[0] for image in found.images for mark in image.marks if mark.kind == "region"}
    outlined |= {str(name) for image in found.images if image.mask for name in image.mask.names.values()}
    settled = [head.of(c for c in found.categories if head.support == "frame" or c in outlined) for head in heads]
    for head in settled:
        if not head.classes:
            what = "outlined" if head.support == "pixel" else "marked"
            raise ValueError(f"{found.source}: nothing is {what}, so data.heads.{head.task} has no classes; remove it")
    used = {category for head in settled for category in head.classes or ()}
    for category in known:
        close = get_close_matches(category.lower(), [u.lower() for u in used], n=1, cutoff=0.85)
        if category not in used and close and "/" not in category:
            near = next(u for u in used if u.lower() == close[0])
            warnings.warn(
                f"{found.source}: category {category!r} ({counts[category]} times) is in no head, but {near!r} is; if "
                f"they are the same, write {{{category}: {near}, {near}: {near}}} for its classes",
                stacklevel=4,
            )
    return settled


def _listed(found: Annotations) -> str:
    """Categories with how often each is marked and how: ``'hook' (3 x box)``."""
    kinds = Counter((mark.names[0], mark.kind) for image in found.images for mark in image.marks)
    names = dict.fromkeys((*found.categories, *(name for name, _ in kinds)))
    told = {c: ", ".join(f"{n} x {kind}" for (name, kind), n in kinds.items() if name == c) for c in names}
    return ", ".join(f"{c!r} ({t})" if t else repr(c) for c, t in told.items()) or "no categories"
