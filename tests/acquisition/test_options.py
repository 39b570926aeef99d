"""All that is wrong with the options of one object is told at once, whichever object of an acquisition it is."""

from functools import partial

import numpy as np
import pytest
import torch

from mtal.acquisition import (
    Acquisition,
    Entropy,
    PercentileRank,
    TopK,
    WeightedMean,
    fusion,
    selectors,
    signals,
    weights,
)
from mtal.acquisition.blend import Blend
from mtal.acquisition.costs import AnnotationCost
from mtal.acquisition.limits import Limits
from mtal.acquisition.measurement import Measurement
from mtal.acquisition.options import refuse_unknown
from mtal.acquisition.say import Say
from mtal.acquisition.selectors.base import Candidates
from mtal.acquisition.selectors.cap import Cap
from mtal.acquisition.selectors.constraints import Constraint
from mtal.acquisition.selectors.cost_budget import CostBudget
from mtal.acquisition.signals.relations import Relation

BLEND = partial(Blend, PercentileRank(), WeightedMean())
WHOLE = partial(Acquisition, {"entropy": Entropy()}, PercentileRank(), WeightedMean(), TopK())
GROUPS = np.zeros(3, dtype=np.int64)


@pytest.mark.parametrize(
    ("make", "wrong", "faults"),
    [
        (
            WHOLE,
            {"members": 1, "head_weights": {"a": -1}, "nan_policy": "no", "shortlist": 0, "max_per_video": 0},
            5,
        ),
        (partial(Measurement, {}), {"gradient": "x", "class_weights": "x", "site_weights": "x", "members": 1}, 4),
        (BLEND, {"signal_weights": {"a": -1, "b": -1}, "nan_policy": "no", "level": "no"}, 4),
        (Say, {"head_weights": {"a": -1, "b": -1}}, 2),
        (Limits, {"minimum_gap_s": -1, "max_per_video": "quota", "max_per_patient": 0}, 3),
        (AnnotationCost, {"frame_s": {"a": -1, "b": -1}, "boundary_s": {"a": -1}, "look_s": -1}, 4),
        (fusion.Chebyshev, {"rho": -1, "ideal": np.inf}, 2),
        (fusion.Copeland, {"exact_up_to": -1, "opponents": 1}, 2),
        (fusion.HypervolumeGreedy, {"depth": 0, "reference": 1, "exact_heads": -1, "directions": 0}, 4),
        (selectors.Badge, {"gamma": -1, "first": "x"}, 2),
        (selectors.Bait, {"regularization": 0, "oversample": 0}, 2),
        (selectors.BatchBald, {"samples": 0, "max_outcomes": 1}, 2),
        (selectors.ClassStratified, {"stratified": 2, "beta": -1, "decay": 0}, 3),
        (selectors.Clips, {"clip_s": 0, "top_fraction": 0}, 2),
        (selectors.FacilityLocation, {"gamma": -1, "max_reference": 0}, 2),
        (selectors.Herding, {"gamma": -1, "radius": 0, "max_reference": 0}, 3),
        (selectors.KDeterminantal, {"mode": "x", "ridge": 0, "gamma": -1}, 3),
        (selectors.ProbCover, {"delta": -1, "purity": 0, "clusters": 1}, 3),
        (selectors.Stochastic, {"kind": "x", "beta": -1}, 2),
        (selectors.TypiClust, {"max_clusters": 0, "neighbours": 0, "minimum_size": 0}, 3),
        (signals.Contrastive, {"k": 0, "eps": 0}, 2),
        (signals.CrossTaskInconsistency, {"fraction": 0, "relations": []}, 2),
        (signals.CrossTaskInconsistency, {"relations": [{"label": 0}, {"classes": 0}]}, 2),
        (signals.Discriminative, {"max_fit": 0, "inverse_regularization": 0}, 2),
        (signals.JointGradientNorm, {"weights": {"a": -1}, "scales": {"a": 0}}, 2),
        (partial(Relation, frame="a", pixel="b"), {"label": -1, "classes": ()}, 2),
        (signals.TemporalInconsistency, {"window_s": 0, "weighting": "x"}, 2),
        (weights.Bandit, {"learning_rate": 0, "exploration": 0}, 2),
        (weights.Evidence, {"classes": {"a": ("x",)}, "out_of_fold": {"a": {"x": 2}}, "counts": {"b": {"y": 1}}}, 2),
        (weights.Headroom, {"exponent": -1, "floor": 0}, 2),
        (weights.LearningCurveSlope, {"rounds": 1, "floor": 0}, 2),
        (weights.PastRound, {"labelled": 0, "scores": {"a": 2}, "weights": {"a": -1}}, 3),
        (Cap, {"limit": 0, "groups": GROUPS[None]}, 2),
        (CostBudget, {"seconds": 0, "cost_s": GROUPS - 1}, 2),
        (Constraint, {"size": 2, "excluded": GROUPS > 0, "rules": [Cap(1, GROUPS)]}, 2),
        (Candidates, {"tie_break": GROUPS.astype(np.uint64), "utility": torch.ones(2), "labelled_features": GROUPS}, 2),
        (refuse_unknown, {"weights": ["a", "b"], "known": [], "name": "head_weights"}, 2),
    ],
)
def test_all_that_is_wrong_at_once(make, wrong, faults):
    with pytest.raises(ValueError, match=rf"^{faults} (wrong options|faults):\n") as error:
        make(**wrong)
    assert len(error.value.refused) == faults
