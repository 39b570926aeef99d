import pytest

from mtal.acquisition.references import affordable
from mtal.acquisition.round_warning import RoundWarning


def test_small_pools_are_compared_with_as_many_as_asked_for():
    assert [affordable(n, 4096, "density") for n in (0, 10, 4096, 1 << 19)] == [4096] * 4


@pytest.mark.parametrize(("frames", "references"), [(1 << 20, 2048), (1 << 24, 1024)])
def test_large_pools_are_compared_with_fewer_and_it_is_told(frames, references):
    message = f"density compares the {frames:,} frames with {references:,} drawn from them instead of 4,096"
    with pytest.warns(RoundWarning, match=message):
        assert affordable(frames, 4096, "density") == references
