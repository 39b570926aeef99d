"""What the values of masks mean, as people say it by options, held against what the masks hold."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtal.datasets.label_map import IGNORE, LabelMap, Value
from mtal.datasets.mask import HeldValues
from mtal.datasets.palette import colors_of

_TOLD = 12  # values in a message
_NOT_ANNOTATED = (0, 255)
MUCH = 0.1
"""Share of pixels, more than borders have, from which background that is no class is warned of."""


@dataclass(frozen=True)
class MaskOptions:
    """Options of a head of one mask, and what they are called.

    Args:
        name: of the head.
        column: of paths of masks.
        classes: value, gray or ``R/G/B`` → class.
        ignore: values of pixels that nobody annotated; ``None`` for 0 and 255 where they are no classes, and for a
            warning where 0 is much of the masks.
        classes_option: what ``classes`` is called, such as ``data.mask_classes``.
    """

    name: str
    column: str
    classes: Mapping[Any, Any]
    ignore: Sequence[Any] | None
    classes_option: str

    @property
    def ignore_option(self) -> str:
        """What ``ignore`` is called."""
        return self.classes_option.removesuffix("classes") + "ignore"


def label_map_of(options: MaskOptions, held: Mapping[Path, HeldValues], table: Path) -> LabelMap:
    """The label map that options give masks.

    Warns where 0 is much of the masks and nobody said what it means: background that is neither learnt nor scored
    makes scores look better than they are.

    Args:
        options: of the head.
        held: what masks hold, all values of some or of all.
        table: for messages.

    Raises:
        ValueError: the classes are missing, are fewer than two, are gray values of coloured masks or numbers of
            different palettes, or leave out values that masks hold.
    """
    meaning = {_value(v, options): str(name) for v, name in options.classes.items()}
    ignored = [_value(v, options) for v in (_NOT_ANNOTATED if options.ignore is None else options.ignore)]
    listed = {*meaning, *ignored}
    coloured = any(found.colored for found in held.values())
    by_color = coloured or any(isinstance(v, tuple) for v in meaning)
    differing = "" if by_color else _differing_palettes(held, listed)
    by_color = by_color or bool(differing)
    read = {path: _values(found, by_color, listed) for path, found in held.items()}
    if by_color:
        meaning, ignored = {_color(v): name for v, name in meaning.items()}, [_color(v) for v in ignored]
    values = sorted({v for of_one in read.values() for v in of_one}, key=_color)
    told = f"{next(iter(held)).name} holds" if len(held) == 1 else f"{len(held)} masks together hold"
    told = f"{told} {_listed(values) or 'nothing'}"
    example = _example(values, ignored, options)
    if not meaning:
        raise ValueError(f"{table}: say what the values of the masks ({told}) mean, as in {example}")
    if coloured and not any("/" in str(v) for v in options.classes):
        raise ValueError(f"{table}: the masks are coloured ({told}), and colours are written R/G/B, as in {example}")
    if differing:
        raise ValueError(
            f"{table}: {differing}, since indexed pictures have palettes of their own ({told}); say what their colours "
            f"mean, as in {example}, or save the masks as 8-bit gray"
        )
    strays = [v for v in values if v not in meaning and v not in ignored]
    if strays and not all(found.lossy for found in held.values()):
        kind = "colour" if by_color else "gray value"
        what = f"{kind}s {_listed(strays)} stand" if len(strays) > 1 else f"{kind} {_listed(strays)} stands"
        first = next(path for path, of_one in read.items() if strays[0] in of_one)
        raise ValueError(
            f"{first}: {what} for no class of task {options.name!r} ({told}); name all of them in "
            f"{options.classes_option}, or in {options.ignore_option} where nobody annotated these pixels"
        )
    classes = tuple(dict.fromkeys(meaning.values()))
    if len(classes) < 2:
        raise ValueError(
            f"{table}: {options.classes_option} has the one class {classes[0]!r}, and a pixel needs two to be told "
            f"apart ({told}); say what else there is, as in {_example(values, ignored, options, meaning)}"
        )
    meanings: dict[Value, int] = dict.fromkeys(ignored, IGNORE)
    meanings |= {value: classes.index(name) for value, name in meaning.items()}
    black = float(np.mean([_black(found, by_color, listed) for found in held.values()])) if held else 0.0
    if options.ignore is None and meanings[_color(0) if by_color else 0] == IGNORE and black > MUCH:
        warnings.warn(
            f"{table}: 0 is {black:.0%} of the pixels of the masks that were looked at ({len(held)}) and stands for no "
            f"class of task {options.name!r}, so these are neither learnt nor scored, and scores look better than they "
            f"are; name it, as in {_example(values, ignored, options, meaning)}, or, if nobody annotated these pixels, "
            f"say so by '{options.ignore_option}=[0, 255]'",
            stacklevel=4,
        )
    return LabelMap(options.name, "pixel", True, classes, colors_of(len(classes)), meanings)


def _value(text: Any, options: MaskOptions) -> Value:
    """7 from 7 or "7", (255, 0, 0) from "255/0/0"."""
    numbers = [part.strip() for part in str(text).split("/")]
    if len(numbers) not in (1, 3) or not all(n.isdecimal() and int(n) < 256 for n in numbers):
        raise ValueError(
            f"{options.classes_option}, {options.ignore_option}: {text!r} is no gray value and no R/G/B of 0 to 255"
        )
    return int(numbers[0]) if len(numbers) == 1 else (int(numbers[0]), int(numbers[1]), int(numbers[2]))


def _color(value: Value) -> tuple[int, int, int]:
    return value if isinstance(value, tuple) else (value, value, value)


def _values(found: HeldValues, by_color: bool, listed: Collection[Value]) -> set[Value]:
    """What a mask holds, as :func:`mtal.datasets.mask.class_numbers` reads it."""
    if found.colored or (by_color and found.palette):
        return {_unpacked(v) for v in (found.palette.values() or found.values)}
    if _seen_counts(found, listed):
        return {v & 255 for v in found.palette.values()}
    return {_color(v) if by_color else v for v in found.values}


def _black(found: HeldValues, by_color: bool, listed: Collection[Value]) -> float:
    """Share of the pixels that are read as 0."""
    if found.palette and (by_color or _seen_counts(found, listed)):
        return sum(found.shares[number] for number, color in found.palette.items() if color == 0)
    return found.shares.get(0, 0.0)


def _seen_counts(found: HeldValues, listed: Collection[Value]) -> bool:
    """Whether of an indexed picture in shades of gray these count, and not the numbers in it."""
    return found.gray_palette and all(v & 255 in listed for v in found.palette.values())


def _differing_palettes(held: Mapping[Path, HeldValues], listed: Collection[Value]) -> str:
    """Which number is of different colours in two masks, or nothing."""
    first: dict[int, tuple[int, Path]] = {}
    for path, found in held.items():
        for number, color in () if _seen_counts(found, listed) else found.palette.items():
            known, before = first.setdefault(number, (color, path))
            if known != color:
                one, other = _listed([_unpacked(known)]), _listed([_unpacked(color)])
                return f"{number} is {one} in {before.name} and {other} in {path.name}"
    return ""


def _unpacked(color: int) -> tuple[int, int, int]:
    return color >> 16, color >> 8 & 255, color & 255


def _listed(values: Sequence[Value]) -> str:
    told = ["/".join(map(str, v)) if isinstance(v, tuple) else str(v) for v in values]
    return ", ".join(told[:_TOLD]) + (f" and {len(told) - _TOLD} more" if len(told) > _TOLD else "")


def _example(
    values: Sequence[Value], ignored: Sequence[Value], options: MaskOptions, known: Mapping[Value, str] | None = None
) -> str:
    """An option that names what masks hold, to be copied and corrected."""
    names = dict(known or {})
    unnamed = [v for v in values if v not in names]
    background = {_color(0)} if options.ignore is None else set()  # which 0 is, unless somebody says otherwise
    wanted = [v for v in unnamed if v not in ignored or _color(v) in background]
    if len({*names.values()}) + len(wanted) < 2:
        wanted = unnamed
    wanted = wanted or [1, 2]  # no mask is there yet
    for place, value in enumerate(wanted, start=int(_color(wanted[0]) != _color(0))):
        names[value] = "background" if _color(value) == _color(0) else f"class{place}"
    entries = ", ".join(f"{_listed([v])}: {names[v]}" for v in sorted(names, key=_color))
    return f"'{options.classes_option}={{{entries}}}'"
