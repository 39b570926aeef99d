"""Inputs of which training sees other views at every pass; with a frozen encoder a few of each frame, encoded once."""

from __future__ import annotations

import hashlib
import math
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtal.frames.bounded_folder import BoundedFolder
from mtal.frames.cache import FrameArray
from mtal.learning import augmentation as augmentation_module
from mtal.learning.augmentation import Augmentation
from mtal.models import MultiTaskModel
from mtal.progress import track
from mtal.scoring.inputs import FeatureInputs, FrameInputs, Inputs, ModelInput, encoder_key, ready
from mtal.scoring.levels_folder import ELSEWHERE, make_room
from mtal.whole_files import whole_or_not


@cache
def _code() -> str:
    """What makes a view of a frame: masks are cut anew at each pass, and must lie as the kept levels do."""
    source = Path(augmentation_module.__file__).read_bytes()
    return f"{hashlib.sha256(source).hexdigest()} {version('kornia')}"


class AugmentedInputs:
    """Inputs for everything but training as they are, and views for training.

    A frame's k-th pass shows view k, or k mod ``views`` where so many are kept. What a view is depends on seed, frame
    and number of the view alone, so a run that goes on sees what one that was never interrupted would have seen.

    Args:
        inputs: images, or levels of a frozen encoder.
        augmentation: what views are.
        seed: of the run.
        cache: keeps the encoder's levels of views; none where images go through the encoder at every step.
        views: how many there are of each frame; ``None`` for a new one at every pass.
    """

    def __init__(
        self,
        inputs: Inputs,
        augmentation: Augmentation,
        seed: int,
        cache: CachedViews | None = None,
        views: int | None = None,
    ) -> None:
        self.inputs = inputs
        self.augmentation = augmentation
        self.seed = seed
        self.cache = cache
        self.views = augmentation.views if cache is not None else views

    @property
    def key(self) -> str:
        """See :class:`~mtal.scoring.inputs.Inputs`: of the frames as they are."""
        return self.inputs.key

    def __len__(self) -> int:
        return len(self.inputs)

    def batch(self, positions: np.ndarray) -> ModelInput:
        """See :class:`~mtal.scoring.inputs.Inputs`."""
        return self.inputs.batch(positions)

    def prepare(self, model: MultiTaskModel, positions: np.ndarray, device: torch.device) -> None:
        """Encode the views of the frames at ``positions [n]`` that are not in the cache."""
        if self.cache is not None:
            self.cache.fill(model, positions, device)

    def training_batch(
        self, positions: np.ndarray, passes: np.ndarray, *, always_changed: bool = False
    ) -> tuple[ModelInput, Tensor]:
        """What the model is fed of frames in their k-th passes, both ``[n]``, and the draws of these views.

        Images are those of the frames, to be turned into views where the model is; levels are of the views. With
        ``always_changed`` the frame itself, which is view 0, is left out.
        """
        first = int(always_changed)
        views = first + (passes if self.views is None else passes % (self.views - first))
        draw = self.augmentation.draw(self.seed, positions, views)
        inputs = self.inputs.batch(positions) if self.cache is None else self.cache.batch(positions, views)
        return inputs, draw


class CachedViews:
    """Levels of a frozen encoder of some views of frames, a file for each frame that was labelled.

    The folder's name is a hash of encoder, frames, augmentation and seed; a file gets its name when it is whole.

    Args:
        features: the levels of the frames themselves, which are view 0.
        model: its encoder.
        frames: pictures.
        augmentation: what views are, and how many.
        seed: of the run.
        root: folder of all features.
        bound: makes room and protects the folder, where there is a limit.
    """

    def __init__(
        self,
        features: FeatureInputs,
        model: MultiTaskModel,
        frames: FrameArray,
        augmentation: Augmentation,
        seed: int,
        root: Path,
        bound: BoundedFolder | None = None,
    ) -> None:
        made_by = f"{encoder_key(model, frames)} {augmentation} {seed} {_code()}"
        key = hashlib.sha256(made_by.encode()).hexdigest()[:20]
        self.folder = root / f"{model.encoder.name}-{key}-views"
        self.features = features
        self._frames, self._augmentation, self._seed, self._bound = frames, augmentation, seed, bound
        self._shapes = features.shapes
        self._length = sum(math.prod(shape) for shape in self._shapes)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_bound": None, "_frames": None}  # workers read, and fill nothing

    def fill(self, model: MultiTaskModel, positions: np.ndarray, device: torch.device) -> None:
        """Encode what is missing of the frames at ``positions``.

        The views of a frame are a batch of their own, so that its levels do not depend on what else is encoded.

        Raises:
            OSError: they do not fit on the disk.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._bound is not None:
            self._bound.use([self.folder])
        size = 2 * self._length * (self._augmentation.views - 1)
        missing = [p for p in np.unique(positions).tolist() if not _is_whole(self._file(p), size)]
        if not missing:
            return
        make_room(len(missing) * size, f"{self._augmentation.views} views of {len(missing)}", self.folder, self._bound)
        ready(model.encoder, device)
        for position in track(missing, "Encoding views once", total=len(missing)):
            levels = self._encoded(model, position, device)
            with whole_or_not(self._file(position), ELSEWHERE, several=True) as unfinished:
                unfinished.write_bytes(levels.data)

    def _encoded(self, model: MultiTaskModel, position: int, device: torch.device) -> np.ndarray:  # [views - 1, length]
        views = np.arange(1, self._augmentation.views)
        draw = self._augmentation.draw(self._seed, np.full(len(views), position), views).to(device)
        images = FrameInputs(self._frames).batch(np.array([position])).to(device).expand(len(views), -1, -1, -1)
        with torch.inference_mode():
            levels = model.encode(self._augmentation.images(images, draw))
            levels = [x.permute(0, 2, 3, 1) if x.ndim == 4 else x for x in levels]
            return torch.cat([x.flatten(1) for x in levels], dim=1).half().cpu().numpy()

    def batch(self, positions: np.ndarray, views: np.ndarray) -> list[Tensor]:
        """Levels of view ``views[i]`` of the frame at ``positions[i]``, as :class:`FeatureInputs` has them."""
        rows = np.empty((len(positions), self._length), dtype=np.float16)
        for row, position, view in zip(rows, positions.tolist(), views.tolist(), strict=True):
            row[:] = self.features.row(position) if view == 0 else self._read(position, view)
        parts = torch.from_numpy(rows).float().split([math.prod(shape) for shape in self._shapes], dim=1)
        levels = [x.view(len(rows), *shape) for x, shape in zip(parts, self._shapes, strict=True)]
        return [x.permute(0, 3, 1, 2) if x.ndim == 4 else x for x in levels]

    def _read(self, position: int, view: int) -> np.ndarray:
        offset = 2 * self._length * (view - 1)
        return np.fromfile(self._file(position), dtype=np.float16, count=self._length, offset=offset)

    def _file(self, position: int) -> Path:
        return self.folder / f"{position:08d}.f16"


def _is_whole(file: Path, size: int) -> bool:
    return file.is_file() and file.stat().st_size == size
