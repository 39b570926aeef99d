import numpy as np
import pytest
import torch

from mtal.acquisition import Candidates, CostBudget, Limits, Moments, Selection, TopK


def test_rules_hold_for_whoever_picks():
    moments = Moments(np.array([0, 0, 0, 1]), np.array([0.0, 1.0, 5.0, 0.0]))
    utility, cost_s = torch.tensor([0.9, 0.8, 0.7, 0.1]), np.array([9.0, 3.0, 5.0, 2.0])
    candidates = Candidates(np.arange(4, dtype=np.uint64), utility=utility, moments=moments, cost_s=cost_s)
    rules = Limits(minimum_gap_s=2.0, max_per_video=2)(candidates, budget_s=12.0)
    assert isinstance(rules[-1], CostBudget)
    # 9 of 12 s for the best; the second is too near, the third too dear
    assert Selection(TopK())(candidates, 4, np.random.default_rng(0), lambda _: rules).tolist() == [0, 3]


def test_no_limits_are_no_rules():
    assert Limits()(Candidates(np.arange(4, dtype=np.uint64))) == []


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"minimum_gap_s": -1.0}, "minimum_gap_s must be 0 seconds or more"),
        ({"minimum_gap_s": float("inf")}, "minimum_gap_s must be 0 seconds or more"),
        ({"minimum_gap_s": True}, "minimum_gap_s must be 0 seconds or more, not True"),
        ({"minimum_gap_s": float("nan")}, "minimum_gap_s must be 0 seconds or more"),
        ({"max_per_video": True}, "max_per_video must be 1 frame or more, even, or null for any number, not True"),
        ({"max_per_patient": True}, "max_per_patient must be 1 frame or more, even, quota, or null .*, not True"),
        ({"max_per_video": "quota"}, "max_per_video must be 1 frame or more, even, or null for any number, not quota"),
        ({"max_per_patient": 0}, "max_per_patient must be 1 frame or more, even, quota, or null for any number, not 0"),
    ],
)
def test_impossible_limits_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        Limits(**options)


def test_quota_counts_what_is_labelled():
    """Patient 7 has two labelled frames and 8 one; 9 has none: 9, then 8 and 9, then all three by utility."""
    patients = np.array([7, 7, 8, 8, 9, 9])
    candidates = Candidates(
        np.arange(6, dtype=np.uint64),
        utility=torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4]),
        patients=patients,
        labelled_patients=np.array([7, 8, 7]),
    )
    picks = Selection(TopK())(candidates, 5, np.random.default_rng(0), Limits(max_per_patient="quota")).tolist()
    assert patients[picks].tolist() == [9, 8, 9, 7, 8]
    picks = Selection(TopK())(candidates, 3, np.random.default_rng(0), Limits(max_per_patient="even")).tolist()
    assert patients[picks].tolist() == [7, 8, 9]
