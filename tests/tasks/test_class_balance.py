import numpy as np
import pytest

from mtal.datasets.label_map import IGNORE
from mtal.tasks import class_weights


def column(positives, negatives, ignored=0):
    return [1] * positives + [0] * negatives + [IGNORE] * ignored


class TestBernoulli:
    # class 0: 2 of 8; class 1: 4 of 6, two not annotated; class 2: 8 of 8; class 3: never seen
    TARGETS = np.array([column(2, 6), column(4, 2, 2), column(8, 0), column(0, 8)], dtype=np.uint8).T

    def test_inverse_is_negatives_over_positives(self, make_task):
        weights = class_weights(make_task("frame", "bernoulli", 4), self.TARGETS, "inverse")
        assert weights.tolist() == [3.0, 0.5, 1.0, 1.0]

    def test_sqrt(self, make_task):
        weights = class_weights(make_task("frame", "bernoulli", 4), self.TARGETS, "sqrt")
        assert weights.tolist() == pytest.approx([3**0.5, 0.5**0.5, 1.0, 1.0])

    def test_pixels_are_counted_per_class(self, make_task):
        targets = np.zeros((1, 2, 2, 4), dtype=np.uint8)
        targets[0, 0, 0, :2] = 1  # 2 of 8
        targets[0, 1, :, :3] = 1  # 6 of 7
        targets[0, 1, 0, 3] = IGNORE
        weights = class_weights(make_task("pixel", "bernoulli", 2), targets, "inverse")
        assert weights.tolist() == pytest.approx([3.0, 1 / 6])


class TestCategorical:
    # counts 12, 4, 2, none: the mean over the classes seen is 6
    TARGETS = np.array([0] * 12 + [1] * 4 + [2] * 2 + [IGNORE] * 6, dtype=np.uint8)

    @pytest.mark.parametrize(("support", "shape"), [("frame", (24,)), ("pixel", (2, 3, 4))])
    def test_inverse_is_mean_count_over_count(self, make_task, support, shape):
        weights = class_weights(make_task(support, "categorical", 4), self.TARGETS.reshape(shape), "inverse")
        assert weights.tolist() == pytest.approx([0.5, 1.5, 3.0, 1.0])

    def test_sqrt(self, make_task):
        weights = class_weights(make_task("frame", "categorical", 4), self.TARGETS, "sqrt")
        assert weights.tolist() == pytest.approx([0.5**0.5, 1.5**0.5, 3**0.5, 1.0])


class TestLimit:
    def test_clips_both_ends_after_the_root(self, make_task):
        targets = np.array([column(1, 99), column(99, 1), column(20, 80)], dtype=np.uint8).T
        task = make_task("frame", "bernoulli", 3)
        assert class_weights(task, targets, "inverse", limit=8).tolist() == [8.0, 0.125, 4.0]
        assert class_weights(task, targets, "sqrt", limit=8).tolist() == pytest.approx([8.0, 0.125, 2.0])

    @pytest.mark.parametrize("limit", [0.5, 0.0, -1.0, float("nan")])
    def test_below_one_is_refused(self, make_task, limit):
        with pytest.raises(ValueError, match="limit of class weights must be at least 1"):
            class_weights(make_task("frame", "bernoulli", 1), np.zeros((1, 1), np.uint8), limit=limit)


@pytest.mark.parametrize(
    ("support", "family", "shape"),
    [
        ("frame", "bernoulli", (5, 3)),
        ("frame", "categorical", (5,)),
        ("pixel", "bernoulli", (5, 3, 2, 2)),
        ("pixel", "categorical", (5, 2, 2)),
    ],
)
class TestEveryKind:
    @pytest.mark.parametrize("scheme", ["sqrt", "inverse"])
    def test_nothing_annotated_weighs_nothing_differently(self, make_task, support, family, shape, scheme):
        targets = np.full(shape, IGNORE, dtype=np.uint8)
        assert class_weights(make_task(support, family, 3), targets, scheme).tolist() == [1.0, 1.0, 1.0]

    def test_none(self, make_task, support, family, shape):
        assert class_weights(make_task(support, family, 3), np.zeros(shape, np.uint8), "none") is None

    def test_unknown_scheme(self, make_task, support, family, shape):
        with pytest.raises(ValueError, match="unknown class balance 'log'; choose none, sqrt or inverse"):
            class_weights(make_task(support, family, 3), np.zeros(shape, np.uint8), "log")
