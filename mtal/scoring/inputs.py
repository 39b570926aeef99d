"""What the model is fed: frames, or the features that a frozen encoder computed from them once."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from mtal.frames.bounded_folder import BoundedFolder
from mtal.frames.cache import FrameArray
from mtal.frames.prefetch import prefetch
from mtal.models import MultiTaskModel
from mtal.progress import track
from mtal.scoring.levels_folder import Levels, write_levels

ModelInput = Tensor | list[Tensor]
Module = TypeVar("Module", bound=nn.Module)

_FORMAT = 3  # raised whenever cached levels would lie on disk in another way
_FEWEST, _MOST = 32, 256  # frames of a batch; segments are multiples of both
_BATCH_BYTES = 2**23  # of features; what decoders make of more is new memory from the system for each map

_log = logging.getLogger(__name__)


class Inputs(Protocol):
    """Model inputs of every frame of a data set, by position in its frame index."""

    @property
    def key(self) -> str:
        """A digest of all that they depend on."""
        ...

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

    @property
    def key(self) -> str:
        """See :class:`Inputs`."""
        return self.frames.key

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

    Raises:
        ValueError: its files are not whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._levels = [np.load(f, mmap_mode="r") for f in sorted(folder.glob("level*.npy"))]
        if not self._levels:
            raise ValueError(f"{folder} holds no features")

    def __reduce__(self) -> tuple[type[FeatureInputs], tuple[Path]]:
        return FeatureInputs, (self.folder,)  # workers map the files again instead of receiving copies of them

    def __len__(self) -> int:
        return len(self._levels[0])

    @property
    def key(self) -> str:
        """See :class:`Inputs`; the folder is named after it."""
        return self.folder.name

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of each level of a frame, as it lies on disk."""
        return [level.shape[1:] for level in self._levels]

    def row(self, position: int) -> np.ndarray:
        """All levels of a frame one after the other, float16."""
        return np.concatenate([level[position].reshape(-1) for level in self._levels])

    def batch(self, positions: np.ndarray) -> list[Tensor]:
        """See :class:`Inputs`."""
        levels = [torch.from_numpy(level[positions]).float() for level in self._levels]
        return [x.permute(0, 3, 1, 2) if x.ndim == 4 else x for x in levels]

    @classmethod
    def compute(
        cls,
        model: MultiTaskModel,
        frames: FrameArray,
        root: Path,
        device: torch.device,
        batch_size: int = 32,
        bound: BoundedFolder | None = None,
    ) -> FeatureInputs:
        """Run the encoder of ``model`` once over all frames, or find that it was done before.

        The folder's name is a hash of the encoder's weights and normalisation, of the levels that the decoder reads and
        of the frames' cache keys, so runs of a sweep share it and no stale feature can be read. It appears under its
        final name only when whole. Of processes that want the same features at once, one encodes and the others wait
        for it.

        Args:
            model: its encoder is left in evaluation mode on ``device``.
            frames: to be encoded.
            root: folder of all features; made when needed.
            device: where the encoder runs.
            batch_size: frames at a time.
            bound: makes room for the features and protects them, where there is a limit.

        Raises:
            OSError: they do not fit on the disk; told before any is written, where it can be known.
        """
        folder = root / f"{model.encoder.name}-{encoder_key(model, frames)}"
        root.mkdir(parents=True, exist_ok=True)
        if bound is not None:
            bound.use([folder])
        made = cls._whole(folder)
        if made is not None:
            return made
        with _alone(folder):
            made = cls._whole(folder)
            if made is None:
                shutil.rmtree(folder, ignore_errors=True)
                write_levels(_encoded(model, frames, device, batch_size), len(frames), folder, bound)
        return made or cls(folder)

    @classmethod
    def _whole(cls, folder: Path) -> FeatureInputs | None:
        if not folder.is_dir():
            return None
        try:
            return cls(folder)
        except (ValueError, OSError, EOFError):
            _log.warning("%s: the cached features are damaged; encoding the frames again", folder)
        return None


def _encoded(model: MultiTaskModel, frames: FrameArray, device: torch.device, batch_size: int) -> Iterator[Levels]:
    """What the decoder reads of each batch of frames, channels last, in half precision."""
    ready(model.encoder, device)
    inputs = FrameInputs(frames)
    batches = list(batched(np.arange(len(frames)), batch_size))
    for images in track(prefetch(inputs.batch(b) for b in batches), "Encoding frames once", len(batches), "batches"):
        with torch.inference_mode():
            levels = model.encode(images.to(device))
            levels = [x.permute(0, 2, 3, 1) if x.ndim == 4 else x for x in levels]
            halves = [x.half().cpu().numpy() for x in levels]
        yield halves


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The only process that makes ``folder``. One that is killed lets go of its lock."""
    locks = folder.parent / ".locks"
    locks.mkdir(exist_ok=True)
    lock = FileLock(locks / f"{folder.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _log.warning("%s: another process is encoding the same frames; waiting for its features", folder)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def encoder_key(model: MultiTaskModel, frames: FrameArray) -> str:
    """A hash of all that levels of ``frames`` depend on."""
    digest = hashlib.sha256(f"{_FORMAT} {frames.key} {model.decoder.reads}".encode())
    for name, tensor in sorted(model.encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    digest.update(os.fsencode(model.encoder.name))
    digest.update(repr(model.encoder.normalisation).encode())
    return digest.hexdigest()[:20]


def batched(positions: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Consecutive slices of at most ``batch_size``."""
    for start in range(0, len(positions), batch_size):
        yield positions[start : start + batch_size]


def fitting(one: ModelInput) -> int:
    """How many frames the model looks at at a time: the fewer the calls, the less of them is overhead.

    Pictures, of which an encoder makes many maps, are 32; features, of which much less is made, as many as
    :data:`_BATCH_BYTES` hold, from 32 to 256.

    Args:
        one: input of a single frame.

    >>> fitting([torch.zeros(1, 512, 1, 1)]), fitting([torch.zeros(1, 32, 32, 32)]), fitting(torch.zeros(1, 3, 64, 64))
    (256, 64, 32)
    """
    if isinstance(one, Tensor):
        return _FEWEST
    room = _BATCH_BYTES // sum(level.nbytes for level in one)
    return min(_MOST, max(_FEWEST, 2 ** (int(room).bit_length() - 1)))


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
