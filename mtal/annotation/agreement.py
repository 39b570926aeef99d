"""How far annotators agree, class by class, and where they do not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from mtal.annotation.answers import Said
from mtal.annotation.view import LabelView
from mtal.datasets.label_map import IGNORE, LabelMap

Labels = npt.NDArray[np.uint8]


def agreement(view: LabelView) -> pd.DataFrame:
    """``task, class, annotators, frames, kappa, dice`` over the frames that two or more annotators labelled.

    ``kappa`` is of heads with one answer per frame: Cohen's of two annotators, Fleiss' of more, whose frames may have
    any number of answers from two on; a class against the rest where classes exclude each other. ``dice`` is of heads
    by pixel: the mean over pairs of masks in which either shows the class. NaN where there is nothing to compare.
    """
    rows = []
    for task, label_map in view.label_maps.items():
        shared = _shared(view, task)
        if not shared:
            continue
        annotators = sorted({a for votes in shared.values() for a in votes})
        dice = _dice(shared, view, label_map) if label_map.support == "pixel" else None
        for c, name in enumerate(label_map.classes):
            row = {"task": task, "class": name, "annotators": len(annotators), "frames": len(shared)}
            if dice is not None:
                rows.append({**row, "kappa": math.nan, "dice": dice[c]})
                continue
            votes = np.full((len(shared), len(annotators)), IGNORE, dtype=np.uint8)  # [N, A]
            for i, said in enumerate(shared.values()):
                for annotator, answer in said.items():
                    votes[i, annotators.index(annotator)] = _vote(view.read(task, answer), c, label_map)
            rows.append({**row, "kappa": kappa(votes), "dice": math.nan})
    return pd.DataFrame(rows, columns=["task", "class", "annotators", "frames", "kappa", "dice"])


def disputed(view: LabelView) -> pd.DataFrame:
    """``frame_id, task, annotators, share``: where annotators differ, the most disputed first.

    ``share`` is that of the classes, or of the pixels, which two annotators told and told differently.
    """
    rows = []
    for task in view.label_maps:
        for frame_id, said in _shared(view, task).items():
            labels = [np.atleast_1d(view.read(task, answer)) for answer in said.values()]
            pairs = [(a, b, (a != IGNORE) & (b != IGNORE)) for a, b in combinations(labels, 2) if a.shape == b.shape]
            share = max((float((a != b)[both].mean()) for a, b, both in pairs if both.any()), default=0.0)
            if share > 0:
                rows.append({"frame_id": frame_id, "task": task, "annotators": ", ".join(said), "share": share})
    table = pd.DataFrame(rows, columns=["frame_id", "task", "annotators", "share"])
    return table.sort_values(["share", "frame_id", "task"], ascending=[False, True, True], ignore_index=True)


def kappa(votes: Labels) -> float:
    """Agreement on yes and no beyond chance: 1 where all agree, 0 where no better than chance, NaN where undefined.

    Cohen, Educational and Psychological Measurement 1960, for A = 2; Fleiss, Psychological Bulletin 1971, for more,
    with as many answers per frame as there are: Pᵢ = Σⱼ nᵢⱼ(nᵢⱼ − 1) / nᵢ(nᵢ − 1), pⱼ = Σᵢ nᵢⱼ / Σᵢ nᵢ.

    Args:
        votes: ``[N, A]`` of 0, 1 and ``IGNORE``.

    >>> kappa(np.array([[1, 1], [1, 0], [0, 0], [0, 0]], dtype=np.uint8))
    0.5
    """
    votes = votes[(votes != IGNORE).sum(axis=1) >= 2]
    if not len(votes):
        return math.nan
    counts = np.stack([(votes == j).sum(axis=1) for j in (0, 1)], axis=1)  # [N, 2]
    if votes.shape[1] == 2:
        agreed = float((votes[:, 0] == votes[:, 1]).mean())
        shares = votes.mean(axis=0)  # [2]
        chance = float(shares.prod() + (1 - shares).prod())
    else:
        n = counts.sum(axis=1)  # [N]
        agreed = float(((counts * (counts - 1)).sum(axis=1) / (n * (n - 1))).mean())
        chance = float(((counts.sum(axis=0) / n.sum()) ** 2).sum())
    return math.nan if chance == 1 else (agreed - chance) / (1 - chance)


def _shared(view: LabelView, task: str) -> dict[str, dict[str, str]]:
    """Frame → annotator → answer, of the frames that two or more labelled."""
    rows = view.answers[(view.answers["task"] == task) & (view.answers["state"] == Said.LABELLED)]
    rows = rows[rows.duplicated("frame_id", keep=False)]
    column = "value" if view.label_maps[task].support == "frame" else "mask"
    found: dict[str, dict[str, str]] = {}
    for frame_id, annotator, answer in zip(rows["frame_id"], rows["annotator"], rows[column], strict=True):
        found.setdefault(frame_id, {})[annotator] = answer
    return found


def _vote(label: Labels, c: int, label_map: LabelMap) -> int:
    """Whether an answer for a whole frame says that a class is there: 0, 1 or ``IGNORE``."""
    if not label_map.exclusive:
        return int(label[c])
    return IGNORE if label == IGNORE else int(label == c)


def _dice(shared: dict[str, dict[str, str]], view: LabelView, label_map: LabelMap) -> npt.NDArray[np.float64]:
    """Mean of 2 |A ∩ B| / (|A| + |B|) where both told, ``[C]``."""
    total, count = np.zeros(len(label_map.classes)), np.zeros(len(label_map.classes), dtype=np.int64)
    for said in shared.values():
        for a, b in combinations([view.read(label_map.task, answer) for answer in said.values()], 2):
            for c, (one, other) in enumerate(_layers(a, b, label_map)):
                if size := int(one.sum() + other.sum()):
                    total[c] += 2 * int((one & other).sum()) / size
                    count[c] += 1
    return np.divide(total, count, out=np.full(len(total), math.nan), where=count > 0)


def _layers(a: Labels, b: Labels, label_map: LabelMap) -> Iterator[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
    """Where each class is in both masks, within what both told."""
    for c in range(len(label_map.classes)):
        both = (a != IGNORE) & (b != IGNORE) if label_map.exclusive else (a[c] != IGNORE) & (b[c] != IGNORE)
        one, other = (a == c, b == c) if label_map.exclusive else (a[c] == 1, b[c] == 1)
        yield one & both, other & both
