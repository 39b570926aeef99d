import math

import pytest

from mtal.acquisition.weights import Evidence, HeadWeights, PastRound

CLASSES = {"tools": ("hook", "grasper"), "anatomy": ("liver",)}


class Fixed(HeadWeights):
    def __init__(self, tools, anatomy):
        self.made = {"tools": tools, "anatomy": anatomy}

    def weigh(self, evidence):
        return self.made


def test_mean_is_one_in_any_unit():
    assert Fixed(1.0, 3.0)(Evidence(CLASSES)) == {"tools": 0.5, "anatomy": 1.5}
    assert Fixed(0.0, 1e-200)(Evidence(CLASSES)) == {"tools": 0.0, "anatomy": 2.0}


@pytest.mark.parametrize("weights", [(0.0, 0.0), (1.0, -0.5), (-1.0, -1.0), (1.0, math.inf), (math.nan, 1.0)])
def test_impossible_weights_are_refused(weights):
    with pytest.raises(ValueError, match=r"Fixed gives .*; weights are 0 or more, finite and not all 0"):
        Fixed(*weights)(Evidence(CLASSES))


def test_classes_count_the_same_unless_a_rule_says_otherwise():
    made = Fixed(1.0, 1.0).class_weights(Evidence(CLASSES))
    assert {task: weights.tolist() for task, weights in made.items()} == {"tools": [1.0, 1.0], "anatomy": [1.0]}


class TestEvidence:
    def test_tasks(self):
        assert Evidence(CLASSES).tasks == ("tools", "anatomy")

    @pytest.mark.parametrize("part", ["out_of_fold", "counts"])
    def test_unknown_names_are_refused(self, part):
        with pytest.raises(ValueError, match=rf"{part}\.tools names 'scissors'"):
            Evidence(CLASSES, **{part: {"tools": {"hook": 1, "scissors": 1}}})
        with pytest.raises(ValueError, match=rf"{part}\.phase names 'dissection'"):
            Evidence(CLASSES, **{part: {"phase": {"dissection": 1}}})

    @pytest.mark.parametrize("score", [-0.01, 1.01, math.nan])
    def test_impossible_scores_are_refused(self, score):
        with pytest.raises(ValueError, match=rf"out_of_fold\.anatomy\.liver must lie in \[0, 1\], not {score}"):
            Evidence(CLASSES, {"anatomy": {"liver": score}})
        with pytest.raises(ValueError, match=rf"score of anatomy must lie in \[0, 1\], not {score}"):
            PastRound(10, {"anatomy": score})

    @pytest.mark.parametrize("score", [0.0, 1.0])
    def test_ends_of_the_range_are_scores(self, score):
        Evidence(CLASSES, {"anatomy": {"liver": score}}, history=(PastRound(1, {"anatomy": score}),))


class TestPastRound:
    def test_a_head_may_have_had_no_say(self):
        assert PastRound(10, {}, {"tools": 0.0, "anatomy": 0.5}).weights["tools"] == 0.0

    def test_scores_come_from_labelled_frames(self):
        assert PastRound(0, {}).scores == {}
        with pytest.raises(ValueError, match="labelled is 0"):
            PastRound(0, {"tools": 0.5})
        with pytest.raises(ValueError, match="labelled is -1"):
            PastRound(-1, {})

    @pytest.mark.parametrize("weight", [-0.1, math.inf, math.nan])
    def test_impossible_weights_are_refused(self, weight):
        with pytest.raises(ValueError, match=f"weight of tools must be 0 or more and finite, not {weight}"):
            PastRound(10, {}, {"tools": weight})
