"""How long annotators took, without their breaks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mtal.annotation.view import LabelView

_AWAY = 3.0  # as far from the quartiles as Tukey calls far out
_AT_LEAST = 2.0  # times the upper quartile, where all take nearly as long


def without_breaks(answers: pd.DataFrame) -> pd.Series[float]:
    """Seconds of each answer, NaN where somebody was away meanwhile, or nobody knows.

    Somebody was away where an answer took longer than both Q₃ + 3 (Q₃ − Q₁) and 2 Q₃ of what the same annotator took
    for the same head. Quartiles are answers: the lower of two that a quartile lies between.

    Args:
        answers: with ``annotator, task, seconds``.

    >>> one = {"annotator": "anna", "task": "tools"}
    >>> without_breaks(pd.DataFrame([{**one, "seconds": s} for s in (10.0, 12.0, 11.0, 3600.0)])).tolist()
    [10.0, 12.0, 11.0, nan]
    """
    seconds = answers["seconds"].where(answers["seconds"] > 0).astype(np.float64)
    of = seconds.groupby([answers["annotator"], answers["task"]])
    low, high = of.transform(_quartile, 0.25), of.transform(_quartile, 0.75)
    return seconds.where(seconds <= np.maximum(high + _AWAY * (high - low), _AT_LEAST * high))


def took(view: LabelView, frame_ids: Sequence[str]) -> pd.DataFrame:
    """``took_s, annotators`` of each frame in the order asked: seconds of all who answered it, and how many they are.

    What was corrected or withdrawn took its time as well.

    An answer with a break counts as the median of the same annotator and head. NaN where no answer was timed.
    """
    answers = view.told
    seconds = without_breaks(answers)
    median = seconds.groupby([answers["annotator"], answers["task"]]).transform("median")
    counted = answers.assign(seconds=seconds.where(seconds.notna(), median).where(answers["seconds"] > 0))
    of = counted[counted["seconds"].notna()].groupby("frame_id")
    table = pd.DataFrame({"took_s": of["seconds"].sum(), "annotators": of["annotator"].nunique()})
    return table.reindex(list(frame_ids)).reset_index(drop=True)


def _quartile(seconds: pd.Series[float], share: float) -> float:
    return float(seconds.quantile(share, interpolation="lower"))
