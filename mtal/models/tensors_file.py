"""The tensors of a file by dotted name, read without running what is pickled in it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.serialization import safe_globals

_UNREADABLE = (RuntimeError, EOFError, LookupError, ValueError, SafetensorError, UnpicklingError)
"""What torch and safetensors raise over bytes that are not theirs."""

_OF_CODE = re.compile(r"WeightsUnpickler error: (Unsupported .*?)(?: was not an allowed|\.\s|\n|$)")

_KEEP_TENSORS = (
    "import torch; keep = lambda d: {{k: keep(v) if isinstance(v, dict) else v for k, v in d.items() "
    "if isinstance(v, (dict, torch.Tensor))}}; "
    "torch.save(keep(torch.load('{path}', map_location='cpu', weights_only=False)), 'tensors.pth')"
)


def refuse_missing_file(path: Path) -> None:
    """A file of weights has to be there.

    Raises:
        FileNotFoundError: it is not.
    """
    if not path.is_file():
        raise FileNotFoundError(f"encoder.weights: there is no file {path}")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of ``path``, those in dictionaries within dictionaries under their names joined by dots.

    Args:
        path: ``.safetensors``, or whatever ``torch.save`` wrote under another name.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not a file of tensors, or holds objects that only their own code could make.
    """
    refuse_missing_file(path)
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _unpickled(path)
    except _UNREADABLE as error:
        told = _OF_CODE.search(str(error)) if isinstance(error, UnpicklingError) else None
        if told is None:
            raise ValueError(f"encoder.weights: {path} can't be read as a file of weights: {error}") from error
        raise ValueError(
            f"encoder.weights: {path} can't be read as a file of weights: beside tensors it holds objects whose code "
            f"would be run ({told[1]}). If you trust it, keep its tensors alone and give that file: "
            f'python -c "{_KEEP_TENSORS.format(path=path)}"'
        ) from error
    tensors = dict(_tensors(content))
    if not tensors:
        raise ValueError(f"encoder.weights: {path} can't be read as a file of weights: it holds no tensor with a name")
    return tensors


def _unpickled(path: Path) -> Any:
    with safe_globals([argparse.Namespace]):  # the arguments that a training was started with
        return torch.load(path, map_location="cpu", weights_only=True)


def _tensors(content: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(content, Tensor) and name:
        yield name, content
    if isinstance(content, Mapping):
        for key, value in content.items():
            if isinstance(key, str):
                yield from _tensors(value, f"{name}.{key}" if name else key)
