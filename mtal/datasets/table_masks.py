"""Heads of pixels from the cells of a table: masks whose values are classes, or a mask or outline for each class."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

from mtal.datasets.mask import HeldValues, class_numbers, held_values
from mtal.datasets.mask_meaning import MaskOptions, label_map_of
from mtal.datasets.table_heads import HeadOptions
from mtal.datasets.table_rows import HeadLabels, TableRows, evenly
from mtal.refusals import Refusals


def mask_options(name: str, options: HeadOptions) -> MaskOptions:
    """Those of a head in ``data.heads``.

    Raises:
        ValueError: the classes have no values.
    """
    assert options.mask is not None
    option = f"data.heads.{name}.classes"
    if options.classes is not None and not isinstance(options.classes, Mapping):
        raise ValueError(f"{option} is {options.classes}; say what each value means, as in {{1: liver, 2: fat}}")
    return MaskOptions(name, options.mask, options.classes or {}, options.ignore, option)


def read_mask(options: MaskOptions, rows: TableRows) -> HeadLabels:
    """A head with one mask a frame. 64 masks are looked at, evenly from all; the others when they are needed.

    Raises:
        FileNotFoundError: masks are missing.
        ValueError: values have no meaning, or masks are not of the sizes of their frames.
    """
    cells, refusals = rows.cells, Refusals()
    masks: list[Path | None] = []
    for row in range(len(cells)):
        mask = None
        with refusals:
            mask = cells.file(row, options.column, rows.base)
        masks.append(mask)
    given = {row: mask for row, mask in enumerate(masks) if mask is not None}
    looked_at = evenly([*given])
    held: dict[Path, HeldValues] = {}
    for row in looked_at:
        with refusals:
            held[given[row]] = held_values(given[row])
    refusals.tell()
    label_map = label_map_of(options, held, cells.path)
    rows.check(lambda row, size: class_numbers(given[row], label_map, size), looked_at)
    lossy = [path for path, found in held.items() if found.lossy]
    if lossy:
        warnings.warn(
            f"{lossy[0]}: JPEG and lossy WebP change the values of masks ({len(lossy)} of {len(held)} that were looked "
            "at); each pixel has the nearest value that means something, and those between two are not annotated",
            stacklevel=3,
        )
    return HeadLabels(label_map, list(masks))
