from dataclasses import replace

import numpy as np
import pytest
from agreement import record
from axioms.selectors import SelectorAxioms, random_candidates

from mtal.acquisition.selectors import Candidates, ClassCover, Constraint, class_cover
from mtal.acquisition.shown import Shown


class TestClassCover(SelectorAxioms):
    selector = ClassCover()


def shown(expected, known, **more):
    """One head ``tools`` of frames of one patient each, unless said otherwise."""
    N, C = expected.shape
    parts = {
        "classes": {"tools": tuple("abcdef"[:C])},
        "expected": {"tools": expected},
        "known": {"tools": known},
        "headroom": {"tools": np.ones(C)},
        "absence": frozenset(),
        "patients": np.arange(N),
        "labelled_patients": np.zeros(len(known), dtype=np.int64),
    }
    return Shown(**{**parts, **more})


def select(what, budget, constraint=None, selector=None, **more):
    candidates = Candidates(np.arange(len(what), dtype=np.uint64), shown=what, **more)
    return (selector or ClassCover())(candidates, budget, np.random.default_rng(0), constraint).tolist()


def test_worked_example():
    # class a is in two labelled frames and b in none: gains are p_a·… + p_b·…, of log(1 + n + p) − log(1 + n)
    # frame 0: log(3.9/3) = 0.262; 1: log(1.5) = 0.405; 2: log(3.2/3) + log(1.4) = 0.401; 3: 0
    expected = np.array([[0.9, 0.0], [0.0, 0.5], [0.2, 0.4], [0.0, 0.0]])
    known = np.array([[1.0, 0.0], [1.0, 0.0]])
    # after frame 1 b has 0.5: frame 2 gives 0.0645 + log(1.9/1.5) = 0.301, still more than frame 0
    assert select(shown(expected, known), 4) == [1, 2, 0, 3]


def greedy(what, budget):
    """Every gain of every frame, in turn and from the definition."""
    picks, counts = [], {t: np.nansum(y, axis=0) for t, y in what.known.items()}
    for _ in range(budget):
        gains = [
            np.mean([np.mean(np.log(1 + counts[t] + p[i]) - np.log(1 + counts[t])) for t, p in what.expected.items()])
            for i in range(len(what))
        ]
        best = int(np.argmax([-1 if i in picks else g for i, g in enumerate(gains)]))
        picks.append(best)
        counts = {t: counts[t] + p[best] for t, p in what.expected.items()}
    return picks


@pytest.mark.parametrize("seed", range(3))
def test_is_the_greedy_choice_by_brute_force(seed):
    pool = random_candidates(60, seed)
    pool = replace(pool, tie_break=np.arange(60, dtype=np.uint64))
    picks = ClassCover()(pool, 30, np.random.default_rng(0)).tolist()
    record("class cover", "every gain of every frame, one after the other", float(picks != greedy(pool.shown, 30)))
    assert picks == greedy(pool.shown, 30)


def test_few_gains_at_a_time_are_as_good_as_all(monkeypatch):
    pool = random_candidates(60, 1)
    expected = ClassCover()(pool, 40, np.random.default_rng(0)).tolist()
    monkeypatch.setattr(class_cover, "_AT_ONCE", 3)
    assert ClassCover()(pool, 40, np.random.default_rng(0)).tolist() == expected


def test_a_head_that_cannot_be_asked_for_adds_nothing():
    expected = np.array([[np.nan, np.nan], [0.1, 0.0]])
    assert select(shown(expected, np.zeros((1, 2))), 1) == [1]


def test_predictions_that_say_nothing_leave_it_to_chance():
    what = shown(np.full((200, 2), 0.3), np.array([[1.0, 0.0]]))
    hashes = np.random.default_rng(4).permutation(200).astype(np.uint64)
    picks = ClassCover()(Candidates(hashes, shown=what), 5, np.random.default_rng(0)).tolist()
    assert picks == np.argsort(hashes)[:5].tolist()


def test_says_for_which_class():
    why = {}
    what = shown(np.array([[0.9, 0.0], [0.0, 0.5]]), np.array([[1.0, 0.0], [1.0, 0.0]]))
    candidates = Candidates(np.arange(2, dtype=np.uint64), shown=what)
    ClassCover()(candidates, 2, np.random.default_rng(0), Constraint(2), why)
    assert why == {
        1: "most for tools: b, labelled in 0 frames so far",
        0: "most for tools: a, labelled in 2 frames so far",
    }
    nothing = Candidates(np.arange(1, dtype=np.uint64), shown=shown(np.zeros((1, 2)), np.zeros((1, 2))))
    ClassCover()(nothing, 1, np.random.default_rng(0), None, why)
    assert why[0] == "nothing told it from the other frames"


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="tools has 2 classes, 3 candidates and 1 labelled frames, but arrays"):
        shown(np.zeros((3, 2)), np.zeros((1, 1)))
