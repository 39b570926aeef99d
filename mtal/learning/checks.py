"""What is asked for and these heads cannot give, found before anything is decoded or trained."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

import torch
from omegaconf import DictConfig

from mtal.acquisition import Acquisition
from mtal.learning.augmentation import Augmentation
from mtal.refusals import first_of
from mtal.tasks.posterior import HeadOutput
from mtal.tasks.task import Task

_SIDE = re.compile(r"(?<![A-Za-z])(left|Left|LEFT|right|Right|RIGHT)(?![a-z])")


def warn_of_sides(augmentation: Augmentation, tasks: Sequence[Task]) -> None:
    """Warn of classes that tell left from right, where views are mirrored.

    Warns:
        UserWarning: in a mirrored view what is on the left would be called what is on the right.
    """
    sides = [f"{task.name}/{name}" for task in tasks for name in task.classes if _SIDE.search(name)]
    if sides and augmentation.flip:
        warnings.warn(
            f"augment.flip mirrors frames, but not the names of classes ({first_of(sides)}); set augment.flip=false if "
            "they are of left and right in the picture",
            stacklevel=2,
        )


def check_acquisition(config: DictConfig, acquisition: Acquisition, tasks: Sequence[Task]) -> None:
    """Refuse what would otherwise be refused by the first round that looks at the pool.

    Args:
        config: of the run.
        acquisition: how it picks.
        tasks: its heads.

    Raises:
        ValueError: something needed is missing, an option names a head that is not there, or two choices do not fit.
    """
    needs = acquisition.batch_needs | acquisition.pool_needs | acquisition.selector_needs
    if "predicted_loss" in needs and not config.model.loss_prediction:
        raise ValueError("learning_loss reads predicted losses: set model.loss_prediction=true")
    if "predicted_loss" in needs and config.trainer.batch_size < 2:
        raise ValueError(
            "learning_loss reads predicted losses, which are learnt by pairs of frames in a batch, and "
            f"trainer.batch_size is {config.trainer.batch_size}: set it to 2 or more"
        )
    if "members" in needs and config.model.dropout == 0:
        raise ValueError("the members are dropout members, and model.dropout is 0: set it above 0")
    if "members" in acquisition.selector_needs and all(t.support == "pixel" for t in tasks):
        selector = type(acquisition.selection.selector).__name__
        raise ValueError(
            f"{selector} reads the members of heads with one answer per frame, and {', '.join(t.name for t in tasks)} "
            "has one per pixel: choose another acquisition/selector, or another signal of the members"
        )
    if config.loop.batch_seconds is not None and acquisition.limits.cost is None:
        raise ValueError(
            "loop.batch_seconds needs the cost of each frame: set acquisition/cost=measured or annotator_seconds"
        )
    if not acquisition.limits.query.asks_all:
        _check_query(acquisition, tasks)
    outputs = {task.name: _made_up(task) for task in tasks}
    if acquisition.limits.cost is not None:
        acquisition.limits.cost(outputs)
    if acquisition.reads_the_pool:
        acquisition.rehearse(outputs)


def _check_query(acquisition: Acquisition, tasks: Sequence[Task]) -> None:
    query = f"acquisition.query={type(acquisition.limits.query).__name__} chooses heads by gain per second"
    if acquisition.limits.cost is None:
        raise ValueError(f"{query}: set acquisition/cost=measured or annotator_seconds")
    if not acquisition.reads_the_pool:
        selector = type(acquisition.selection.selector).__name__
        raise ValueError(f"{query}, and {selector} looks at no frame: choose another acquisition/selector")
    scored = {task for task, _ in acquisition.measurement.columns([t.name for t in tasks])}
    lacking = [t.name for t in tasks if t.name not in scored]
    if lacking:
        raise ValueError(f"{query}, and no signal scores {', '.join(lacking)}: choose acquisition/signals of each head")


def _made_up(task: Task) -> HeadOutput:
    """What a head of the task that knows nothing says of two frames."""
    sites, grid = (4, (2, 2)) if task.support == "pixel" else (1, None)
    classes = len(task.classes)
    return HeadOutput(task.family, torch.full((2, sites, classes), 1 / classes), grid=grid)
