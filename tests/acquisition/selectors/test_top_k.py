from dataclasses import replace

import numpy as np
import pytest
import torch
from axioms.selectors import SelectorAxioms, frame_ids, make, random_candidates, tensors

from mtal.acquisition.selectors import Cap, Constraint, TopK, tie_break


class TestTopK(SelectorAxioms):
    selector = TopK()

    def test_is_torch_topk(self):
        candidates = random_candidates()
        assert self.picks(candidates, 9) == torch.topk(candidates.utility, 9).indices.tolist()

    def test_ties_go_by_hash(self):
        _, left, features = tensors(30)
        utility = torch.arange(30) // 10  # three values, ten frames each
        hashes = tie_break(0, frame_ids(30)).tolist()
        expected = sorted(range(30), key=lambda i: (-utility[i].item(), hashes[i]))
        assert self.picks(make(utility.double(), left, features), 25) == expected[:25]

    def test_pitfall_15_cutting_to_the_budget_keeps_the_best(self):
        candidates = random_candidates()
        assert self.picks(candidates, 1) == [int(candidates.utility.argmax())]

    def test_all_at_once_is_one_by_one(self):
        """A rule that forbids nothing makes it go pick by pick."""
        utility = random_candidates().utility.clone()
        utility[5:9] = utility[20]
        candidates = replace(random_candidates(), utility=utility)
        nothing = Cap(30, np.zeros(30, dtype=np.int64))
        one_by_one = self.picks(candidates, 20, constraint=Constraint(30, rules=[nothing]))
        assert self.picks(candidates, 20) == one_by_one

    def test_what_is_picked_at_once_is_taken_out(self):
        constraint = Constraint(30)
        picks = self.picks(random_candidates(), 4, constraint=constraint)
        assert constraint.remaining == 26
        with pytest.raises(ValueError, match="only without rules, and each only once"):
            constraint.pick_all(np.array(picks))
