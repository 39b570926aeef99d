"""What could be had by somebody who knew the labels: a bound, and no way to pick."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from mtal.acquisition.selectors.base import Candidates
from mtal.acquisition.selectors.class_cover import CoverGains, all_answers, shown_of
from mtal.acquisition.selectors.constraints import Constraint
from mtal.acquisition.selectors.joint_cover import JointCover, by_patient


class HiddenLabelBound(JointCover):
    """:class:`JointCover` with the hidden labels of the pool in place of what is expected, and no utility.

    It reads what no annotator has said yet, so it is for simulations alone: an oracle that asks people is refused, and
    so are recordings. How far a strategy stays behind it is how much better predictions could still make it. It is no
    bound on other ways to weigh the same labels, and it sees no frame of the test.

    Cost: that of :class:`JointCover`, and every mask of the pool is read once.
    """

    needs = frozenset({"shown", "hidden"})
    because: ClassVar[str] = "chosen by its hidden labels: a bound, not a strategy"

    def gains(self, candidates: Candidates, constraint: Constraint) -> CoverGains:
        """What each frame truly adds before the first pick."""
        if candidates.hidden is None:
            raise ValueError("the candidates bring no hidden")
        shown = shown_of(candidates)
        answers = all_answers(shown, candidates.hidden, absence=True)
        return by_patient(candidates, answers, np.ones(len(candidates)))
