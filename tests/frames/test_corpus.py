"""Every frame of every clip with every reader: right, or an error that names the file and the frame."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import outcomes
import pytest

from mtal.frames.decord_reader import DecordReader
from mtal.frames.protocol import Reader
from mtal.frames.reader import open_reader

from .conftest import CLIPS

ORDERS = 20
ROUNDING = 8  # gray levels between two conversions from YUV; neighbouring frames differ by 37 in nearly every pixel
REFUSED = {"cut", "over_reported"}  # as a whole, unless the user takes what there is
UNREADABLE = {"cut_before_the_index", "empty", "text", "audio", "no_frame", "no_frame_avi", "folder", "dangling"}


def plain(path: Path) -> list[np.ndarray]:
    """The frames that come out of PyAV as it is, up to the first error; one clip is to be turned clockwise."""
    frames: list[np.ndarray] = []
    with suppress(OSError, ValueError, IndexError), av.open(str(path)) as container:
        frames.extend(frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))
    return [np.rot90(frame, -1) for frame in frames] if path.stem == "rotated" else frames


def orders(n: int, count: int) -> list[list[int]]:
    """``count`` requests in random order that together ask for every frame at least once."""
    rng = np.random.default_rng(0)
    size = max(3, -(-n // count))
    shuffled = np.concatenate([rng.permutation(n) for _ in range(-(-count * size // n))])
    return shuffled[: count * size].reshape(count, size).tolist()


def in_short(message: str) -> str:
    """An error without the file's name and the way out."""
    return re.sub(r"^\S+: ", "", message).partition(";")[0]


@pytest.mark.parametrize("backend", ["pyav", "decord", "auto"])
@pytest.mark.parametrize("name", CLIPS)
def test_right_or_a_clear_error(clip, name, backend):
    path = clip(name)
    if name in REFUSED | UNREADABLE:
        with pytest.raises((OSError, ValueError), match=re.escape(str(path))) as refusal:
            open_reader(path, backend)
        outcomes.record(name, backend, f"refused: {in_short(str(refusal.value))}")
        return
    try:
        reader = open_reader(path, backend, limit_s=20)
    except ValueError as error:
        if backend != "decord" or f"{path}: decord " not in str(error):
            raise
        outcomes.record(name, backend, f"refused: {in_short(str(error))}")
        return
    expected = plain(path)
    tolerance = 0 if backend == "pyav" else ROUNDING
    got: Counter[str] = Counter()
    with reader:
        for order in orders(len(reader), ORDERS):
            for asked, answer in answers(reader, order):
                if isinstance(answer, ValueError):
                    assert str(path) in str(answer)
                    assert f"frame {asked[0]} " in str(answer)
                    got[in_short(re.sub(r"\d+", "#", str(answer)))] += 1
                    continue
                assert len(answer) == len(asked)
                for k, picture in zip(asked, answer, strict=True):
                    difference = np.abs(picture.astype(int) - expected[k]).max()
                    assert difference <= tolerance, f"frame {k} is wrong by {difference} gray levels"
                got["right"] += len(asked)
        used = "decord" if reader._make.func is DecordReader else "PyAV"
    assert got["right"] >= 20
    outcomes.record(name, backend, f"{used}: " + ", ".join(f"{count} {what}" for what, count in got.items()))


def answers(reader: Reader, asked: list[int]) -> Iterator[tuple[list[int], np.ndarray | ValueError]]:
    """The frames at once, or one by one where some are refused."""
    try:
        yield asked, reader.read(asked)
    except ValueError as error:
        if len(asked) == 1:
            yield asked, error
        else:
            for k in asked:
                yield from answers(reader, [k])
