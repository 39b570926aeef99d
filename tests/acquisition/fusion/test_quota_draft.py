import numpy as np
import pytest
import torch
from agreement import record
from axioms.fusion import TASKS, FusionAxioms, coarse_scores, random_scores

from mtal.acquisition.fusion import Alternating, Borda, QuotaDraft
from mtal.acquisition.fusion.quota_draft import _turns


def order(utility):
    return utility.argsort(descending=True, stable=True).tolist()


def seats(weights, number):
    """Webster's method: the next seat goes to the largest weight over twice the seats so far plus one."""
    got, turns = [0] * len(weights), []
    for _ in range(number):
        turn = max(range(len(weights)), key=lambda t: (weights[t] / (2 * got[t] + 1), -t))
        got[turn] += 1
        turns.append(turn)
    return turns


def drafted(scores, weights, heads):
    """Brute force: each head in its turn looks through all frames that are left; equal frames go together."""
    borda = Borda()(scores, torch.tensor(weights)).tolist()
    rows = [tuple(row) for row in scores.tolist()]
    left, utility = set(rows), [0.0] * len(rows)
    standing = dict(zip(rows, borda, strict=True))
    turns = seats([weights[t] for t in heads], len(left))
    for turn, place in enumerate(turns):
        head = heads[place]
        best = max(left, key=lambda row: (row[head], standing[row], [row[t] for t in heads]))
        left.remove(best)
        for i, row in enumerate(rows):
            if row == best:
                utility[i] = -turn
    return utility


class TestQuotaDraft(FusionAxioms):
    rule = QuotaDraft()
    choice = "quota_draft"
    invariant_to_monotone_maps = True

    def test_worked_example(self):
        # a ranks 0 1 2 3, b ranks 0 2 3 1; a has its turns at ¼, ¾, 5/4, b at ½: a drafts 0, b its next best 2, a 1, 3
        scores = torch.tensor([[0.9, 0.8], [0.8, 0.1], [0.5, 0.7], [0.1, 0.5]])
        assert QuotaDraft()(scores, torch.tensor([2.0, 1.0])).tolist() == [0.0, -2.0, -1.0, -3.0]

    @pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [1.0, 2.0, 0.5], [3.0, 2.0, 2.0]])
    def test_agrees_with_drafting_one_by_one(self, weights):
        heads = sorted(range(3), key=lambda t: (-weights[t], TASKS[t]))
        scores = random_scores(60)
        found = QuotaDraft()(scores, torch.tensor(weights), TASKS).tolist()
        expected = drafted(scores, weights, heads)
        error = np.abs(np.subtract(found, expected)).max()
        record("quota draft", "drafting one by one", error)
        assert found == expected

    def test_agrees_with_drafting_one_by_one_where_frames_tie(self):
        # every row once, so that the sums of ranks are the same with and without repeated frames
        scores = coarse_scores(200).unique(dim=0)
        found = QuotaDraft()(scores, torch.tensor([1.0, 2.0, 0.5]), TASKS).tolist()
        assert found == drafted(scores, [1.0, 2.0, 0.5], [1, 0, 2])

    @pytest.mark.parametrize("weights", [[1, 1, 1], [5, 3, 1], [0.3, 0.1, 0.1], [1000, 1, 1]])
    def test_turns_agree_with_websters_method(self, weights):
        shares = np.array(weights) / sum(weights)
        expected = seats([round(10 * w) for w in weights], 500)
        assert _turns(shares, 500).tolist() == expected
        given = np.bincount(expected, minlength=3)
        assert np.abs(given - 500 * shares).max() <= 1

    @pytest.mark.parametrize("number", [1, 2, 13, 200])
    @pytest.mark.parametrize("seed", range(5))
    def test_turns_of_many_heads(self, number, seed):
        weights = sorted(np.random.default_rng(seed).pareto(1.0, 12).tolist(), reverse=True)
        assert _turns(np.array(weights) / sum(weights), number).tolist() == seats(weights, number)

    def test_each_head_gets_its_quota_of_its_own_choice(self):
        # two heads agree, the third is against them; it still has a third of the first 30 places
        agreed = torch.arange(90.0)
        scores = torch.stack([agreed, agreed, -agreed], dim=1)
        assert sum(i < 45 for i in order(QuotaDraft()(scores, tasks=TASKS))[:30]) == 10
        assert sum(i < 45 for i in order(Alternating()(scores, tasks=TASKS))[:30]) == 15

    def test_pitfall_16_equal_frames_are_drafted_together_in_one_turn(self):
        scores = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.5, 0.2], [0.1, 0.8]])
        assert QuotaDraft()(scores, tasks=("a", "b")).tolist() == [0.0, 0.0, -2.0, -1.0]

    def test_turns_go_by_name_where_weights_are_equal(self):
        scores = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
        assert order(QuotaDraft()(scores, tasks=("a", "b"))) == [0, 1]
        assert order(QuotaDraft()(scores, tasks=("b", "a"))) == [1, 0]
