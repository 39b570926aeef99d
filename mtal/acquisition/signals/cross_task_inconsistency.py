"""Heads that contradict each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mtal.acquisition.aggregation import TopFraction
from mtal.acquisition.signals.base import JointSignal
from mtal.acquisition.signals.relations import Relation, relations_by_name
from mtal.refusals import Refusals
from mtal.tasks.posterior import HeadOutput


class CrossTaskInconsistency(JointSignal):
    """|R|⁻¹ Σ_{r ∈ R} |p_r − q_r|: what a frame label says is there (p_r) against what the pixels show of it (q_r).

    A tool tag without tool pixels, bleeding without a region of blood, or either the other way round. q_r is the mean
    of P(site shows it) over the share f of valid sites where that is highest: f is the part of the picture that has to
    show it for q_r to be 1. It does not depend on the resolution, as the chance that any site shows it would, and no
    single pixel decides it, as one would the maximum (f → 0). At a categorical site P is Σ_c p_sc over the relation's
    classes, at a Bernoulli site 1 − Π_c(1 − p_sc). A relation has no say on a frame on which one of its heads has no
    site that is more likely labelled than not; a frame without a relation that counts gets 0. In [0, 1].

    Cost: O(N·S log S) per relation.

    Args:
        relations: :class:`Relation` or mappings of its fields; ``None`` leaves them to :meth:`relate`.
        fraction: f, above 0 and at most 1.

    Raises:
        ValueError: there is no relation, or one names a task or class that is not there; the fraction is out of range.

    >>> heads = {
    ...     "bleeding": HeadOutput("bernoulli", torch.tensor([[[1.0]], [[0.25]]])),
    ...     "anatomy": HeadOutput("categorical", torch.tensor([[[0.75, 0.25]] * 9, [[0.75, 0.25]] * 9])),
    ... }
    >>> CrossTaskInconsistency([Relation("bleeding", 0, "anatomy", (1,))])(heads).tolist()
    [0.75, 0.0]
    """

    name: ClassVar[str] = "cross_task_inconsistency"

    def __init__(
        self, relations: Sequence[Relation | Mapping[str, object]] | None = None, fraction: float = 0.01
    ) -> None:
        refusals = Refusals()
        with refusals:
            self.presence = TopFraction(fraction)
        with refusals:
            self.relations = None if relations is None else _relations(relations)
        refusals.tell(what="wrong options")

    def relate(self, classes: Mapping[str, tuple[str, Sequence[str]]]) -> None:
        """Take the relations from equal class names, unless they were given.

        Args:
            classes: task to its support, ``"frame"`` or ``"pixel"``, and its class names.

        Raises:
            ValueError: no frame label has the name of a pixel class.
        """
        if self.relations is None:
            relations = relations_by_name(classes)
            if not relations:
                listed = "; ".join(
                    f"{task} ({support}): {', '.join(names)}" for task, (support, names) in classes.items()
                )
                raise ValueError(
                    f"signal {self.name}: no frame label has the name of a pixel class in {listed}; give relations as "
                    f"a list of {{frame, label, pixel, classes}}, or leave the signal out"
                )
            self.relations = relations

    def score(self, heads: Mapping[str, HeadOutput]) -> Tensor:
        """Mean contradiction over the relations that count, ``[N]``."""
        if self.relations is None:
            raise ValueError(
                f"signal {self.name} has no relations: give a list of {{frame, label, pixel, classes}}, or call relate "
                f"with the class names of all tasks"
            )
        contradictions, counts = [], []
        for relation in self.relations:
            frame, pixel = _heads_of(relation, heads)
            said = frame.predictive[:, 0, relation.label].double()  # [N]
            shown = self.presence(_shows(relation, pixel), pixel).double()  # [N]
            counts.append(frame.mask[:, 0] & pixel.mask.any(dim=1))
            contradictions.append((said - shown).abs().where(counts[-1], 0.0))
        return torch.stack(contradictions).sum(dim=0) / torch.stack(counts).sum(dim=0).clamp(min=1)


def _shows(relation: Relation, head: HeadOutput) -> Tensor:
    """P(site is of any of the relation's classes), ``[N, S]``."""
    probs = head.predictive[..., list(relation.classes)]  # [N, S, classes]
    if head.family == "categorical":
        return probs.sum(dim=-1).clamp(max=1.0)
    return 1 - (1 - probs).prod(dim=-1)


def _relations(given: Sequence[Relation | Mapping[str, object]]) -> list[Relation]:
    refusals, relations = Refusals(), []
    if not given:
        raise ValueError(
            "relations is empty, so no two heads can contradict each other: list {frame, label, pixel, classes} "
            "entries, or leave the signal out"
        )
    for each in given:
        with refusals:
            relations.append(_relation(each))
    refusals.tell(what="wrong options")
    return relations


def _relation(given: Relation | Mapping[str, object]) -> Relation:
    if isinstance(given, Relation):
        return given
    fields = Relation.__dataclass_fields__
    if set(given) != set(fields):
        raise ValueError(f"a relation has {', '.join(fields)}, not {', '.join(map(str, given))}")
    return Relation(**given)  # type: ignore[arg-type]


def _heads_of(relation: Relation, heads: Mapping[str, HeadOutput]) -> tuple[HeadOutput, HeadOutput]:
    for task, numbers in ((relation.frame, [relation.label]), (relation.pixel, relation.classes)):
        if task not in heads:
            raise ValueError(f"{relation} names the task {task!r}, which is not one of {', '.join(heads)}")
        C = heads[task].probs.shape[-1]
        if max(numbers) >= C:
            raise ValueError(f"{relation} names class {max(numbers)} of {task}, which has {C} classes")
    sites = heads[relation.frame].probs.shape[-2]
    if sites != 1:
        raise ValueError(f"{relation} needs a frame task, but {relation.frame} has {sites} sites per frame")
    return heads[relation.frame], heads[relation.pixel]
