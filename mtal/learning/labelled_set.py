"""Frames with what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mtal.datasets.masks import SomeLabels, joined


@dataclass(frozen=True)
class LabelledSet:
    """N frames and their labels.

    Args:
        frame_ids: in order of choice.
        labels: of them, by task; nothing where there are no frames.
    """

    frame_ids: list[str] = field(default_factory=list)
    labels: Mapping[str, SomeLabels] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame_ids)

    def and_(self, later: LabelledSet) -> LabelledSet:
        """These frames and then those of another set."""
        labels = {t: joined(self.labels[t], y) if len(self) else y for t, y in later.labels.items()}
        return LabelledSet([*self.frame_ids, *later.frame_ids], labels)
