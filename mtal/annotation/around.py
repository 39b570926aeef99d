"""Chosen frames with the seconds around each, as annotators are shown them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from mtal.annotation.pictures import recordings
from mtal.frames.protocol import Reader
from mtal.frames.reader import read_pictures

Picture = npt.NDArray[np.uint8]
SECONDS = (-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0)
_HEIGHT, _GAP = 120, 4
_FRAME = (255, 200, 0)
_FONT = ImageFont.load_default(size=24)  # of a strip that is shown at less than half its size


class Seen(NamedTuple):
    """A frame as it is shown.

    Args:
        row: of the request, from 0.
        picture: ``[H, W, 3]``.
        strip: the seconds around it beside each other, smaller, with the frame itself outlined.
    """

    row: int
    picture: Picture
    strip: Picture


def pictures_around(frames: pd.DataFrame) -> Iterator[Seen]:
    """Each frame of ``source, frame``; every recording is opened once.

    Raises:
        FileNotFoundError: a recording is gone.
        ValueError: a frame cannot be read.
    """
    for reader, some in recordings(frames):
        for row, frame in zip(some.index.tolist(), some["frame"].tolist(), strict=True):
            shown = neighbours(reader, frame)
            pictures = dict(zip(shown, read_pictures(reader, list(shown)), strict=True))
            yield Seen(row, pictures[frame], strip(list(pictures.values()), list(shown.values())))


def neighbours(reader: Reader, frame: int) -> dict[int, float]:
    """Frame → seconds from ``frame``, in order: the ones nearest to the offsets that the recording has.

    Raises:
        ValueError: the recording has no such frame.
    """
    at = int(np.searchsorted(reader.frames, frame))
    if at == len(reader.frames) or reader.frames[at] != frame:
        raise ValueError(f"{reader.source}: frame {frame} cannot be read; it has {len(reader.frames)} frames")
    times = reader.times_s - reader.times_s[at]
    near = {int(np.abs(times - offset).argmin()) for offset in SECONDS if times[0] <= offset <= times[-1]} | {at}
    return {int(reader.frames[i]): float(times[i]) for i in sorted(near)}


def strip(pictures: Sequence[Picture], seconds: Sequence[float]) -> Picture:
    """Pictures beside each other, each with its seconds; the one of 0 s is outlined: ``[h, w, 3]``."""
    small = [_thumbnail(Image.fromarray(picture)) for picture in pictures]
    whole = Image.new("RGB", (sum(s.width + _GAP for s in small) + _GAP, _HEIGHT + 2 * _GAP))
    drawing, x = ImageDraw.Draw(whole), _GAP
    for picture, second in zip(small, seconds, strict=True):
        if second == 0:
            drawing.rectangle((x - _GAP, 0, x + picture.width + _GAP - 1, whole.height - 1), fill=_FRAME)
        whole.paste(picture, (x, _GAP))
        text = "this one" if second == 0 else f"{second:+.3g} s"
        drawing.text((x + 4, _GAP + 2), text, fill="white", stroke_width=2, stroke_fill="black", font=_FONT)
        x += picture.width + _GAP
    return np.asarray(whole)


def _thumbnail(picture: Image.Image) -> Image.Image:
    width = max(1, round(picture.width * _HEIGHT / picture.height))
    return picture.resize((width, _HEIGHT), Image.Resampling.BILINEAR)
