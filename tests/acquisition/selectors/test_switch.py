import dataclasses

import numpy as np
import pytest
from axioms.selectors import SelectorAxioms, frame_ids, tensors

from mtal.acquisition.selectors import Candidates, KCenterGreedy, Switch, TopK, TypiClust, tie_break


class TestSwitch(SelectorAxioms):
    selector = Switch(TypiClust(), TopK())
    seeded = True
    prefix_stable = False  # as TypiClust


@pytest.mark.parametrize(("number", "expected"), [(1, TypiClust()), (2, TypiClust()), (3, TopK()), (9, TopK())])
def test_each_picks_in_its_rounds(number, expected):
    utility, _, x = tensors(40)[:3]
    pool = Candidates(tie_break(0, frame_ids(40)), utility, features=x, round_number=number)
    picks = Switch(TypiClust(), TopK(), last=2)(pool, 6, np.random.default_rng(0)).tolist()
    assert picks == expected(pool, 6, np.random.default_rng(0)).tolist()
    other = dataclasses.replace(pool, round_number=3 if number < 3 else 1)
    assert picks != Switch(TypiClust(), TopK(), last=2)(other, 6, np.random.default_rng(0)).tolist()


def test_the_reason_is_that_of_the_one_who_picks():
    switch = Switch(TypiClust(), TopK(), last=2)
    assert switch.reason(2) == TypiClust.because
    assert switch.reason(3) == ""
    assert Switch(switch, TopK(), last=5).reason(2) == TypiClust.because


def test_needs_what_either_needs():
    assert Switch(KCenterGreedy(), TopK()).needs == {"features", "utility"}


def test_last_out_of_range():
    with pytest.raises(ValueError, match="last of switch must be round 1 or a later one, not 0"):
        Switch(TopK(), TopK(), last=0)
