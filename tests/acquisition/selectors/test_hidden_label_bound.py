from dataclasses import replace

import numpy as np
import pytest
from agreement import record
from axioms.selectors import SelectorAxioms, random_candidates

from mtal.acquisition.selectors import HiddenLabelBound, JointCover


class TestHiddenLabelBound(SelectorAxioms):
    selector = HiddenLabelBound()


@pytest.mark.parametrize("seconds", [False, True])
def test_is_joint_cover_that_expects_the_truth(seconds):
    """By the second too, where a budget is of seconds."""
    pool = replace(random_candidates(40, 3), tie_break=np.arange(40, dtype=np.uint64))
    if seconds:
        pool = replace(pool, shown=replace(pool.shown, cost_s=np.random.default_rng(1).uniform(5, 90, 40)))
    picks = HiddenLabelBound()(pool, 15, np.random.default_rng(0)).tolist()
    told = replace(pool, shown=replace(pool.shown, expected=dict(pool.hidden), trust=0.0))
    expected = JointCover()(told, 15, np.random.default_rng(0)).tolist()
    record("hidden-label bound", "joint cover that expects the truth", float(picks != expected))
    assert picks == expected
    assert picks != JointCover()(pool, 15, np.random.default_rng(0)).tolist()


def test_reason_says_that_hidden_labels_were_read():
    assert "hidden labels" in HiddenLabelBound().reason(1)
