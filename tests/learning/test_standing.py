"""What the labelled frames tell of each head, and that a later round reads it back."""

import numpy as np
import pytest
import torch
from miniature import surgery

from mtal.acquisition import Bandit, GradientLength, Headroom, HeadWeights, LearningCurveSlope, PastRound
from mtal.datasets.label_map import IGNORE
from mtal.learning.out_of_fold import OutOfFold
from mtal.learning.run_folder import RunFolder
from mtal.learning.standing import Standing, needs_out_of_fold, past_rounds, standing, write_standing
from mtal.tasks.posterior import HeadOutput

LABELS = {
    "tools": np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 0, 0]], dtype=np.uint8),
    "bleeding": np.full((4, 1), IGNORE, dtype=np.uint8),
    "anatomy": np.zeros((4, 2, 2), dtype=np.uint8),
}
VALIDATED = OutOfFold(scores={"tools": {"grasper": 0.9, "hook": 0.5}, "bleeding": {}, "anatomy": {"wall": 0.6}})


def make(**options):
    return surgery.make_acquisition(**options)


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({}, False),
        ({"weights": GradientLength()}, False),
        ({"class_weights": "inverse_frequency"}, False),
        ({"weights": Headroom()}, True),
        ({"weights": LearningCurveSlope()}, True),
        ({"weights": Bandit()}, True),
        ({"calibrate": True}, True),
        ({"class_weights": "headroom"}, True),
    ],
)
def test_cross_validates_only_where_something_asks(options, asked):
    assert needs_out_of_fold(make(**options)) == asked


def test_evidence(tasks):
    past = (PastRound(2, {"tools": 0.4}, {"tools": 1.0, "bleeding": 1.0, "anatomy": 1.0}),)
    known = standing(make(), tasks, LABELS, VALIDATED, past)
    assert known.silent == ("bleeding",)
    assert known.evidence.counts["tools"] == {"grasper": 4, "hook": 1, "clipper": 0}
    assert known.evidence.history[0] is past[0]
    now = known.evidence.history[1]
    assert (now.labelled, now.weights) == (4, {})
    # over all three classes, the absent ones being 0
    assert now.scores == {"tools": pytest.approx(1.4 / 3), "anatomy": pytest.approx(0.2)}


def test_a_class_first_seen_later_does_not_lower_the_history(tasks):
    before = OutOfFold(scores={"tools": {"grasper": 0.9}})
    later = OutOfFold(scores={"tools": {"grasper": 0.9, "hook": 0.1}})  # a class that is hard, and new
    first, second = (
        standing(make(), tasks, LABELS, validated, ()).evidence.history[-1].scores["tools"]
        for validated in (before, later)
    )
    assert first == pytest.approx(0.3)
    assert second == pytest.approx(1 / 3)


def test_class_weights_by_inverse_frequency(tasks):
    known = standing(make(class_weights="inverse_frequency"), tasks, LABELS, None, ())
    # 1/4, 1/1 and, never shown, 1/1: over their mean of 3/4
    assert known.class_weights["tools"].tolist() == pytest.approx([1 / 3, 4 / 3, 4 / 3])
    assert standing(make(), tasks, LABELS, None, ()).class_weights == {}


def test_class_weights_by_headroom(tasks):
    known = standing(make(class_weights="headroom"), tasks, LABELS, VALIDATED, ())
    # headroom 0.1, 0.5 and, without a score, 1: over their mean of 1.6/3
    assert known.class_weights["tools"].tolist() == pytest.approx([0.1875, 0.9375, 1.875])


def test_temperatures_are_fitted_out_of_fold(tasks):
    says_90_percent = HeadOutput("bernoulli", torch.full((5, 1, 1), 0.9))
    right_4_of_5 = torch.tensor([1, 1, 1, 1, 0], dtype=torch.uint8).reshape(5, 1, 1)
    validated = OutOfFold(heads={"bleeding": says_90_percent}, targets={"bleeding": right_4_of_5})
    known = standing(make(calibrate=True), tasks, LABELS, validated, ())
    assert known.temperatures == {"bleeding": pytest.approx(1.585, abs=1e-3)}  # logit 0.9 over logit 0.8
    assert standing(make(), tasks, LABELS, validated, ()).temperatures == {}


def test_is_read_back_by_later_rounds(tasks, tmp_path):
    folder = RunFolder(tmp_path)
    for number, weights in ((1, {"tools": 1.5, "bleeding": 0.5}), (2, {"tools": 2.0, "bleeding": 0.0})):
        known = standing(make(), tasks, LABELS, VALIDATED, past_rounds(folder))
        (tmp_path / "rounds" / "00").mkdir(parents=True, exist_ok=True)
        folder.round_path(number).mkdir()
        write_standing(folder.round_path(number), known.with_gradient_length({"tools": 2.0}), weights, 4 * number)
    first, second = past_rounds(folder)
    assert (first.labelled, second.labelled) == (4, 8)
    assert second.weights == {"tools": 2.0, "bleeding": 0.0}
    assert first.scores == {"tools": pytest.approx(1.4 / 3), "anatomy": pytest.approx(0.2)}


def test_gradient_length_comes_with_the_pass_over_the_pool(tasks):
    known = standing(make(), tasks, LABELS, None, ())
    assert known.evidence.gradient_length is None
    assert known.with_gradient_length({"tools": 2.0}).evidence.gradient_length == {"tools": 2.0}
    assert known.with_gradient_length({}).evidence.gradient_length is None
    assert isinstance(known, Standing)


class OutOfReach(HeadWeights):
    def weigh(self, evidence):
        return dict.fromkeys(evidence.tasks, 0.0)


def test_weights_of_zero_are_refused(tasks):
    known = standing(make(), tasks, LABELS, None, ())
    with pytest.raises(ValueError, match="weights are 0 or more, finite and not all 0"):
        OutOfReach()(known.evidence)
