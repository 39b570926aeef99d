import pytest
import torch
from agreement import record
from axioms.normalizers import NormalizerAxioms, random_scores
from scipy.stats import norm, percentileofscore, probplot, rankdata

from mtal.acquisition.normalizers import GaussianRank


class TestGaussianRank(NormalizerAxioms):
    normalizer = GaussianRank()
    monotone_invariant = True

    def test_worked_example(self):
        # ranks 1, 2½, 2½, 4 of 4: probabilities ⅛, ½, ½, ⅞, and Φ(1.15035) = 0.875
        normalised = GaussianRank()(torch.tensor([[0.3], [0.1], [0.3], [9.0]])).flatten().tolist()
        assert normalised == pytest.approx([0.0, -1.1503493804, 0.0, 1.1503493804], abs=1e-9)

    def test_agrees_with_scipy(self):
        scores = random_scores()
        scores[5:9] = scores[4]
        expected = torch.from_numpy(norm.ppf((rankdata(scores.numpy(), axis=0) - 0.5) / 40))
        error = (GaussianRank()(scores) - expected).abs().max()
        record("Gaussian rank", "scipy norm.ppf of rankdata", error)
        assert error < 1e-12

    def test_agrees_with_scipy_against_a_reference(self):
        """The mean percentile is the mid-distribution function; beyond the ends it stops at those of the reference."""
        reference = random_scores(25, columns=1, seed=1)
        scores = torch.cat([random_scores(columns=1), reference[:5]])
        percentile = [percentileofscore(reference.flatten(), s, kind="mean") / 100 for s in scores.flatten()]
        expected = torch.from_numpy(norm.ppf(percentile)).clamp(norm.ppf(0.02), norm.ppf(0.98))
        error = (GaussianRank()(scores, reference=reference).flatten() - expected).abs().max()
        record("Gaussian rank", "scipy norm.ppf of percentileofscore, frozen", error)
        assert error < 1e-12

    def test_is_that_of_a_normal_probability_plot(self):
        """Nearly the medians of a normal's order statistics, which scipy uses, away from the ends."""
        scores = random_scores(400, columns=1)
        medians, _ = probplot(scores.flatten().numpy(), fit=False)
        ours = GaussianRank()(scores).flatten().sort().values
        assert (ours - torch.from_numpy(medians))[20:-20].abs().max() < 5e-3
        assert ours.mean().item() == pytest.approx(0.0, abs=1e-12)

    def test_constant_column_is_zero(self):
        assert GaussianRank()(torch.full((3, 1), 0.4)).flatten().tolist() == [0.0] * 3
        assert GaussianRank()(torch.tensor([[0.1]]), reference=torch.ones(1, 1)).item() == 0.0
