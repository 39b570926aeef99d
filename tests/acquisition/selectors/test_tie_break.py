from hashlib import blake2b

import numpy as np
import pytest
from axioms.selectors import frame_ids

from mtal.acquisition.selectors import largest, tie_break
from mtal.acquisition.selectors.tie_break import Ranking, first_allowed


def test_pinned_value():
    """Picks of an old run can only be made again as long as this holds."""
    digest = blake2b(b"7\x00video01/000025", digest_size=8).hexdigest()
    assert tie_break(7, ["video01/000025"]).tolist() == [int(digest, 16)] == [4573280898453430447]


def test_does_not_depend_on_the_other_frames_or_their_order():
    ids = frame_ids(50)
    assert tie_break(0, ids[::-1]).tolist() == tie_break(0, ids).tolist()[::-1]
    assert tie_break(0, ids[7:9]).tolist() == tie_break(0, ids)[7:9].tolist()


def test_depends_on_the_seed():
    assert not (tie_break(0, frame_ids(50)) == tie_break(1, frame_ids(50))).any()


def test_seed_and_frame_cannot_be_confused():
    assert tie_break(1, ["2/000003"]) != tie_break(12, ["/000003"])


def test_no_part_of_a_video_comes_first():
    places = np.argsort(np.argsort(tie_break(0, frame_ids(400))))
    assert abs(np.corrcoef(places, np.arange(400))[0, 1]) < 0.15


def test_largest_looks_at_allowed_values_only():
    values = np.array([np.nan, 5.0, 1.0, 5.0])
    hashes = np.array([1, 9, 2, 8], dtype=np.uint64)
    assert largest(values, np.array([False, True, True, True]), hashes) == 3
    assert largest(values, np.array([False, True, True, False]), hashes) == 1
    assert largest(values, np.array([False, False, True, False]), hashes) == 2


def test_hashes_above_the_signed_range_compare_right():
    hashes = np.array([2**63 + 5, 3], dtype=np.uint64)
    assert largest(np.zeros(2), np.ones(2, dtype=bool), hashes) == 1


@pytest.mark.parametrize("ids", [[], ()])
def test_no_frames(ids):
    assert tie_break(0, ids).shape == (0,)


def test_largest_of_minus_infinity_is_an_allowed_one():
    hashes = np.array([0, 2, 1], dtype=np.uint64)
    assert largest(np.full(3, -np.inf), np.array([False, True, True]), hashes) == 2


class TestRanking:
    @pytest.mark.parametrize("distinct", [3, 50, 10**9])
    def test_is_a_full_sort(self, distinct):
        """Against sorting all; more than one block, many ties, and taken out one after the other."""
        rng = np.random.default_rng(distinct)
        values = rng.integers(0, distinct, 9000).astype(float)
        hashes = rng.permutation(9000).astype(np.uint64)
        order = sorted(range(9000), key=lambda i: (-values[i], hashes[i]))
        allowed = np.ones(9000, dtype=bool)
        allowed[order[5:5000]] = False
        ranking = Ranking(values, hashes)
        for expected in [*order[:5], *order[5000:5020]]:
            assert ranking.first(allowed) == expected
            allowed[expected] = False

    def test_nan_comes_last(self):
        values = np.full(5000, np.nan)
        values[4321] = -7.0
        ranking = Ranking(values, np.arange(5000, dtype=np.uint64))
        allowed = np.ones(5000, dtype=bool)
        assert ranking.first(allowed) == 4321
        allowed[4321] = False
        assert ranking.first(allowed) == 0


def test_first_allowed_looks_at_all_blocks():
    order = np.arange(10_000)[::-1]
    allowed = np.zeros(10_000, dtype=bool)
    allowed[[17, 4]] = True
    assert first_allowed(order, allowed) == 17
    with pytest.raises(ValueError, match="none of the positions is allowed"):
        first_allowed(order, np.zeros(10_000, dtype=bool))


def test_largest_up_to_rounding():
    hashes = np.array([3, 2, 1, 0], dtype=np.uint64)
    for unit in (1.0, -1.0, 1e-5, 1e5):
        values = 2.0 * unit - abs(unit) * np.array([0.0, 1e-12, 1e-6, 0.0])
        allowed = np.array([True, True, True, False])
        assert largest(values, allowed, hashes) == 0
        assert largest(values, allowed, hashes, rounding=1e-9) == 1
    assert largest(np.full(2, -np.inf), np.ones(2, dtype=bool), hashes[:2], rounding=1e-9) == 1
