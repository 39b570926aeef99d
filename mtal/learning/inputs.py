"""What the model is fed: frames, or the features that a frozen encoder computed from them once."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeVar
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor, nn

from mtal.frames.cache import FrameArray
from mtal.frames.prefetch import prefetch
from mtal.models import Encoder
from mtal.progress import track

ModelInput = Tensor | list[Tensor]
Module = TypeVar("Module", bound=nn.Module)

_FORMAT = 2  # raised whenever cached levels would lie on disk in another way


class Inputs(Protocol):
    """Model inputs of every frame of a data set, by position in its frame index."""

    def __len__(self) -> int:
        """Number of frames."""
        ...

    def batch(self, positions: np.ndarray) -> ModelInput:
        """Inputs of the frames at ``positions [n]``, in that order."""
        ...


class FrameInputs:
    """uint8 images ``[n, 3, H, W]`` from the frame cache."""

    def __init__(self, frames: FrameArray) -> None:
        self.frames = frames

    def __len__(self) -> int:
        return len(self.frames)

    def batch(self, positions: np.ndarray) -> Tensor:
        """See :class:`Inputs`."""
        return torch.from_numpy(self.frames[positions]).permute(0, 3, 1, 2)  # [n, 3, H, W], channels last in memory


class FeatureInputs:
    """Levels of a frozen encoder ``[n, C, h, w]``, memory-mapped in float16 and given back in float32.

    Maps lie on disk with their channels last, which is how the decoder's convolutions are fastest on them.

    Args:
        folder: made by :meth:`compute`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._levels = [np.load(f, mmap_mode="r") for f in sorted(folder.glob("level*.npy"))]

    def __reduce__(self) -> tuple[type[FeatureInputs], tuple[Path]]:
        return FeatureInputs, (self.folder,)  # workers map the files again instead of receiving copies of them

    def __len__(self) -> int:
        return len(self._levels[0])

    def batch(self, positions: np.ndarray) -> list[Tensor]:
        """See :class:`Inputs`."""
        levels = [torch.from_numpy(level[positions]).float() for level in self._levels]
        return [x.permute(0, 3, 1, 2) if x.ndim == 4 else x for x in levels]

    @classmethod
    def compute(
        cls, encoder: Encoder, frames: FrameArray, root: Path, device: torch.device, batch_size: int = 32
    ) -> FeatureInputs:
        """Run ``encoder`` once over all frames, or find that it was done before.

        The folder's name is a hash of the encoder's weights and of the frames' cache keys, so runs of a sweep share it
        and no stale feature can be read. It appears under its final name only when whole.
        """
        folder = root / f"{encoder.name}-{_key(encoder, frames)}"
        if folder.is_dir():
            return cls(folder)
        temporary = root / f".{folder.name}.{uuid4().hex[:8]}"
        temporary.mkdir(parents=True)
        try:
            _write_levels(encoder, frames, temporary, device, batch_size)
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process was faster, and its features are the same
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return cls(folder)


def _write_levels(encoder: Encoder, frames: FrameArray, folder: Path, device: torch.device, batch_size: int) -> None:
    encoder = ready(encoder, device)
    maps: list[np.memmap] = []
    batches = list(batched(np.arange(len(frames)), batch_size))
    inputs = FrameInputs(frames)
    done = 0
    with torch.inference_mode():
        for images in track(prefetch(inputs.batch(b) for b in batches), "Encoding frames once", total=len(batches)):
            levels = encoder(images.to(device))
            for i, level in enumerate(x.permute(0, 2, 3, 1) if x.ndim == 4 else x for x in levels):
                if len(maps) == i:
                    shape = (len(frames), *level.shape[1:])
                    path = folder / f"level{i:02d}.npy"
                    maps.append(np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape))
                maps[i][done : done + len(images)] = level.half().cpu().numpy()
            done += len(images)
    for level_map in maps:
        level_map.flush()


def _key(encoder: Encoder, frames: FrameArray) -> str:
    digest = hashlib.sha256(f"{_FORMAT} {frames.key}".encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    digest.update(os.fsencode(encoder.name))
    return digest.hexdigest()[:20]


def batched(positions: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Consecutive slices of at most ``batch_size``."""
    for start in range(0, len(positions), batch_size):
        yield positions[start : start + batch_size]


def ready(model: Module, device: torch.device) -> Module:
    """``model`` on ``device`` in evaluation mode, to be called before or within inference mode.

    A parameter that is copied to another device within inference mode stays an inference tensor, through which no
    gradient ever goes again; so the move is made outside of it, wherever the caller is.
    """
    with torch.inference_mode(mode=False):
        return model.to(device).eval()


def to_device(inputs: ModelInput, device: torch.device) -> ModelInput:
    """The same inputs on ``device``."""
    if isinstance(inputs, Tensor):
        return inputs.to(device, non_blocking=True)
    return [level.to(device, non_blocking=True) for level in inputs]
