"""Somebody who labels with CVAT: exports as that tool writes them, made by plain loops."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import quoteattr
from zipfile import ZipFile

import numpy as np
from PIL import Image

Marks = Sequence[str]


def tag(label: str) -> str:
    """A tag of the image."""
    return f'<tag label={quoteattr(label)} source="manual">\n    </tag>'


def mask(label: str, there: np.ndarray, level: int = 0) -> str:
    """A mask of a label, in the smallest window."""
    rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    window = there[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    runs = [(value, len(list(some))) for value, some in groupby(window.ravel().tolist())]
    counts = ([0] if runs[0][0] else []) + [n for _, n in runs]
    at = f'left="{columns[0]}" top="{rows[0]}" width="{window.shape[1]}" height="{window.shape[0]}"'
    rle = ", ".join(map(str, counts))
    return f'<mask label={quoteattr(label)} source="manual" occluded="0" rle="{rle}" {at} z_order="{level}"></mask>'


def masks(task: str, classes: Sequence[str], label: np.ndarray) -> list[str]:
    """Of class numbers ``[H, W]``, or of layers ``[C, H, W]``; classes that are not there have none."""
    layers = label == np.arange(len(classes))[:, None, None] if label.ndim == 2 else label == 1
    return [mask(f"{task}/{name}", there) for name, there in zip(classes, layers, strict=True) if there.any()]


def xml(images: Mapping[str, Marks], size: tuple[int, int]) -> str:
    """``annotations.xml`` of CVAT for images 1.1."""
    parts = ['<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta></meta>']
    for number, (name, marks) in enumerate(images.items()):
        parts.append(f'  <image id="{number}" name={quoteattr(name)} width="{size[1]}" height="{size[0]}">')
        parts += [f"    {mark}" for mark in marks] + ["  </image>"]
    return "\n".join([*parts, "</annotations>\n"])


def give_back(folder: Path, images: Mapping[str, Marks], size: tuple[int, int], name: str = "job_1.zip") -> Path:
    """Put an export into the folder of a request."""
    return zipped(folder, {"annotations.xml": xml(images, size)}, name)


def zipped(folder: Path, files: Mapping[str, str | bytes], name: str = "job_1.zip") -> Path:
    """Put a zip of files into the folder of a request."""
    path = folder / "given_back" / name
    path.parent.mkdir(exist_ok=True)
    with ZipFile(path, "w") as archive:
        for member, content in files.items():
            archive.writestr(member, content)
    return path


def png(pixels: np.ndarray) -> bytes:
    """A picture as a file."""
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(file, format="PNG")
    return file.getvalue()


def asked(folder: Path) -> dict[str, str]:
    """Picture → frame of a request."""
    return {f["image"]: f["frame_id"] for f in json.loads((folder / "request.json").read_text())["frames"]}
