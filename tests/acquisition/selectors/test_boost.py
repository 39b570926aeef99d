import numpy as np
import pytest
import torch

from mtal.acquisition.selectors import Candidates
from mtal.acquisition.selectors.boost import boost, wrong_gamma

ALL = np.ones(4, dtype=bool)


def candidates(*utility):
    return Candidates(np.arange(len(utility), dtype=np.uint64), torch.tensor(utility))


def test_worked_example():
    # 1, 2, 3, 5 mapped to 0, 1/4, 1/2, 1
    assert boost(candidates(1.0, 2.0, 3.0, 5.0), 1.0, ALL).tolist() == [0.0, 0.25, 0.5, 1.0]
    assert boost(candidates(1.0, 2.0, 3.0, 5.0), 2.0, ALL).tolist() == [0.0, 0.0625, 0.25, 1.0]


def test_frames_that_must_not_be_picked_do_not_set_the_range():
    free = np.array([True, True, True, False])
    assert boost(candidates(1.0, 2.0, 3.0, torch.nan), 1.0, free).tolist() == [0.0, 0.5, 1.0, 0.0]


def test_all_the_same():
    assert boost(candidates(2.0, 2.0, 2.0, 2.0), 3.0, ALL).tolist() == [1.0] * 4


def test_gamma_zero_needs_no_utility():
    assert boost(Candidates(np.arange(4, dtype=np.uint64)), 0.0, ALL).tolist() == [1.0] * 4


@pytest.mark.parametrize("gamma", [-0.1, float("inf"), float("nan")])
def test_impossible_gamma_is_refused(gamma):
    assert list(wrong_gamma(gamma, "a method")) == [f"gamma of a method must be 0 or more, not {gamma}"]
