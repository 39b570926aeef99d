import doctest
from itertools import combinations

import numpy as np
import pytest

from mtal.acquisition import AllHeads, WorthItsCost, query


def best_sets(gains, seconds, askable, look_s):
    """The sets of one frame with the most gain per second, by trying all."""
    can = np.flatnonzero(askable)
    sets = [list(s) for size in range(1, len(can) + 1) for s in combinations(can, size)]
    worth = [gains[s].sum() / (look_s + seconds[s].sum()) for s in sets]
    return [s for s, w in zip(sets, worth, strict=True) if w >= max(worth) * (1 - 1e-9)]


def test_examples():
    found = doctest.testmod(query)
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("look_s", [0.0, 3.0, 40.0])
def test_no_set_of_heads_is_worth_more(look_s):
    generator = np.random.default_rng(0)
    gains, seconds = generator.random((300, 5)), generator.uniform(1, 60, (300, 5))
    gains[generator.random((300, 5)) < 0.1] = 0
    gains[:40, 1], seconds[:40, 1] = gains[:40, 0], seconds[:40, 0]  # ties
    askable = generator.random((300, 5)) < 0.8
    askable[:, 2] |= ~askable.any(axis=1)
    asked = WorthItsCost()(gains, seconds, askable, look_s)
    sizes = set()
    for n in range(300):
        best = best_sets(gains[n], seconds[n], askable[n], look_s)
        chosen = np.flatnonzero(asked[n]).tolist()
        assert sorted(chosen) in [sorted(s) for s in best]
        assert len(chosen) == max(map(len, best))
        sizes.add(len(chosen))
    assert len(sizes) > 1


def test_by_hand():
    # 0.8/10, 0.3/2 and 0.9/60 alone; with 4 s to look: .3/6 = .05, 1.1/16 = .069, 2/76 = .026
    asked = WorthItsCost()(np.array([[0.8, 0.3, 0.9]]), np.array([[10.0, 2.0, 60.0]]), np.ones((1, 3), bool), 4.0)
    assert asked.tolist() == [[True, True, False]]


def test_a_frame_that_promises_nothing_is_asked_for_all_and_what_nobody_can_answer_for_nothing():
    gains, seconds = np.zeros((2, 3)), np.full((2, 3), 5.0)
    askable = np.array([[True, False, True], [False, False, False]])
    assert WorthItsCost()(gains, seconds, askable, 1.0).tolist() == askable.tolist()


def test_what_takes_no_time_is_always_asked():
    gains, seconds = np.array([[0.1, 0.9]]), np.array([[0.0, 30.0]])
    assert WorthItsCost()(gains, seconds, np.ones((1, 2), bool), 0.0).tolist() == [[True, False]]


def test_all_heads_are_those_that_can_be_asked():
    askable = np.array([[True, False]])
    assert AllHeads()(np.zeros((1, 2)), np.zeros((1, 2)), askable, 0.0) is askable


@pytest.mark.parametrize(("gains", "seconds"), [([[-0.1]], [[1.0]]), ([[0.1]], [[np.inf]]), ([[np.nan]], [[1.0]])])
def test_refuses_what_is_no_gain_or_time(gains, seconds):
    with pytest.raises(ValueError, match=r"(gains|seconds) must be finite and 0 or more"):
        WorthItsCost()(np.array(gains), np.array(seconds), np.ones((1, 1), bool), 0.0)
