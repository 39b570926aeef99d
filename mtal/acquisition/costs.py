"""How long annotators take for a frame, predicted from what the heads see in it.

Letters: N frames, S sites, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from mtal.acquisition.options import as_floats, wrong_weights
from mtal.acquisition.predictive import predictive_probs
from mtal.refusals import refuse
from mtal.tasks.posterior import HeadOutput

PLACEHOLDER_FRAME_S = 5.0
"""Seconds for a frame head that ``frame_s`` does not name. A placeholder: measure your annotators."""

PLACEHOLDER_PIXEL_S = 60.0
"""The same for a head with pixels. A placeholder: measure your annotators."""


class AnnotationCost:
    """look_s + Σₜ frame_sₜ + label_sₜ·labelsₜ + class_sₜ·classesₜ + boundary_sₜ·boundaryₜ seconds per frame, heads t.

    Drawing a mask takes time by the outlines in it, which a plain number of frames does not count. Numbers of labels,
    classes and the boundary are those that the head predicts, so early rounds are rough. All seconds are for you to
    set: the defaults are placeholders and no claim about any annotator. A head of which no site counts in a frame,
    since nobody can be asked for it there, takes no time.

    Args:
        frame_s: head to seconds that any frame takes; :data:`PLACEHOLDER_FRAME_S` or :data:`PLACEHOLDER_PIXEL_S` for a
            head that is not named, 0 for one that costs nothing.
        label_s: Bernoulli frame head to seconds per label that is predicted present; 0 where not named.
        class_s: head with pixels to seconds per class that is predicted at any valid site; 0 where not named.
        boundary_s: head with pixels and a grid to seconds per side of the frame's length of predicted boundary; 0 where
            not named.
        look_s: seconds for a frame of which anything is asked, however much.

    Raises:
        ValueError: a number is negative or not finite.

    >>> cost = AnnotationCost(frame_s={"tools": 2.0}, label_s={"tools": 3.0})
    >>> cost({"tools": HeadOutput("bernoulli", torch.tensor([[[0.9, 0.8, 0.1]], [[0.1, 0.1, 0.1]]]))}).tolist()
    [8.0, 2.0]
    """

    def __init__(
        self,
        frame_s: Mapping[str, float] | None = None,
        label_s: Mapping[str, float] | None = None,
        class_s: Mapping[str, float] | None = None,
        boundary_s: Mapping[str, float] | None = None,
        look_s: float = 0.0,
    ) -> None:
        self.frame_s = as_floats(frame_s)
        self.label_s = as_floats(label_s)
        self.class_s = as_floats(class_s)
        self.boundary_s = as_floats(boundary_s)
        refuse(self._faults(look_s))
        self.look_s = float(look_s)

    def _faults(self, look_s: float) -> Iterator[str]:
        for name in ("frame_s", "label_s", "class_s", "boundary_s"):
            yield from wrong_weights(getattr(self, name), name, " seconds")
        if not 0 <= look_s < float("inf"):
            yield f"look_s must be 0 seconds or more, not {look_s}"

    def __call__(self, outputs: Mapping[str, HeadOutput]) -> Tensor:
        """Seconds per frame of one batch, ``[N]`` float64 on the CPU.

        Args:
            outputs: task to head output, all of the same N frames.

        Raises:
            ValueError: a setting names a head that is not there or not of the kind it is for, or there is no head.
        """
        each = self.by_head(outputs)  # [N, T]
        asked = torch.stack([_counts(head) for head in outputs.values()]).any(dim=0)  # [N]
        return each.T.contiguous().sum(dim=0) + self.look_s * asked  # [N]

    def by_head(self, outputs: Mapping[str, HeadOutput]) -> Tensor:
        """Seconds per frame and head, ``[N, T]`` float64 on the CPU, but for what any frame takes.

        Args:
            outputs: as for a call.

        Raises:
            ValueError: as for a call.
        """
        if not outputs:
            raise ValueError("the cost of a frame needs the output of one head or more")
        self._check(outputs)
        return torch.stack([self._seconds(task, head) for task, head in outputs.items()], dim=1)  # [N, T]

    def _seconds(self, task: str, head: HeadOutput) -> Tensor:
        pixels = head.probs.shape[-2] > 1
        placeholder = PLACEHOLDER_PIXEL_S if pixels else PLACEHOLDER_FRAME_S
        seconds = torch.full((head.probs.shape[-3],), self.frame_s.get(task, placeholder), dtype=torch.float64)  # [N]
        if task in self.label_s:
            seconds += self.label_s[task] * predicted_classes(head)
        if task in self.class_s:
            seconds += self.class_s[task] * predicted_classes(head)
        if task in self.boundary_s:
            seconds += self.boundary_s[task] * predicted_boundary(head)
        return seconds.where(_counts(head), 0.0)

    def _check(self, outputs: Mapping[str, HeadOutput]) -> None:
        for name, seconds in (("frame_s", self.frame_s), ("label_s", self.label_s)):
            for task in seconds:
                if task not in outputs:
                    raise ValueError(f"{name} names {task!r}, which is not one of {', '.join(outputs)}")
        for task in self.label_s:
            if outputs[task].family != "bernoulli" or outputs[task].probs.shape[-2] > 1:
                raise ValueError(f"label_s names {task!r}, which has no independent labels per frame; use class_s")
        for name, seconds in (("class_s", self.class_s), ("boundary_s", self.boundary_s)):
            for task in seconds:
                if task not in outputs or outputs[task].probs.shape[-2] == 1:
                    raise ValueError(f"{name} names {task!r}, which is no head with pixels")


def predicted_classes(head: HeadOutput) -> Tensor:
    """Number of classes that are predicted at any valid site, p > ½ (Bernoulli) or likeliest: ``[N]`` float64."""
    return (_answer(head) & head.mask.unsqueeze(-1)).any(dim=1).sum(dim=1).double().cpu()


def predicted_boundary(head: HeadOutput) -> Tensor:
    """Length of the boundary between valid cells of different predicted classes in sides of the frame, ``[N]`` float64.

    Each pair of neighbours left and right of each other that differ adds 1/rows, each pair above each other 1/columns,
    so the grid's resolution matters only by how well it follows the boundary.

    Raises:
        ValueError: the head does not say its grid.

    >>> halves = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]])  # left and right
    >>> predicted_boundary(HeadOutput("categorical", halves, grid=(2, 2))).tolist()
    [1.0]
    """
    if head.grid is None:
        raise ValueError("the boundary needs HeadOutput.grid, the places of the sites")
    rows, columns = head.grid
    answer = _answer(head).unflatten(1, (rows, columns))  # [N, rows, columns, C]
    valid = head.mask.unflatten(1, (rows, columns))  # [N, rows, columns]
    across = (answer[:, :, 1:] != answer[:, :, :-1]).any(dim=3) & valid[:, :, 1:] & valid[:, :, :-1]
    down = (answer[:, 1:] != answer[:, :-1]).any(dim=3) & valid[:, 1:] & valid[:, :-1]
    return (across.sum(dim=(1, 2)).double() / rows + down.sum(dim=(1, 2)).double() / columns).cpu()


def _counts(head: HeadOutput) -> Tensor:
    """``[N]``: nobody is asked for a head of which nothing counts."""
    return (head.site_weights > 0).any(dim=1).cpu()


def _answer(head: HeadOutput) -> Tensor:
    """``[N, S, C]`` bool."""
    probs = predictive_probs(head)  # [N, S, C]
    if head.family == "bernoulli":
        return probs > 0.5
    likeliest = probs.max(dim=-1, keepdim=True).indices  # [N, S, 1]
    return torch.zeros_like(probs, dtype=torch.bool).scatter_(-1, likeliest, True)
