"""What the colours of masks mean: ``labelmap.txt`` of CVAT, or ``class_names.txt`` of LabelMe."""

from __future__ import annotations

from pathlib import Path

from mtal.datasets.annotations.marks import BACKGROUND
from mtal.datasets.label_map import Value
from mtal.datasets.text_files import read_text
from mtal.refusals import Refusals

_VOID = (224, 224, 192)  # borders, in the palette of VOC


def read_labelmap(folder: Path) -> dict[Value, str | None]:
    """Colour → category; ``None`` for the void of VOC's palette.

    Args:
        folder: of ``labelmap.txt`` with lines ``name:R,G,B::``, or else ``class_names.txt`` with a name for each colour
            of VOC's palette in its order.

    Raises:
        FileNotFoundError: there is neither.
        ValueError: a line is of another form, two have one colour, or the file is no text in UTF-8.
    """
    path = folder / "labelmap.txt"
    names = folder / "class_names.txt"
    if not path.is_file() and names.is_file():
        lines = [line.strip() for line in read_text(names).splitlines()]
        return {_VOID: None, **{_voc_color(k): BACKGROUND if n == "_background_" else n for k, n in enumerate(lines)}}
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: it is missing, so nothing tells what the colours of the masks mean; write it with a line "
            "'name:R,G,B::' for each class, as CVAT does"
        )
    colors: dict[Value, str | None] = {_VOID: None}
    refusals = Refusals()
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        parts = [p.strip() for p in rest.partition(":")[0].split(",")]
        with refusals:
            if len(parts) != 3 or not all(p.isdecimal() and int(p) < 256 for p in parts):
                raise ValueError(f"{path}, line {number}: {line!r} is not of the form 'name:R,G,B::'")
            red, green, blue = map(int, parts)
            taken = colors.get((red, green, blue))
            if taken is not None:
                raise ValueError(f"{path}, line {number}: {name!r} has the colour of {taken!r}; give it another")
            colors[red, green, blue] = name.strip()
    refusals.tell()
    return colors


def _voc_color(number: int) -> tuple[int, int, int]:
    """Colour of VOC's palette: the bits of the number dealt in turn to red, green and blue, high ones first.

    >>> [_voc_color(k) for k in (0, 1, 2, 15)]
    [(0, 0, 0), (128, 0, 0), (0, 128, 0), (192, 128, 128)]
    """
    channels = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            channels[channel] |= (number >> (3 * place + channel) & 1) << (7 - place)
    return channels[0], channels[1], channels[2]
