import math
from dataclasses import replace

import pytest
import torch
from agreement import record
from axioms.weights import CLASSES, WeightAxioms, random_evidence

from mtal.acquisition.weights import Evidence, Headroom

CLASSES_3 = {"tools": ("hook", "grasper"), "bleeding": ("bleeding",), "anatomy": ("liver", "gallbladder")}
SCORES = {"tools": {"hook": 0.9, "grasper": 0.7}, "bleeding": {"bleeding": 0.4}, "anatomy": {"liver": 0.6}}


class TestHeadroom(WeightAxioms):
    rule = Headroom()

    def test_worked_example(self):
        # headroom 0.2, 0.6, 0.4 (the gallbladder is not scored); their mean is 0.4
        weights = Headroom()(Evidence(CLASSES_3, SCORES))
        error = max(abs(weights[task] - w) for task, w in {"tools": 0.5, "bleeding": 1.5, "anatomy": 1.0}.items())
        record("headroom", "by hand", error)
        assert error < 1e-12

    def test_exponent(self):
        # 0.04, 0.36, 0.16 of 0.56
        weights = Headroom(exponent=2.0)(Evidence(CLASSES_3, SCORES))
        assert weights == pytest.approx({"tools": 0.12 / 0.56, "bleeding": 1.08 / 0.56, "anatomy": 0.48 / 0.56})
        assert Headroom(exponent=0.0)(Evidence(CLASSES_3, SCORES)) == dict.fromkeys(CLASSES_3, 1.0)

    def test_classes(self):
        # tools 0.1 : 0.3; anatomy 0.4 : 1, the gallbladder being as unknown as can be
        made = Headroom().class_weights(Evidence(CLASSES_3, SCORES))
        assert made["tools"].tolist() == pytest.approx([0.5, 1.5])
        assert made["bleeding"].tolist() == [1.0]
        assert made["anatomy"].tolist() == pytest.approx([0.8 / 1.4, 2 / 1.4])
        squared = Headroom(exponent=2.0).class_weights(Evidence(CLASSES_3, SCORES))
        assert squared["tools"].tolist() == pytest.approx([0.2, 1.8])

    def test_task_without_a_score_gets_the_mean_of_the_others(self):
        # headroom squared 0.04 and 0.16, so 0.1 for the bleeding head, absent or empty
        for scores in (
            {"tools": SCORES["tools"], "anatomy": SCORES["anatomy"]},
            {**SCORES, "bleeding": {}},
        ):
            weights = Headroom(exponent=2.0)(Evidence(CLASSES_3, scores))
            assert weights == pytest.approx({"tools": 0.4, "bleeding": 1.0, "anatomy": 1.6})

    def test_no_score_at_all_gives_an_equal_say(self):
        evidence = Evidence(CLASSES_3, {})
        assert Headroom()(evidence) == dict.fromkeys(CLASSES_3, 1.0)
        assert Headroom().class_weights(evidence)["anatomy"].tolist() == [1.0, 1.0]

    def test_floor_keeps_a_perfect_head_from_falling_silent(self):
        evidence = Evidence(
            {"tools": ("hook",), "anatomy": ("liver",)}, {"tools": {"hook": 1.0}, "anatomy": {"liver": 0.5}}
        )
        assert Headroom(floor=0.1)(evidence) == pytest.approx({"tools": 1 / 3, "anatomy": 5 / 3})
        assert Headroom(floor=1.0)(evidence) == {"tools": 1.0, "anatomy": 1.0}
        perfect = Evidence(CLASSES_3, {task: dict.fromkeys(names, 1.0) for task, names in CLASSES_3.items()})
        assert Headroom()(perfect) == dict.fromkeys(CLASSES_3, 1.0)

    def test_a_lower_score_never_means_less_say(self):
        evidence = random_evidence()
        before = Headroom(1.7)(evidence)
        worse = {**evidence.out_of_fold, "tools": {name: s / 2 for name, s in evidence.out_of_fold["tools"].items()}}
        after = Headroom(1.7)(replace(evidence, out_of_fold=worse))
        assert after["tools"] > before["tools"]
        assert after["anatomy"] < before["anatomy"]

    def test_sharpest_exponent_stays_in_range(self):
        weights = Headroom(exponent=1e4)(Evidence(CLASSES_3, SCORES))
        assert weights == {"tools": 0.0, "bleeding": 3.0, "anatomy": 0.0}
        scores = {task: dict.fromkeys(names, 1.0) for task, names in CLASSES.items()}
        made = Headroom(exponent=1e4).class_weights(Evidence(CLASSES, scores))
        torch.testing.assert_close(made["tools"], torch.ones(3).double())

    @pytest.mark.parametrize("exponent", [-0.1, math.inf, math.nan])
    def test_impossible_exponents_are_refused(self, exponent):
        with pytest.raises(ValueError, match=f"exponent must be 0 or more and finite, not {exponent}"):
            Headroom(exponent)

    @pytest.mark.parametrize("floor", [0.0, -1.0, 1.1, math.nan])
    def test_impossible_floors_are_refused(self, floor):
        with pytest.raises(ValueError, match=rf"floor must lie in \(0, 1\], not {floor}"):
            Headroom(floor=floor)
