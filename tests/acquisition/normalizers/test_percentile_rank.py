import pytest
import torch
from agreement import record
from axioms.normalizers import NormalizerAxioms, random_scores
from scipy.stats import percentileofscore
from sklearn.preprocessing import QuantileTransformer

from mtal.acquisition.normalizers import PercentileRank


class TestPercentileRank(NormalizerAxioms):
    normalizer = PercentileRank()
    monotone_invariant = True

    def test_worked_example_with_ties(self):
        # ranks 1, 2.5, 2.5, 4, 5 → (rank − 1)/4
        scores = torch.tensor([[0.3], [0.1], [0.3], [9.0], [0.5]])
        assert PercentileRank()(scores).flatten().tolist() == [0.375, 0.0, 0.375, 1.0, 0.75]

    def test_two_frames_are_the_two_ends(self):
        assert PercentileRank()(torch.tensor([[0.2], [0.1]])).flatten().tolist() == [1.0, 0.0]

    def test_worked_example_against_a_reference(self):
        # among 0.1, 0.3, 0.3, 0.5, 9: below, tie at 2.5, between 3 and 4, tie at 5, above → (rank − 1)/4
        reference = torch.tensor([[0.3], [0.1], [0.3], [9.0], [0.5]])
        scores = torch.tensor([[0.0], [0.3], [0.4], [9.0], [10.0]])
        normalised = PercentileRank()(scores, reference=reference)
        assert normalised.flatten().tolist() == [0.0, 0.375, 0.625, 1.0, 1.0]

    def test_agrees_with_scipy(self):
        # scipy's mean percentile is 100·(rank − ½)/N
        scores = random_scores()
        scores[5:9] = scores[4]
        column = scores[:, 0].numpy()
        ranks = torch.tensor([percentileofscore(column, s, kind="mean") for s in column]).double() / 100 * 40 + 0.5
        error = (PercentileRank()(scores)[:, 0] - (ranks - 1) / 39).abs().max()
        record("percentile rank", "scipy percentileofscore", error)
        assert error < 1e-12

    def test_agrees_with_sklearn(self):
        scores = random_scores()
        transformer = QuantileTransformer(n_quantiles=40, output_distribution="uniform")
        error = (PercentileRank()(scores) - torch.from_numpy(transformer.fit_transform(scores.numpy()))).abs().max()
        record("percentile rank", "sklearn QuantileTransformer, uniform", error)
        assert error < 1e-12

    def test_pitfall_13_ranks_are_not_a_single_argsort(self):
        # argsort of (30, 10, 20) is (1, 2, 0); the ranks are (2, 0, 1)
        assert PercentileRank()(torch.tensor([[30.0], [10.0], [20.0]])).flatten().tolist() == [1.0, 0.0, 0.5]

    def test_pitfall_13_ties_do_not_favour_the_start_of_the_file(self):
        assert PercentileRank()(torch.full((4, 1), 0.7)).flatten().tolist() == [0.5] * 4

    @pytest.mark.parametrize("frames", [1, 2])
    def test_constant_reference_is_one_half(self, frames):
        reference = torch.full((frames, 1), 0.7)
        assert PercentileRank()(torch.tensor([[0.1], [0.9]]), reference=reference).flatten().tolist() == [0.5, 0.5]
        assert PercentileRank()(reference).flatten().tolist() == [0.5] * frames
