"""``model.safetensors``: the trained tensors of a round, with the heads and the encoder that they belong to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from mtal.models import MultiTaskModel
from mtal.tasks.task import Task

WEIGHTS = "model.safetensors"
_ABOUT = "about"


def write_weights(file: Path, model: MultiTaskModel, tasks: Sequence[Task]) -> None:
    """Write what was trained of ``model``."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.trained_state().items()}
    about = {"tasks": {t.name: t.classes for t in tasks}, "encoder": model.encoder.description}
    content = save(state, metadata={_ABOUT: json.dumps(about)})  # one entry, for several would be written in any order
    file.write_bytes(content)  # save_file hides what the system says of a full disk


def read_weights(file: Path, tasks: Sequence[Task]) -> dict[str, Tensor]:
    """The tensors, for a model with the heads ``tasks``.

    Raises:
        ValueError: the file says that its heads have other classes, or have them in another order.
    """
    learnt = _about(file)["tasks"]
    for task in tasks:
        classes = learnt.get(task.name, list(task.classes))
        if classes != list(task.classes):
            raise ValueError(
                f"{file}: its head {task.name!r} learnt {', '.join(classes)}, not {', '.join(task.classes)}: classes "
                "are told apart by their place, so give those that it learnt, in that order"
            )
    return load_file(file)


def read_encoder(file: Path) -> dict[str, Any] | None:
    """What the encoder was, see :attr:`Encoder.description`; ``None`` in files of earlier versions."""
    encoder: dict[str, Any] | None = _about(file).get("encoder")
    return encoder


def _about(file: Path) -> dict[str, Any]:
    with safe_open(file, "pt") as content:
        told = content.metadata() or {}
    about: dict[str, Any] = (
        json.loads(told[_ABOUT]) if _ABOUT in told else {"tasks": json.loads(told.get("tasks", "{}"))}
    )
    return about
