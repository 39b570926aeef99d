"""Trainings that were made before are not made again: runs of a sweep that begin with the same frames share the first.

Runs that differ in what they pick by, and in nothing else, have labelled the same frames in the first round, and train
the same model on them. What comes of a training is decided by its arguments, so it is kept under a digest of all that
they are: of the model and its weights before it, of frames, labels, settings and seed, and of the code, the libraries
and the device.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

import mtal
from mtal.datasets.masks import Masks, SomeLabels
from mtal.frames.bounded_folder import BoundedFolder
from mtal.learning.out_of_fold import OutOfFold, out_of_fold
from mtal.learning.plateau import Course
from mtal.learning.trainer_settings import TrainerSettings
from mtal.learning.training import Training
from mtal.learning.validation import fit_judged
from mtal.learning.views import AugmentedInputs
from mtal.models import MultiTaskModel
from mtal.scoring.inputs import Inputs
from mtal.tasks.posterior import HeadOutput
from mtal.tasks.task import Task
from mtal.whole_files import whole_or_not

FOLDER = "trainings"
_LIBRARIES = ("torch", "lightning", "timm", "segmentation-models-pytorch", "torchmetrics", "kornia")
_ABOUT = "about"

_log = logging.getLogger(__name__)


class Trainings:
    """:func:`fit_judged` and :func:`out_of_fold`, which look whether their very result is there already.

    A training that learns from more than labels, or stops by frames of the split ``val``, is always made.

    Args:
        bound: the cache; ``None`` to keep nothing.
    """

    def __init__(self, bound: BoundedFolder | None = None) -> None:
        self._bound = bound

    def fit_judged(
        self,
        model: MultiTaskModel,
        tasks: Sequence[Task],
        inputs: Inputs,
        positions: npt.NDArray[np.int64],
        labels: Mapping[str, SomeLabels],
        settings: TrainerSettings,
        **options: Any,
    ) -> Training:
        """See :func:`mtal.learning.validation.fit_judged`; a model whose weights were kept is left on the CPU."""

        def train() -> Training:
            return fit_judged(model, tasks, inputs, positions, labels, settings, **options)

        by_val = options.get("measure_val") is not None and settings.until == "plateau"
        if self._bound is None or options.get("derived") or by_val:
            return train()
        options = {k: v for k, v in options.items() if k not in ("derived", "measure_val")}
        file = self._file("training", model, tasks, inputs, positions, labels, settings, options)
        if (kept := self._kept(file)) is not None:
            model.cpu().load_state_dict(kept[0], strict=False)
            model.eval()
            return _as_training(kept[1])
        training = train()
        self._keep(file, model.trained_state(), asdict(training))
        return training

    def out_of_fold(
        self,
        make_model: Callable[[], MultiTaskModel],
        tasks: Sequence[Task],
        inputs: Inputs,
        positions: npt.NDArray[np.int64],
        labels: Mapping[str, SomeLabels],
        settings: TrainerSettings,
        **options: Any,
    ) -> OutOfFold:
        """See :func:`mtal.learning.out_of_fold.out_of_fold`."""
        if self._bound is None:
            return out_of_fold(make_model, tasks, inputs, positions, labels, settings, **options)
        file = self._file("folds", make_model(), tasks, inputs, positions, labels, settings, options)
        if (kept := self._kept(file)) is not None:
            return _as_out_of_fold(*kept)
        found = out_of_fold(make_model, tasks, inputs, positions, labels, settings, **options)
        tensors = {f"probs/{name}": head.probs for name, head in found.heads.items()}
        tensors |= {f"targets/{name}": y for name, y in found.targets.items()}
        heads = {name: {"family": head.family, "grid": head.grid} for name, head in found.heads.items()}
        self._keep(file, tensors, {"scores": found.scores, "heads": heads})
        return found

    def _file(
        self,
        kind: str,
        model: MultiTaskModel,
        tasks: Sequence[Task],
        inputs: Inputs,
        positions: npt.NDArray[np.int64],
        labels: Mapping[str, SomeLabels],
        settings: TrainerSettings,
        options: Mapping[str, Any],
    ) -> Path:
        assert self._bound is not None
        views = (inputs.augmentation, inputs.seed, inputs.views) if isinstance(inputs, AugmentedInputs) else None
        asked = (inputs.key, views, positions, labels, settings, options)
        digest = hashlib.sha256()
        of_model = (_built(model), model.trained_state())
        for part in (kind, _surroundings(settings.device()), of_model, list(tasks), asked):
            _feed(digest, part)
        return self._bound.root / FOLDER / f"{kind}-{digest.hexdigest()[:32]}.safetensors"

    def _kept(self, file: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """What was kept; ``None`` where nothing was."""
        assert self._bound is not None
        self._bound.use([file])  # so that nobody makes room of it now
        if not file.is_file():
            return None
        try:
            with safe_open(file, "pt") as content:
                about: dict[str, Any] = json.loads(content.metadata()[_ABOUT])
                names = content.keys()
                return {name: content.get_tensor(name) for name in names}, about
        except SafetensorError as error:
            _log.warning("%s: damaged (%s); what it held is trained again", file, error)
            return None

    def _keep(self, file: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
        assert self._bound is not None
        content = save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, {_ABOUT: json.dumps(about)})
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._bound.make_room(len(content))
            with whole_or_not(file, several=True) as unfinished:
                unfinished.write_bytes(content)
        except OSError as error:  # what was trained is not lost for that
            why = os.strerror(error.errno) if error.errno else error
            _log.warning("%s: not kept (%s), so a run that begins alike trains again", file, why)


def _built(model: nn.Module) -> list[tuple[str, str, dict[str, object]]]:
    """What a model is made of beside its weights, which say nothing of dropout, of neighbours or of normalisation.

    Of each module its name, its type and the plain values that it holds. Functions and the like are left out: they
    differ by the code, or by the type.
    """
    modules = [(name, module, sorted(vars(module).items())) for name, module in model.named_modules()]
    return [
        (name, type(module).__qualname__, {k: v for k, v in held if k[0] != "_" and k != "training" and _is_plain(v)})
        for name, module, held in modules
    ]


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str | range)


def _as_training(about: dict[str, Any]) -> Training:
    course = None if about["course"] is None else Course(**about["course"])
    scores = [(step, score) for step, score in about["scores"]]
    return replace(Training(**about), scores=scores, course=course)


def _as_out_of_fold(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> OutOfFold:
    heads = {
        name: HeadOutput(head["family"], tensors[f"probs/{name}"], grid=head["grid"] and tuple(head["grid"]))
        for name, head in about["heads"].items()
    }
    return OutOfFold(about["scores"], heads, {name: tensors[f"targets/{name}"] for name in heads})


def _feed(digest: hashlib._Hash, value: object) -> None:
    """Hash a value, whatever it is made of, so that two that differ are told apart."""
    digest.update(f"{type(value).__name__}:".encode())
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).data)
    elif isinstance(value, Mapping):
        digest.update(f"{len(value)}".encode())
        for key, part in value.items():
            _feed(digest, key)
            _feed(digest, part)
    elif isinstance(value, Masks | list | tuple | np.ndarray):
        digest.update(f"{len(value)}".encode())
        for part in value:
            _feed(digest, part)
    else:
        told = repr(value).encode()
        digest.update(f"{len(told)}:".encode() + told)


def _surroundings(device: torch.device) -> tuple[object, ...]:
    """All that decides what a training gives beside its arguments."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    return device.type, name, torch.get_num_threads(), *(version(library) for library in _LIBRARIES), _code()


@cache
def _code() -> str:
    root = Path(mtal.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes())
    return digest.hexdigest()
