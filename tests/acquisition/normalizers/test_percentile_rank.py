import torch
from axioms.normalizers import NormalizerAxioms, random_scores
from scipy.stats import percentileofscore

from mtal.acquisition.normalizers import PercentileRank


class TestPercentileRank(NormalizerAxioms):
    normalizer = PercentileRank()
    monotone_invariant = True

    def test_worked_example_with_ties(self):
        # ranks 1, 2.5, 2.5, 4, 5 → (rank − 1)/4
        scores = torch.tensor([[0.3], [0.1], [0.3], [9.0], [0.5]])
        assert PercentileRank()(scores).flatten().tolist() == [0.375, 0.0, 0.375, 1.0, 0.75]

    def test_agrees_with_scipy(self):
        # scipy's mean percentile is 100·(rank − ½)/N
        scores = random_scores()
        scores[5:9] = scores[4]
        column = scores[:, 0].numpy()
        ranks = torch.tensor([percentileofscore(column, s, kind="mean") for s in column]) / 100 * 40 + 0.5
        torch.testing.assert_close(PercentileRank()(scores)[:, 0], ((ranks - 1) / 39).double())

    def test_pitfall_13_ranks_are_not_a_single_argsort(self):
        # argsort of (30, 10, 20) is (1, 2, 0); the ranks are (2, 0, 1)
        assert PercentileRank()(torch.tensor([[30.0], [10.0], [20.0]])).flatten().tolist() == [1.0, 0.0, 0.5]

    def test_pitfall_13_ties_do_not_favour_the_start_of_the_file(self):
        assert PercentileRank()(torch.full((4, 1), 0.7)).flatten().tolist() == [0.5] * 4
