import moocore
import numpy as np
import pytest
from agreement import record
from axioms.fusion import coarse_scores, random_scores

from mtal.acquisition.fusion.fronts import leading_fronts


def peeled(scores):
    """Brute force: the front of each frame, by comparing all pairs, front after front."""
    table = scores.numpy()
    beaten = (table[:, None] <= table[None]).all(axis=2) & (table[:, None] < table[None]).any(axis=2)  # [N, N] by j
    fronts, front = np.full(len(table), -1), 0
    while (fronts < 0).any():
        left = fronts < 0
        fronts[left & ~(beaten & left[None]).any(axis=1)] = front
        front += 1
    return fronts


def first_fronts(fronts, depth):
    """Fronts behind the one that the depth-th frame is in become −1."""
    last = np.sort(fronts)[min(depth, len(fronts)) - 1]
    return np.where(fronts <= last, fronts, -1)


@pytest.mark.parametrize("heads", [1, 2, 3, 5])
@pytest.mark.parametrize("depth", [1, 7, 50, 199, 200, 1000])
@pytest.mark.parametrize("scores", [random_scores, coarse_scores])
@pytest.mark.parametrize("sort_whole_up_to", [0, 1000])
def test_agrees_with_brute_force(heads, depth, scores, sort_whole_up_to):
    scores = scores(200, heads=heads)
    expected = first_fronts(peeled(scores), depth)
    found = leading_fronts(scores.numpy(), depth, sort_whole_up_to)
    record("non-dominated sort", "all pairs, by brute force", np.abs(found - expected).max())
    assert np.array_equal(found, expected)


def test_of_many_heads_those_that_stand_highest_on_average_are_placed_and_exactly():
    scores = random_scores(200, heads=6)
    expected, found = peeled(scores), leading_fronts(scores.numpy(), 150, sort_whole_up_to=60)
    placed = found >= 0
    assert 60 <= placed.sum() <= 62  # and equals of the last
    assert np.array_equal(found[placed], expected[placed])
    mean = scores.numpy().argsort(axis=0).argsort(axis=0).mean(axis=1)  # no ties: higher is better
    assert mean[placed].min() >= mean[~placed].max()


def test_agrees_with_moocore_where_most_frames_are_left_out():
    common = random_scores(5000, heads=1)
    scores = (0.8 * common + 0.2 * random_scores(5000, seed=1)).numpy()
    expected = first_fronts(moocore.pareto_rank(scores, maximise=True), 100)
    found = leading_fronts(scores, 100)
    record("non-dominated sort", "moocore.pareto_rank of the whole pool", np.abs(found - expected).max())
    assert np.array_equal(found, expected)
    assert (found >= 0).sum() < 200


def test_pitfall_16_equal_frames_are_in_one_front():
    assert leading_fronts(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), 4).tolist() == [0, 0, 0, 1]
