import numpy as np
import pytest

from mtal.acquisition.moments import Moments
from mtal.acquisition.selectors import Candidates, Cap, Constraint, CostBudget, MinimumGap, Random, Rule, tie_break


def test_every_frame_once():
    constraint = Constraint(3, np.array([False, True, False]))
    assert constraint.remaining == 2
    constraint.pick(2)
    assert constraint.allowed().tolist() == [True, False, False]
    for gone in (1, 2):
        with pytest.raises(ValueError, match=f"candidate {gone} was picked before or is excluded"):
            constraint.pick(gone)


def test_several_at_once_are_each_picked_once():
    with pytest.raises(ValueError, match="each only once"):
        Constraint(4).pick_all(np.array([0, 2, 0]))


def test_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"excluded must be \[3\]"):
        Constraint(3, np.zeros(4, dtype=bool))


class Only(Rule):
    """Hard: the candidates ``these`` and no other."""

    hard = True

    def __init__(self, size, these):
        self.mask = np.isin(np.arange(size), these)

    def __len__(self):
        return len(self.mask)

    def allowed(self):
        return self.mask

    def pick(self, i):
        pass


# two videos: 0, 1, 2 s of the first and 0, 5 s of the second
MOMENTS = Moments(np.array([0, 0, 0, 1, 1]), np.array([0.0, 1.0, 2.0, 0.0, 5.0]))


def test_all_rules_hold_at_once():
    rules = [MinimumGap(2.0, MOMENTS), Cap(2, MOMENTS.video), Only(5, [0, 1, 2, 4])]
    constraint = Constraint(5, np.array([True, False, False, False, False]), rules)
    assert constraint.allowed().tolist() == [False, True, True, False, True]
    assert constraint.remaining == 3
    constraint.pick(1)
    assert constraint.allowed().tolist() == [False, False, False, False, True]
    assert constraint.remaining == 2  # the gap may give way, Only not


def test_the_last_soft_rule_gives_way_first():
    """Both are in the way: of the frames far enough from the picked ones, the cap admits none."""
    gap, cap = MinimumGap(2.0, MOMENTS), Cap(1, MOMENTS.video)
    constraint = Constraint(5, rules=[gap, cap])
    constraint.pick(0)
    constraint.pick(3)
    with pytest.warns(UserWarning, match="cap is raised") as caught:
        assert constraint.allowed().tolist() == [False, False, True, False, True]
    assert (gap.seconds, cap.limit, len(caught)) == (2.0, 2, 1)


def test_the_first_soft_rule_gives_way_only_where_it_must():
    gap, cap = MinimumGap(2.0, MOMENTS), Cap(1, MOMENTS.video)
    constraint = Constraint(5, rules=[cap, gap])
    constraint.pick(2)
    constraint.pick(3)
    # the cap needs 2 of any video; the gap then still holds for 0 (2 s from 2) and 4 (5 s from 3)
    with pytest.warns(UserWarning, match="cap is raised"):
        assert constraint.allowed().tolist() == [True, False, False, False, True]
    constraint.pick(0)
    constraint.pick(4)
    with pytest.warns(UserWarning, match="halved") as caught:
        assert constraint.allowed().tolist() == [False, True, False, False, False]
    assert (gap.seconds, cap.limit, len(caught)) == (1.0, 3, 1)


def test_without_relaxing_nothing_is_widened():
    gap = MinimumGap(10.0, MOMENTS)
    constraint = Constraint(5, rules=[gap])
    constraint.pick(0)
    constraint.pick(3)
    assert not constraint.allowed(relax=False).any()
    assert gap.seconds == 10.0
    with pytest.warns(UserWarning, match="halved"):
        assert constraint.allowed().tolist() == [False, False, False, False, True]


def test_hard_rule_is_never_relaxed():
    constraint = Constraint(5, rules=[Only(5, [1]), MinimumGap(1.0, MOMENTS)])
    with pytest.raises(ValueError, match="candidate 2 is not allowed by Only"):
        constraint.pick(2)
    constraint.pick(1)
    assert not constraint.allowed().any()
    assert constraint.free.sum() == 4
    assert constraint.remaining == 0


def test_hard_rule_that_ends_the_picking_is_named():
    with pytest.warns(UserWarning, match="4 frames but only 1 are picked: Only allows none of the 2 frames"):
        picks = Random()(
            Candidates(tie_break(0, "abc")), 4, np.random.default_rng(0), Constraint(3, rules=[Only(3, [1])])
        )
    assert picks.tolist() == [1]


def test_only_the_rule_that_stands_in_the_way_is_named():
    rules = [Only(3, [0, 1, 2]), CostBudget(1.0, np.array([1.0, 1.0, 1.0]))]
    picks = Random()(Candidates(tie_break(0, "abc")), 3, np.random.default_rng(0), Constraint(3, rules=rules))
    assert len(picks) == 1  # and no warning, which would be an error


def test_allowed_is_not_to_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        Constraint(3).allowed()[0] = False


def test_allowed_stays_what_it_was_when_it_was_asked():
    constraint = Constraint(3)
    before = constraint.allowed()
    constraint.pick(0)
    assert before.tolist() == [True, True, True]


def test_rule_of_another_size_is_refused():
    with pytest.raises(ValueError, match="Cap is on 5 frames but there are 4 candidates"):
        Constraint(4, rules=[Cap(1, MOMENTS.video)])


def test_soft_rule_must_say_how_it_gives_way():
    rule = Only(2, [])
    rule.hard = False
    with pytest.raises(NotImplementedError, match="Only is soft and needs relax"):
        Constraint(2, rules=[rule]).allowed()


def test_moments_must_be_whole():
    with pytest.raises(ValueError, match="both are"):
        Moments(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="not finite"):
        Moments(np.zeros(1), np.array([np.nan]))
