import numpy as np
import pytest

from mtal.acquisition.selectors import Candidates, Constraint, CostBudget, TopK, tie_break


def test_dear_frames_are_passed_over_for_affordable_ones():
    import torch

    # 60 of 100 s; 50 is too dear; 30; 10 is left, and 10 fits
    candidates = Candidates(tie_break(0, "abcde"), utility=torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0]))
    budget = CostBudget(100.0, np.array([60.0, 50.0, 30.0, 11.0, 10.0]))
    picks = TopK()(candidates, 5, np.random.default_rng(0), Constraint(5, rules=[budget]))
    assert picks.tolist() == [0, 2, 4]
    assert budget.spent == 100.0


def test_remaining_is_what_the_cheapest_frames_allow():
    budget = CostBudget(100.0, np.array([60.0, 50.0, 30.0, 11.0, 10.0]))
    constraint = Constraint(5, np.array([False, False, False, False, True]), [budget])
    assert constraint.remaining == 3  # 11 + 30 + 50 = 91
    constraint.pick(2)
    assert constraint.remaining == 1 + 1  # 11 + 50 of 70
    constraint.pick(0)
    assert constraint.remaining == 0
    assert not constraint.allowed().any()
    with pytest.raises(ValueError, match="candidate 3 is not allowed by CostBudget"):
        constraint.pick(3)


def test_rounding_does_not_cost_a_frame():
    # 0.1 + 0.1 + 0.1 = 0.30000000000000004
    budget = CostBudget(0.3, np.full(4, 0.1))
    constraint = Constraint(4, rules=[budget])
    for i in range(3):
        constraint.pick(i)
    assert not constraint.allowed().any()


def test_what_the_cheapest_frame_left_costs_is_told():
    rule = CostBudget(5.0, np.array([9.0, 7.0, 6.0]))
    constraint = Constraint(3, np.array([False, False, True]), [rule])
    assert constraint.reasons() == ["the cost budget is 5 s but the cheapest frame left costs 7 s"]


def test_free_frames_are_free():
    constraint = Constraint(2, rules=[CostBudget(1.0, np.array([1.0, 0.0]))])
    constraint.pick(0)
    assert constraint.allowed().tolist() == [False, True]


@pytest.mark.parametrize(
    ("seconds", "cost_s", "message"),
    [
        (0.0, [1.0], "above 0 s, not 0"),
        (float("inf"), [1.0], "above 0 s, not inf"),
        (1.0, [-1.0], "finite seconds of 0 or more"),
        (1.0, [float("nan")], "finite seconds of 0 or more"),
        (1.0, [[1.0]], "finite seconds of 0 or more"),
    ],
)
def test_impossible_budgets_are_refused(seconds, cost_s, message):
    with pytest.raises(ValueError, match=message):
        CostBudget(seconds, np.array(cost_s))
