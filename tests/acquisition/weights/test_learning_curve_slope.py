import math

import numpy as np
import pytest
from agreement import record
from axioms.weights import CLASSES, WeightAxioms, random_evidence
from scipy.stats import linregress

from mtal.acquisition.weights import Evidence, LearningCurveSlope, PastRound


def evidence(*rounds):
    """Rounds given as (labelled, scores of tools, bleeding and anatomy, ``None`` where not scored)."""
    history = [
        PastRound(labelled, {task: s for task, s in zip(CLASSES, scores, strict=True) if s is not None})
        for labelled, *scores in rounds
    ]
    return Evidence(CLASSES, history=tuple(history))


class TestLearningCurveSlope(WeightAxioms):
    rule = LearningCurveSlope()

    @pytest.mark.parametrize("rounds", [2, 3, 5, 9])
    def test_agrees_with_scipy(self, rounds):
        drawn = random_evidence(rounds=5)
        recent = drawn.history[-rounds:]
        x = np.log([r.labelled for r in recent])
        slopes = {task: linregress(x, [r.scores[task] for r in recent]).slope for task in CLASSES}
        expected = {task: max(slope * math.log(2), 0.01) for task, slope in slopes.items()}
        total = sum(expected.values())
        weights = LearningCurveSlope(rounds, floor=0.01)(drawn)
        error = max(abs(weights[task] - 3 * expected[task] / total) for task in CLASSES)
        record("learning-curve slope", "scipy linregress", error)
        assert error < 1e-12
        assert any(slope > 0 for slope in slopes.values())

    def test_worked_example(self):
        # per doubling 0.02, 0.06 and a fall, which counts as the floor 0.01; mean 0.03
        made = LearningCurveSlope(rounds=2, floor=0.01)(evidence((50, 0.9, 0.2, 0.6), (100, 0.92, 0.26, 0.5)))
        assert made == pytest.approx({"tools": 2 / 3, "bleeding": 2.0, "anatomy": 1 / 3})

    def test_gain_is_per_doubling_however_many_frames_were_added(self):
        # 0.04 over two doublings, 0.02 and 0.03 in one: with the floor at 0.02 they stand 2 : 2 : 3
        history = evidence((25, 0.5, None, None), (50, None, 0.2, 0.2), (100, 0.54, 0.22, 0.23))
        made = LearningCurveSlope(floor=0.02)(history)
        assert made == pytest.approx({"tools": 6 / 7, "bleeding": 6 / 7, "anatomy": 9 / 7})
        made = LearningCurveSlope(floor=0.001)(history)
        assert made == pytest.approx({"tools": 6 / 7, "bleeding": 6 / 7, "anatomy": 9 / 7})

    def test_earlier_rounds_are_forgotten(self):
        late = ((50, 0.9, 0.2, 0.6), (100, 0.92, 0.26, 0.5))
        rule = LearningCurveSlope(rounds=2)
        assert rule(evidence((10, 0.0, 0.9, 0.1), *late)) == rule(evidence(*late))

    def test_head_without_a_slope_gets_the_mean_of_the_others(self):
        made = LearningCurveSlope(floor=0.01)(evidence((50, 0.9, None, 0.6), (100, 0.92, 0.26, 0.66)))
        assert made == pytest.approx({"tools": 0.5, "bleeding": 1.0, "anatomy": 1.5})

    @pytest.mark.parametrize(
        "rounds",
        [
            (),
            ((50, 0.9, 0.2, 0.6),),
            ((50, 0.9, 0.2, 0.6), (50, 0.7, 0.1, 0.9)),
            ((0, None, None, None), (50, 0.7, 0.1, 0.9)),
        ],
        ids=["no round", "one round", "no frame added", "one scored round"],
    )
    def test_too_little_history_gives_an_equal_say(self, rounds):
        assert LearningCurveSlope()(evidence(*rounds)) == dict.fromkeys(CLASSES, 1.0)

    @pytest.mark.parametrize("rounds", [1, 0, -2])
    def test_too_few_rounds_are_refused(self, rounds):
        with pytest.raises(ValueError, match=f"rounds must be 2 or more, not {rounds}"):
            LearningCurveSlope(rounds)

    @pytest.mark.parametrize("floor", [0.0, -1.0, math.inf, math.nan])
    def test_impossible_floors_are_refused(self, floor):
        with pytest.raises(ValueError, match=f"floor must be above 0 and finite, not {floor}"):
            LearningCurveSlope(floor=floor)
