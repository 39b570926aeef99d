"""How much each site of a frame counts for a head: known where there is a label, predicted where there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from mtal.datasets.label_map import IGNORE
from mtal.datasets.masks import SomeLabels, in_parts, labelled_rows, take
from mtal.frames.fit import shares_inside
from mtal.frames.window import Windows, of_rows
from mtal.models import MultiTaskModel
from mtal.models.annotatability import Annotatability, learn_annotatability
from mtal.scoring.inputs import Inputs, batched, ready, to_device
from mtal.tasks.task import Task

Grid = tuple[int, int]
SiteWeights = Callable[[Task, npt.NDArray[np.int64], Sequence[Tensor], Grid], Tensor | None]
"""Of n frames, ``[n, S]`` in [0, 1] or bool, ``None`` where all sites count in full.

It is given the head, the frames' rows among those that are looked at, the encoder's levels of them and the head's grid,
(1, 1) for one site per frame.
"""

ANNOTATABLE = "annotatable.safetensors"


@dataclass(frozen=True)
class AskedSites:
    """How likely an annotator who is asked about the frame would label each site.

    Args:
        annotatable: pixel head to what its labelled masks tell; a head that is not named counts all sites.
        askable: head to whether it can be asked for in each of the N frames that are looked at, ``[N]``; a head that
            is not named always can. Those that can in all of them are dropped here: whoever looks at batches must not
            go through the pool for each.
        windows: what the model is shown of each of these frames; what lies beyond a frame nobody labels. All of it and
            nothing else where ``None``.
    """

    annotatable: Mapping[str, Annotatability] = field(default_factory=dict)
    askable: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    windows: Windows | None = None

    def __post_init__(self) -> None:
        sometimes = {task: can for task, can in self.askable.items() if not can.all()}
        object.__setattr__(self, "askable", sometimes)

    def __call__(self, task: Task, rows: npt.NDArray[np.int64], levels: Sequence[Tensor], grid: Grid) -> Tensor | None:
        """See :data:`SiteWeights`."""
        known = self.annotatable.get(task.name)
        weights = None if known is None else known(levels, grid)  # [n, S]
        if self.windows is not None and task.support == "pixel":
            inside = np.stack(
                [shares_inside(grid, window).ravel() for window in of_rows(self.windows, rows.tolist())]
            )  # [n, S]
            on_frame = torch.from_numpy(inside).to(levels[0].device)
            weights = on_frame if weights is None else weights * on_frame
        if task.name not in self.askable:
            return weights
        asked = torch.from_numpy(self.askable[task.name][rows]).unsqueeze(1).to(levels[0].device)  # [n, 1]
        return asked.expand(-1, grid[0] * grid[1]) if weights is None else weights * asked


@dataclass(frozen=True)
class LabelledSites:
    """The part of each site that annotators labelled.

    Args:
        labels: head to the labels of the M frames that are looked at, uint8 ``[M, …]``.
    """

    labels: Mapping[str, SomeLabels]

    def __call__(self, task: Task, rows: npt.NDArray[np.int64], levels: Sequence[Tensor], grid: Grid) -> Tensor | None:
        """See :data:`SiteWeights`."""
        share = torch.from_numpy(labelled_pixels(task, self.labels[task.name][rows])).to(levels[0].device)
        if task.support == "frame":
            return share.unsqueeze(1)  # [n, 1]
        return adaptive_avg_pool2d(share.float().unsqueeze(1), grid).flatten(1)  # [n, H, W] to [n, S]


def labelled_pixels(task: Task, labels: np.ndarray) -> npt.NDArray[np.bool_]:
    """Where annotators said anything, ``[n]`` for a frame head and ``[n, H, W]`` for one with pixels."""
    known: npt.NDArray[np.bool_] = labels != IGNORE
    if task.support == "frame":
        return np.asarray(known.reshape(len(known), -1).any(axis=1))
    return known if task.family == "categorical" else np.asarray(known.any(axis=1))


def learn_site_weights(
    model: MultiTaskModel,
    tasks: Sequence[Task],
    inputs: Inputs,
    positions: npt.NDArray[np.int64],
    labels: Mapping[str, SomeLabels],
    device: torch.device,
    seed: int,
    batch_size: int = 32,
) -> dict[str, Annotatability]:
    """What the masks of the labelled frames tell of where annotators label, by pixel head; nothing is no entry.

    Args:
        model: whose encoder is looked at.
        tasks: the heads.
        inputs: model inputs of all frames.
        positions: ``[M]`` labelled frames.
        labels: of these, by task.
        device: where the model runs.
        seed: of the draw of sites.
        batch_size: frames at a time.
    """
    found: dict[str, Annotatability] = {}
    model = ready(model, device)
    for task in tasks:
        if task.support != "pixel":
            continue
        masks = labels[task.name]
        masked = np.flatnonzero(labelled_rows(masks))  # frames that have a mask
        if all(labelled_pixels(task, part).all() for part in in_parts(take(masks, masked))):
            continue
        with torch.inference_mode():
            first = model(to_device(inputs.batch(positions[masked[:1]]), device))
            height, width = first.heads[task.name].logits.shape[-2:]
            batches = (
                (model.encode(to_device(inputs.batch(positions[rows]), device)), labelled_pixels(task, masks[rows]))
                for rows in batched(masked, batch_size)
            )
            learnt = learn_annotatability(batches, len(masked), (height, width), seed)
        if learnt is not None:
            found[task.name] = learnt
    return found


def write_annotatable(path: Path, found: Mapping[str, Annotatability]) -> None:
    """Keep with a round what :func:`learn_site_weights` found with its model."""
    state = {f"{task}/{name}": x for task, learnt in found.items() for name, x in learnt.state().items()}
    if state:
        (path / ANNOTATABLE).write_bytes(save(state))


def read_annotatable(path: Path) -> dict[str, Annotatability]:
    """Undo :func:`write_annotatable`; empty where a round kept nothing."""
    file = path / ANNOTATABLE
    states: dict[str, dict[str, Tensor]] = {}
    for name, x in (load_file(file) if file.exists() else {}).items():
        task, _, part = name.rpartition("/")
        states.setdefault(task, {})[part] = x
    return {task: Annotatability.from_state(state) for task, state in states.items()}
