import torch
from axioms.fusion import TASKS, FusionAxioms, random_scores

from mtal.acquisition.fusion import Alternating


def order(utility):
    return utility.argsort(descending=True, stable=True).tolist()


def interleaved(rankings):
    """Brute force: one list after the other is asked for its next frame, frames seen before are passed over."""
    seen = []
    for place in range(len(rankings[0])):
        for ranking in rankings:
            if ranking[place] not in seen:
                seen.append(ranking[place])
    return seen


class TestAlternating(FusionAxioms):
    rule = Alternating()
    choice = "alternating"
    invariant_to_monotone_maps = True

    def test_worked_example(self):
        # a ranks 0 1 2 3, b ranks 3 0 2 1: turns are a0 b3 a1 (b0) a2
        scores = torch.tensor([[0.9, 0.6], [0.8, 0.1], [0.5, 0.3], [0.1, 0.9]])
        assert order(Alternating()(scores, tasks=("a", "b"))) == [0, 3, 1, 2]
        assert order(Alternating()(scores, tasks=("b", "a"))) == [3, 0, 1, 2]

    def test_worked_example_with_weights(self):
        # a has the first turn of two and weight 2, b the second: ranks (1, 2), (2, 1) come up at
        # (0 + ½)/2, (1 + 1)/1 and (1 + ½)/2, (0 + 1)/1
        utility = Alternating()(torch.tensor([[0.9, 0.1], [0.5, 0.8]]), torch.tensor([2.0, 1.0]), ("a", "b"))
        assert utility.tolist() == [-0.25, -0.75]

    def test_agrees_with_interleaving_the_rankings(self):
        scores = random_scores()
        rankings = [scores[:, t].argsort(descending=True).tolist() for t in (2, 1, 0)]  # anatomy, bleeding, tools
        assert order(Alternating()(scores, tasks=TASKS)) == interleaved(rankings)

    def test_head_of_double_weight_has_two_turns_of_three(self):
        # the rankings run against each other, so no frame is wanted by both in the first six turns
        scores = torch.stack([torch.arange(30.0), -torch.arange(30.0)], dim=1)
        first_six = order(Alternating()(scores, torch.tensor([2.0, 1.0]), ("a", "b")))[:6]
        assert sum(i > 15 for i in first_six) == 4

    def test_pitfall_16_ties_do_not_go_by_file_order(self):
        utility = Alternating()(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]))
        assert utility[0] == utility[1]
