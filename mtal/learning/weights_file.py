"""``model.safetensors``: the trained tensors of a round, with the heads whose rows they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from mtal.models import MultiTaskModel
from mtal.tasks.task import Task

WEIGHTS = "model.safetensors"


def write_weights(file: Path, model: MultiTaskModel, tasks: Sequence[Task]) -> None:
    """Write what was trained of ``model``."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.trained_state().items()}
    # one entry, for several would be written in any order
    content = save(state, metadata={"tasks": json.dumps({t.name: t.classes for t in tasks})})
    file.write_bytes(content)  # save_file hides what the system says of a full disk


def read_weights(file: Path, tasks: Sequence[Task]) -> dict[str, Tensor]:
    """The tensors, for a model with the heads ``tasks``.

    Raises:
        ValueError: the file says that its heads have other classes, or have them in another order.
    """
    with safe_open(file, "pt") as content:
        told = json.loads((content.metadata() or {}).get("tasks", "{}"))  # earlier versions told nothing
    for task in tasks:
        classes = told.get(task.name, list(task.classes))
        if classes != list(task.classes):
            raise ValueError(
                f"{file}: its head {task.name!r} learnt {', '.join(classes)}, not {', '.join(task.classes)}: classes "
                "are told apart by their place, so give those that it learnt, in that order"
            )
    return load_file(file)
