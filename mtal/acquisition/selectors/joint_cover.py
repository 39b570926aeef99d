"""What every head still gains from a frame: classes, patients, and doubts as far as they can be trusted."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from mtal.acquisition.selectors.base import Candidates, require
from mtal.acquisition.selectors.class_cover import Answers, ClassCover, CoverGains, all_answers, shown_of
from mtal.acquisition.selectors.constraints import Constraint

Floats = npt.NDArray[np.float64]


class JointCover(ClassCover):
    """argmaxᵢ (1 + τ·(2rᵢ − 1))/secondsᵢ · Σ_a h_a·[log(1 + m_a + Δᵢₐ) − log(1 + m_a)] over all answers a of all heads.

    Ours; ``docs/joint_rule.md`` has the reasons. An answer is a class that is there or, of a frame label, one that is
    not. h is the headroom of its class, 1 − its out-of-fold score, shared out so that every head has an equal say. m_a
    is how many *independent* frames show it: n frames of one patient count as n/(1 + (n − 1)·ρ), ρ how much alike the
    frames of a patient look to the encoder, so a new patient is worth more than another frame of a known one. Δᵢₐ is
    what frame i is expected to add, by calibrated predictions, and r its rank from 0 to 1 by the fused utility of all
    heads, which counts as far as uncertainty tells what the heads get wrong (τ). Both fade to nothing where out-of-fold
    answers do not bear them out: then a frame is drawn from the patient whose answers are labelled least.

    There is nothing to be set. Seconds are those of ``acquisition/cost`` where a budget is of seconds, else 1.

    Cost: O(N·C) once, then a few hundred frames per pick, up to O(N·C) where predictions hardly differ; and a
    cross-validation on the labelled frames.
    """

    needs = frozenset({"shown", "utility"})
    because: ClassVar[str] = "adds most to what all heads still have to learn"

    def gains(self, candidates: Candidates, constraint: Constraint) -> CoverGains:
        """What each frame adds before the first pick."""
        shown = shown_of(candidates)
        utility = require(candidates.utility, "utility")
        factor = 1 + shown.trust * (2 * _ranks(utility, constraint.free) - 1)  # [N]
        return by_patient(candidates, all_answers(shown, shown.expected, absence=True), factor)


def by_patient(candidates: Candidates, answers: Answers, factor: Floats) -> CoverGains:
    """Gains times ``factor [N]``, a second where a budget is of seconds, with frames of one patient alike."""
    shown = shown_of(candidates)
    if shown.cost_s is not None:
        factor = factor / np.maximum(shown.cost_s, np.finfo(np.float64).tiny)
    codes, own = np.unique(np.concatenate([shown.patients, shown.labelled_patients]), return_inverse=True)
    counts = np.zeros((len(codes), len(answers.names)))  # [G, A]
    np.add.at(counts, own[len(shown) :], answers.known)
    return CoverGains(answers, answers.headroom, own[: len(shown)], counts, alike=shown.alike, factor=factor)


def _ranks(utility: Floats, free: npt.NDArray[np.bool_]) -> Floats:
    """Mean rank among the free ones from 0 to 1, ``[N]``; ½ for all that are equal, and for the others."""
    ranks = np.full(len(utility), 0.5)
    if free.sum() > 1:
        ranks[free] = (rankdata(utility[free]) - 1) / (free.sum() - 1)
    return ranks
