import torch
from axioms.selectors import SelectorAxioms, frame_ids, make, random_candidates, tensors

from mtal.acquisition.selectors import TopK, tie_break


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
