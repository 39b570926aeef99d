from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from agreement import record
from axioms.fusion import FusionAxioms, coarse_scores, random_scores
from scipy.stats import spearmanr

from mtal.acquisition.fusion import Borda, Copeland, copeland


def duels(scores, weights, opponents=None, counts=None):
    """Brute force, in fractions, so that a tie is a tie."""
    weights = [Fraction(str(w)) for w in weights]
    opponents = scores if opponents is None else opponents
    counts = [1] * len(opponents) if counts is None else counts
    won = []
    for mine in scores.tolist():
        total = 0
        for theirs, count in zip(opponents.tolist(), counts, strict=True):
            margin = sum(w * ((m > t) - (m < t)) for w, m, t in zip(weights, mine, theirs, strict=True))
            total += count * ((margin > 0) - (margin < 0))
        won.append(total)
    return won


class TestCopeland(FusionAxioms):
    rule = Copeland()
    choice = "copeland"
    invariant_to_monotone_maps = True

    def test_worked_example(self):
        # 0 beats 1 for two heads of three, 1 beats 2, 2 beats 0: a cycle; all of them beat 3
        scores = torch.tensor([[3.0, 1.0, 2.0], [2.0, 3.0, 1.0], [1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
        assert Copeland()(scores).tolist() == [1.0, 1.0, 1.0, -3.0]
        # with weights (3, 1, 1) the first head decides every duel
        assert Copeland()(scores, torch.tensor([3.0, 1.0, 1.0])).tolist() == [3.0, 1.0, -1.0, -3.0]

    @pytest.mark.parametrize("weights", [[1, 1, 1], [1, 2, 0.5], [0.1, 0.2, 0.3], [0.7, 0.1, 0.1]])
    @pytest.mark.parametrize("scores", [random_scores(60), coarse_scores(60)], ids=["distinct", "ties"])
    def test_agrees_with_all_duels(self, scores, weights):
        found = Copeland()(scores, torch.tensor(weights, dtype=torch.float64)).tolist()
        error = max(abs(f - e) for f, e in zip(found, duels(scores, weights), strict=True))
        record("Copeland", "all duels in fractions", error)
        assert error == 0

    def test_blocks_of_opponents_and_frames_do_not_show(self, monkeypatch):
        scores, weights = coarse_scores(70, levels=30), [1, 2, 0.5]
        monkeypatch.setattr(copeland, "_OPPONENTS", 16)
        monkeypatch.setattr(copeland, "_FRAMES", 32)
        assert Copeland()(scores, torch.tensor(weights)).tolist() == duels(scores, weights)

    def test_frame_that_beats_every_other_comes_first_though_borda_disagrees(self):
        # for two heads of three frame 0 is before 1, but the third ranks it last
        scores = torch.tensor([[9.0, 9.0, 0.0], [8.0, 8.0, 9.0], [1.0, 2.0, 3.0], [2.0, 1.0, 2.0]])
        assert Copeland()(scores).argmax() == 0
        assert Borda()(scores).argmax() == 1

    @pytest.mark.parametrize("unit", [1e-9, 1e9])
    def test_unit_of_the_weights_does_not_matter(self, unit):
        scores, weights = coarse_scores(60), torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
        assert torch.equal(Copeland()(scores, weights * unit), Copeland()(scores, weights))

    def test_weights_of_nearly_the_same_size(self):
        scores = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        assert Copeland()(scores, torch.tensor([1.0, 0.9999])).tolist() == [1.0, -1.0]
        assert Copeland()(scores, torch.tensor([1.0, 1.0 - 1e-7]).double()).tolist() == [0.0, 0.0]

    def test_two_opponents_are_enough(self):
        # cut at 0, 1, 3: place 0 counts once, place 2 twice
        scores = torch.tensor([[3.0], [2.0], [1.0]])
        assert Copeland(exact_up_to=0, opponents=2)(scores).tolist() == [2.0, 1.0, -1.0]

    @pytest.mark.parametrize(("name", "value"), [("exact_up_to", -1), ("opponents", 1)])
    def test_impossible_numbers_are_refused(self, name, value):
        with pytest.raises(ValueError, match=f"{name} .* must be . frames or more, not {value}"):
            Copeland(**{name: value})


class TestCopelandAgainstSomeOpponents(FusionAxioms):
    rule = Copeland(exact_up_to=0, opponents=8)
    choice = "copeland"
    invariant_to_monotone_maps = True
    raising_never_lowers = False  # who the opponents are may change

    def test_worked_example(self):
        # ten frames in one order are cut at 10 (k/4)², at least k: at 0, 1, 2, 5, 10; the middles 0, 1, 3, 7 meet all
        scores = -torch.arange(10.0)[:, None]
        # and count 1, 1, 3, 5: place 2 loses to two and beats eight, place 3 draws with itself
        expected = [9.0, 7.0, 6.0, 3.0, 0.0, 0.0, 0.0, -5.0, -10.0, -10.0]
        assert Copeland(exact_up_to=9, opponents=4)(scores).tolist() == expected
        assert Copeland(exact_up_to=10, opponents=4)(scores).tolist() == [9.0 - 2 * i for i in range(10)]

    def test_agrees_with_the_duels_against_them(self):
        scores, weights = random_scores(101), [1, 2, 0.5]
        borda = Borda()(scores, torch.tensor(weights)).tolist()
        order = sorted(range(101), key=lambda i: (-borda[i], *(-scores[i, t] for t in (1, 0, 2))))
        edges = [max(k, 101 * k * k // (13 * 13)) for k in range(14)]
        places = [(a + b) // 2 for a, b in pairwise(edges)]
        chosen = scores[[order[place] for place in places]]
        expected = duels(scores, weights, chosen, [b - a for a, b in pairwise(edges)])
        found = Copeland(exact_up_to=100, opponents=13)(scores, torch.tensor(weights)).tolist()
        error = max(abs(f - e) for f, e in zip(found, expected, strict=True))
        record("Copeland against some", "those duels in fractions", error)
        assert error == 0

    def test_close_to_all_duels_and_closest_where_frames_are_picked(self):
        scores = random_scores(3000)
        exact, some = Copeland()(scores), Copeland(exact_up_to=0, opponents=300)(scores)
        first = exact.argsort(descending=True)[:100]
        assert spearmanr(exact, some)[0] > 0.99
        assert spearmanr(exact[first], some[first])[0] > 0.9
        record("Copeland against some", "all duels, relative to N", float((exact - some).abs().max()) / 3000)
        assert (exact - some).abs().max() < 0.2 * 3000

    def test_an_exactly_sized_pool_is_exact(self):
        scores = random_scores(8)
        assert torch.equal(self.rule(scores), Copeland()(scores))

    def test_opponents_stand_for_the_whole_pool(self):
        chosen, stand_for = copeland._field(random_scores(1000), torch.full((3,), 1 / 3), 31)
        assert len(set(chosen.tolist())) == 31
        assert stand_for.sum() == 1000
        assert stand_for[0] == 1
        assert chosen[0] == Borda()(random_scores(1000)).argmax()
