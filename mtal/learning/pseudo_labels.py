"""What the last round's model is sure of on frames that nobody labelled.

Letters: n frames, S sites of each, h x w cells of a decoder's map, C classes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition.calibration import fit_temperature
from mtal.datasets.label_map import IGNORE
from mtal.datasets.masks import SomeLabels
from mtal.learning.derived_labels import CoarseMasks, DerivedLabels
from mtal.learning.out_of_fold import by_site, sampled
from mtal.learning.unlabelled_settings import PseudoLabelling
from mtal.models import MultiTaskModel
from mtal.scoring.inputs import Inputs
from mtal.scoring.look import look_at
from mtal.scoring.neighbours import NOBODY
from mtal.scoring.site_weights import SiteWeights
from mtal.tasks.posterior import HeadOutput
from mtal.tasks.task import Task

NAME = "pseudo_labels"


def pseudo_labels(
    teacher: MultiTaskModel,
    tasks: Sequence[Task],
    inputs: Inputs,
    frame_ids: Sequence[str],
    positions: npt.NDArray[np.int64],
    videos: npt.NDArray[np.str_],
    settings: PseudoLabelling,
    device: torch.device,
    size: tuple[int, int],
    *,
    temperatures: Mapping[str, float],
    silent: Collection[str] = (),
    site_weights: SiteWeights | None = None,
) -> DerivedLabels:
    """Answers of ``teacher`` that are at least as probable as the threshold says, of each label or pixel by itself.

    Lee, ICML workshop 2013; Sohn et al., FixMatch, NeurIPS 2020: the teacher sees frames as they are and the student
    learns from views of them, where there is augmentation. The teacher is the model that the last round kept, which is
    its moving average where there is one (Tarvainen and Valpola, NeurIPS 2017), and stays the same all through the
    round. A label of a head that may be there or not counts as absent from 1 − threshold down.

    Args:
        teacher: looks in evaluation mode.
        tasks: the heads.
        inputs: model inputs of all frames.
        frame_ids: of M frames without a label.
        positions: ``[M]`` of them.
        videos: ``[M]``.
        settings: threshold, weight and share.
        device: where the teacher runs.
        size: (H, W) of masks that are trained on.
        temperatures: by task, see :func:`temperatures`.
        silent: heads that the teacher has seen no label of; nothing is known of these.
        site_weights: sites that nobody would label, such as what lies beyond the frame, are left out.
    """
    found: dict[str, list[Tensor]] = {task.name: [] for task in tasks}
    looks = look_at(
        teacher,
        tasks,
        inputs,
        positions,
        device,
        temperatures=temperatures,
        site_weights=site_weights,
        doing="Making pseudo-labels",
    )
    for look in looks:
        for name, head in look.heads.items():
            sure = _on_grid(confident(head, settings.threshold), head).cpu()
            found[name].append(torch.full_like(sure, IGNORE) if name in silent else sure)
    targets: dict[str, SomeLabels] = {}
    for task in tasks:
        labels = torch.cat(found[task.name]).numpy()
        targets[task.name] = CoarseMasks(labels, size) if task.support == "pixel" else labels
    made = DerivedLabels(
        name=NAME,
        frame_ids=frame_ids,
        positions=positions,
        videos=videos,
        targets=targets,
        weight=settings.weight,
        share=settings.share,
        of=np.full(len(positions), NOBODY),
        always_changed=True,
        told={"threshold": settings.threshold, "temperature": dict(temperatures)},
    )
    return made.take(np.flatnonzero(np.any([share > 0 for share in made.shares().values()], axis=0)))


def temperatures(
    teacher: MultiTaskModel,
    tasks: Sequence[Task],
    inputs: Inputs,
    positions: npt.NDArray[np.int64],
    labels: Mapping[str, SomeLabels],
    device: torch.device,
) -> dict[str, float]:
    """Temperature of each head by frames that ``teacher`` was not trained on, of 1 at least.

    The frames that a round has just got labels for are such, and harder than most; so few of them tell that no head is
    made surer of itself by them, only less sure. See :func:`~mtal.acquisition.calibration.fit_temperature`.

    Args:
        teacher: looks in evaluation mode.
        tasks: the heads.
        inputs: model inputs of all frames.
        positions: ``[M]`` of the labelled frames.
        labels: of these, by task.
        device: where the teacher runs.
    """
    heads: dict[str, list[HeadOutput]] = {task.name: [] for task in tasks}
    for look in look_at(teacher, tasks, inputs, positions, device):
        for name, head in look.heads.items():
            heads[name].append(head)
    found = {}
    for task in tasks:
        probs = torch.cat([head.probs.double().cpu() for head in heads[task.name]])  # [M, S, C]
        grid = heads[task.name][0].grid
        y = torch.from_numpy(labels[task.name][:])
        wanted = by_site(task, y if grid is None else sampled(y, grid))
        found[task.name] = max(1.0, fit_temperature(HeadOutput(task.family, probs), wanted))
    return found


def confident(head: HeadOutput, threshold: float) -> Tensor:
    """Answers that are at least as probable as ``threshold``, else 255: uint8 ``[N, S]``, or ``[N, S, C]`` of 0 and 1.

    >>> head = HeadOutput("categorical", torch.tensor([[[0.96, 0.04], [0.6, 0.4]]]))
    >>> confident(head, 0.95).tolist()
    [[0, 255]]
    """
    p = head.predictive
    if head.family == "categorical":
        likeliest, answer = p.max(dim=2)  # [N, S]
        return torch.where((likeliest >= threshold) & head.mask, answer, IGNORE).to(torch.uint8)
    sure = ((p >= threshold) | (p <= 1 - threshold)) & head.mask.unsqueeze(2)  # [N, S, C]
    return torch.where(sure, (p > 0.5).long(), IGNORE).to(torch.uint8)


def _on_grid(sure: Tensor, head: HeadOutput) -> Tensor:
    """``[n, S]`` or ``[n, S, C]`` as labels of training lie: ``[n]``, ``[n, C]``, ``[n, h, w]`` or ``[n, C, h, w]``."""
    if head.grid is None:
        return sure[:, 0]
    if sure.ndim == 2:
        return sure.view(len(sure), *head.grid)
    return sure.transpose(1, 2).reshape(len(sure), -1, *head.grid)
