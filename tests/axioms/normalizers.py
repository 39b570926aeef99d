"""What every normaliser must do."""

import math

import pytest
import torch
from scipy.stats import spearmanr

from mtal.acquisition.normalizers import active_columns


def random_scores(frames=40, columns=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(frames, columns, generator=generator, dtype=torch.float64)
    return scores * torch.tensor([1.0, 100.0, 0.01])[:columns] + torch.tensor([0.0, 5.0, -3.0])[:columns]


class NormalizerAxioms:
    normalizer = None
    affine_invariant = True
    monotone_invariant = False

    def test_shape_and_float64(self):
        normalised = self.normalizer(random_scores().float())
        assert normalised.shape == (40, 3)
        assert normalised.dtype == torch.float64

    def test_keeps_order_within_a_column(self):
        scores = random_scores()
        normalised = self.normalizer(scores)
        for t in range(3):
            assert spearmanr(scores[:, t], normalised[:, t]).statistic == pytest.approx(1.0)

    def test_keeps_ties(self):
        scores = random_scores()
        scores[7] = scores[3]
        normalised = self.normalizer(scores)
        assert torch.equal(normalised[7], normalised[3])

    def test_order_of_frames_does_not_matter(self):
        scores = random_scores()
        order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(self.normalizer(scores[order]), self.normalizer(scores)[order])

    def test_columns_do_not_see_each_other(self):
        scores = random_scores()
        torch.testing.assert_close(self.normalizer(scores[:, [2, 0]]), self.normalizer(scores)[:, [2, 0]])

    def test_unit_of_a_column(self):
        scores = random_scores()
        same = torch.allclose(self.normalizer(scores * 7 - 2), self.normalizer(scores))
        assert same == self.affine_invariant

    def test_monotone_map_of_a_column(self):
        scores = random_scores(columns=1)
        same = torch.allclose(self.normalizer(scores.exp()), self.normalizer(scores))
        assert same == self.monotone_invariant

    @pytest.mark.parametrize("value", [0.0, 0.1, -7e8])
    def test_constant_column_stays_constant_and_finite(self, value):
        scores = random_scores()
        scores[:, 1] = value
        normalised = self.normalizer(scores)
        assert normalised.isfinite().all()
        assert active_columns(normalised).tolist() == [True, False, True]

    def test_one_frame(self):
        normalised = self.normalizer(torch.tensor([[3.0, -4.0]]))
        assert normalised.shape == (1, 2)
        assert normalised.isfinite().all()

    def test_no_frame(self):
        assert self.normalizer(torch.zeros(0, 2)).shape == (0, 2)

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_non_finite_scores_are_refused(self, bad):
        with pytest.raises(ValueError, match="finite"):
            self.normalizer(torch.tensor([[1.0], [bad]]))
