"""Background of masks that nobody made a class of."""

from __future__ import annotations

import warnings

import numpy as np

from mtal.datasets.annotations.heads import Head
from mtal.datasets.annotations.marks import BACKGROUND, AnnotatedImage, Annotations
from mtal.datasets.mask_meaning import MUCH
from mtal.datasets.table_rows import evenly
from mtal.datasets.threads import in_threads
from mtal.refusals import Refusals


def warn_of_background(head: Head, found: Annotations) -> None:
    """Warn where the background is much of the masks and no class of a head whose classes exclude each other.

    It is neither learnt nor scored, which makes scores look better than they are. About 64 masks are looked at.

    Raises:
        FileNotFoundError: a mask is missing.
        ValueError: a mask is broken, of another size, or holds a value that stands for nothing.
    """
    if head.support == "frame" or not head.exclusive or head.rest is not None or BACKGROUND in (head.classes or {}):
        return
    masks = evenly([image for image in found.images if image.mask is not None])
    refusals = Refusals()

    def share(image: AnnotatedImage) -> float:
        assert image.mask is not None
        with refusals:
            names, categories = image.mask.read(image.size, head.task)
            return float(np.mean(categories == names.index(BACKGROUND))) if BACKGROUND in names else 0.0
        return 0.0

    shares = in_threads(share, masks, f"Reading {head.task}")
    refusals.tell()
    if masks and np.mean(shares) > MUCH:
        warnings.warn(
            f"{found.source}: the background is {np.mean(shares):.0%} of the pixels of the masks that were looked at "
            f"({len(masks)}) and no class of {head.task}, so these are neither learnt nor scored, and scores look "
            f"better than they are; give data.heads.{head.task} 'rest: background', or, if nobody annotated these "
            "pixels, 'rest: null'",
            stacklevel=4,
        )
