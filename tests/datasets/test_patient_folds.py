from types import SimpleNamespace

import numpy as np
import pytest
from miniature import surgery

from mtal.datasets.patient_folds import assign_patients, hold_out_fold


def made_up(patients, classes, seed=0):
    """Patients of 3 to 9 frames each; class l is shown by about one patient in l + 2, in half of their frames."""
    rng = np.random.default_rng(seed)
    frames = np.repeat([f"p{i:02d}" for i in range(patients)], rng.integers(3, 10, patients))
    has = {p: rng.random(classes) < 1 / (np.arange(classes) + 2) for p in np.unique(frames)}
    return frames, np.array([has[p] & (rng.random(classes) < 0.5) for p in frames])


@pytest.mark.parametrize("seed", range(5))
def test_each_class_is_on_both_sides_of_every_fold_that_it_has_patients_for(seed):
    patients, shown = made_up(50, 6, seed)
    of = assign_patients(patients, shown, 5)
    assert set(of) == set(patients)
    fold = np.array([of[p] for p in patients])
    for c in range(6):
        by_fold = [len(set(patients[shown[:, c] & (fold == f)])) for f in range(5)]
        assert sum(n > 0 for n in by_fold) >= min(5, sum(by_fold)) - 1
        assert max(by_fold) - min(by_fold) <= 3
        if c < 3:  # of a dozen patients or more
            assert min(by_fold) >= 1
    sizes = np.bincount(fold)
    assert sizes.max() - sizes.min() <= 0.35 * sizes.mean()


def test_two_patients_of_a_class_are_in_two_folds():
    patients = np.array(list("aabbccdd"))
    shown = np.zeros((8, 2), dtype=bool)
    shown[[0, 2], 0] = True  # a and b
    shown[[5, 6], 1] = True  # c and d
    of = assign_patients(patients, shown, 2)
    assert of["a"] != of["b"]
    assert of["c"] != of["d"]


def test_order_of_frames_does_not_matter():
    patients, shown = made_up(20, 4)
    order = np.random.default_rng(1).permutation(len(patients))
    assert assign_patients(patients[order], shown[order], 4) == assign_patients(patients, shown, 4)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return surgery.write(tmp_path_factory.mktemp("surgery") / "set")


def test_the_folds_are_the_tests_in_turn(dataset):
    tested = []
    for fold in range(3):
        table = hold_out_fold(dataset, fold, 3).index.table
        assert table["frame_id"].tolist() == dataset.index.table["frame_id"].tolist()
        assert set(table["split"]) == {"pool", "test"}
        tested += table.loc[table["split"] == "test", "patient"].unique().tolist()
    assert sorted(tested) == ["a", "b", "c"]


def test_more_folds_than_patients_are_refused(dataset):
    with pytest.raises(
        ValueError, match=r"loop\.fold=0 of loop\.test_folds=5, but miniature has 3 patients: set loop.te"
    ):
        hold_out_fold(dataset, 0, 5)
    alone = SimpleNamespace(name="one", index=SimpleNamespace(table=dataset.index.table.assign(patient="a")))
    with pytest.raises(ValueError, match=r"loop\.fold=1: one has one patient, so none can be held out"):
        hold_out_fold(alone, 1, 2)
