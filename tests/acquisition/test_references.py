import numpy as np
import pytest
import torch

from mtal.acquisition import Candidates
from mtal.acquisition import references as limits
from mtal.acquisition.references import affordable, refuse_all_pairs
from mtal.acquisition.round_warning import RoundWarning
from mtal.acquisition.selectors import FacilityLocation, Herding


def test_small_pools_are_compared_with_as_many_as_asked_for():
    assert [affordable(n, 4096, "density") for n in (0, 10, 4096, 1 << 19)] == [4096] * 4


@pytest.mark.parametrize(("frames", "references"), [(1 << 20, 2048), (1 << 24, 1024)])
def test_large_pools_are_compared_with_fewer_and_it_is_told(frames, references):
    message = f"density compares the {frames:,} frames with {references:,} drawn from them instead of 4,096"
    with pytest.warns(RoundWarning, match=message):
        assert affordable(frames, 4096, "density") == references


def test_all_pairs_of_a_large_pool_are_refused():
    refuse_all_pairs(1 << 17, "herding", "max_reference")
    with pytest.raises(ValueError, match="max_reference=null of herding compares all of 131,073 frames"):
        refuse_all_pairs((1 << 17) + 1, "herding", "max_reference")


@pytest.mark.parametrize("selector", [FacilityLocation(max_reference=None), Herding(gamma=0.0, max_reference=None)])
def test_before_anything_is_compared(selector, monkeypatch):
    monkeypatch.setattr(limits, "MOST_OF_ALL", 8)
    few, many = (
        Candidates(np.arange(n, dtype=np.uint64), features=torch.arange(2.0 * n).view(n, 2) + 1) for n in (8, 9)
    )
    assert len(selector(few, 2, np.random.default_rng(0))) == 2
    with pytest.raises(ValueError, match="max_reference=null of the selector compares all of 9 frames"):
        selector(many, 2, np.random.default_rng(0))
