import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from mtal.annotation import agreement, disputed
from mtal.annotation.agreement import kappa
from mtal.datasets.label_map import IGNORE


def test_kappa_of_two_is_that_of_scikit_learn():
    votes = np.random.default_rng(0).integers(0, 2, (40, 2)).astype(np.uint8)
    votes[:20, 1] = votes[:20, 0]
    assert kappa(votes) == pytest.approx(cohen_kappa_score(*votes.T))


def test_kappa_of_more_is_fleiss():
    """Three annotators, four frames: Pᵢ = 1, 1/3, 1/3, 1; p = 5/12, 7/12; P̄ = 2/3, P̄ₑ = 74/144."""
    votes = np.array([[1, 1, 1], [1, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=np.uint8)
    votes[1] = [1, 0, 1]
    votes[2] = [0, 1, 1]
    assert kappa(votes) == pytest.approx((2 / 3 - 74 / 144) / (1 - 74 / 144))
    votes[3, 0] = IGNORE  # two who agree are as good as three
    shares = np.array([4, 7]) / 11
    assert kappa(votes) == pytest.approx((2 / 3 - (shares**2).sum()) / (1 - (shares**2).sum()))


@pytest.mark.parametrize("votes", [[[1, 1], [1, 1]], [[1, 255], [255, 0]], np.zeros((0, 2))])
def test_kappa_is_undefined_without_chance(votes):
    assert np.isnan(kappa(np.array(votes, dtype=np.uint8)))


def test_by_task_and_class_with_the_disputed_frames(store, answer):
    anna = {"v/1": [1, 0], "v/2": [1, 1], "v/3": [0, 0], "v/4": [0, 1]}
    ben = {"v/1": [1, 0], "v/2": [0, 1], "v/3": [0, 0], "v/4": [0, 0]}
    for who, told in (("anna", anna), ("ben", ben)):
        store.add([answer(f, "tools", t, annotator=who) for f, t in told.items()])
        store.add([answer("v/1", "phase", 0 if who == "anna" else 1, annotator=who)])
        store.add([answer("v/1", "anatomy", [[0, 0, 1, 1 if who == "anna" else IGNORE]], annotator=who)])
        store.add([answer("v/2", "anatomy", [[0, 0, 1 if who == "anna" else 0, 1]], annotator=who)])
    store.add([answer("v/9", "tools", [1, 1], annotator="anna")])  # that nobody else saw
    told = agreement(store.view()).set_index(["task", "class"])
    assert told.loc[("tools", "grasper"), ["annotators", "frames", "kappa"]].tolist() == [2, 4, 0.5]
    assert told.loc[("tools", "hook"), "kappa"] == 0.5
    assert told.loc[("phase", "prepare"), "kappa"] == 0
    assert told.loc[("anatomy", "wall"), "dice"] == pytest.approx((1 + 4 / 5) / 2)
    assert told.loc[("anatomy", "liver"), "dice"] == pytest.approx((1 + 2 / 3) / 2)
    assert list(disputed(store.view()).itertuples(index=False, name=None)) == [
        ("v/1", "phase", "anna, ben", 1.0),
        ("v/2", "tools", "anna, ben", 0.5),
        ("v/4", "tools", "anna, ben", 0.5),
        ("v/2", "anatomy", "anna, ben", 0.25),
    ]
