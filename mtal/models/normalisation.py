"""What an encoder's pictures are made of: their mean, their standard deviation and the order of their channels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, get_args

import timm

from mtal.refusals import refuse

Channels = Literal["rgb", "bgr"]
Three = tuple[float, float, float]


class Normalisation(NamedTuple):
    """(x / 255 − mean) / std, channel by channel in the order ``channels``."""

    mean: Three
    std: Three
    channels: Channels = "rgb"

    def __str__(self) -> str:
        return f"mean {_short(self.mean)} and std {_short(self.std)} of {self.channels}"


def normalisation(
    timm_name: str,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    channels: Channels = "rgb",
) -> Normalisation:
    """The given ones, and timm's for the model ``timm_name`` (of ImageNet where it has none) for what is ``None``.

    Args:
        timm_name: with or without a tag.
        mean: of each channel, of pictures scaled to 0 … 1, in the order ``channels``.
        std: likewise.
        channels: order in which the encoder takes them.

    Raises:
        ValueError: not three numbers each, out of range, or no order; all faults are named.

    >>> print(normalisation("resnet18", std=(1, 1, 1)))
    mean [0.485, 0.456, 0.406] and std [1, 1, 1] of rgb
    """
    refuse(normalisation_faults(mean, std, channels))
    own = timm.get_pretrained_cfg(timm_name)
    turn = -1 if channels == "bgr" else 1
    defaults = (own.mean, own.std) if own is not None else ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    mean, std = (d[::turn] if given is None else given for given, d in zip((mean, std), defaults, strict=True))
    return Normalisation(_three(mean), _three(std), channels)


def normalisation_faults(mean: Sequence[float] | None, std: Sequence[float] | None, channels: str) -> Iterator[str]:
    """What is wrong with given ones, see :func:`normalisation`."""
    for name, given, is_right in (("mean", mean, lambda x: 0 <= x <= 1), ("std", std, lambda x: 0 < x <= 1)):
        if given is not None and not (len(given) == 3 and all(math.isfinite(x) and is_right(x) for x in given)):
            least = "from 0" if name == "mean" else "above 0"
            yield (
                f"encoder.{name} must be three numbers {least} to 1, of pictures scaled to 0 … 1, not {list(given)}"
                + ("; divide by 255" if any(x > 1 for x in given) else "")
            )
    if channels not in get_args(Channels):
        yield f"encoder.channels must be {' or '.join(get_args(Channels))}, not {channels!r}"


def _three(numbers: Sequence[float]) -> Three:
    first, second, third = map(float, numbers)
    return first, second, third


def _short(numbers: Sequence[float]) -> str:
    return f"[{', '.join(f'{x:g}' for x in numbers)}]"
