"""What the pages have in common: templates, figures in words, and images that travel inside the page."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

from mtal.reporting.overlay import colorize
from mtal.reporting.run_reader import IGNORE, Task


def environment() -> Environment:
    """The templates, with the filters that they use."""
    made = Environment(
        loader=PackageLoader("mtal.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        number=_number, significant=_significant, signed=_signed, seconds=_seconds, clock=clock, rgb=_rgb
    )
    return made


def thumbnail(path: Path, side: int) -> tuple[str, tuple[int, int]]:
    """A picture as a JPEG data URI whose longer side has at most ``side`` pixels, and its (width, height)."""
    with Image.open(path) as stored:
        small = stored.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _data_uri(small, "JPEG", quality=82, optimize=True), small.size


def layer_of(mask: NDArray[np.uint8], task: Task, size: tuple[int, int]) -> str:
    """A mask, ``[H, W]`` or ``[C, H, W]``, as a see-through PNG data URI of ``size`` (width, height)."""
    flat = mask.reshape(-1, *mask.shape[-2:])  # [1 or C, H, W]
    small = [np.asarray(Image.fromarray(m).resize(size, Image.Resampling.NEAREST)) for m in flat]
    layers = np.stack(small) if mask.ndim == 3 else small[0]
    return _data_uri(Image.fromarray(colorize(layers, task.colors)), "PNG")


def classes_in(mask: NDArray[np.uint8], task: Task) -> tuple[str, ...] | None:
    """Names of the classes that a mask shows, ``None`` where nothing is annotated."""
    if (mask == IGNORE).all():
        return None
    shown = range(len(task.classes))
    return tuple(task.classes[c] for c in shown if (mask[c] == 1 if mask.ndim == 3 else mask == c).any())


def clock(seconds: float) -> str:
    """Time in a video as h:mm:ss or m:ss."""
    if not math.isfinite(seconds):
        return "time unknown"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def _data_uri(image: Image.Image, kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def _significant(value: float) -> str:
    """Scores of different signals differ by orders of magnitude."""
    return f"{value:.3g}" if math.isfinite(value) else "–"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−") if math.isfinite(value) else ""


def _seconds(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    if round(value, 1) < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _rgb(color: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
