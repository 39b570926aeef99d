import numpy as np
import pytest
import torch
from agreement import record
from axioms.normalizers import NormalizerAxioms, random_scores
from scipy.stats import median_abs_deviation

from mtal.acquisition.normalizers import RobustZ


class TestRobustZ(NormalizerAxioms):
    normalizer = RobustZ()

    @pytest.mark.parametrize("frames", [39, 40])
    def test_agrees_with_scipy(self, frames):
        scores = random_scores(frames).numpy()
        expected = (scores - np.median(scores, axis=0)) / median_abs_deviation(scores, axis=0, scale="normal")
        error = np.abs(RobustZ()(torch.from_numpy(scores)).numpy() - expected).max()
        record("robust z", "scipy median_abs_deviation", error)
        assert error < 1e-11

    def test_worked_example(self):
        # median 3, deviations 2, 1, 0, 1, 7, so MAD 1
        normalised = RobustZ()(torch.tensor([[1.0], [2.0], [3.0], [4.0], [10.0]])).flatten()
        assert normalised.tolist() == pytest.approx([x / 1.482602218505602 for x in (-2, -1, 0, 1, 7)], rel=1e-14)

    @pytest.mark.parametrize("sure", [0.0, 3.0, -3.0])
    def test_where_most_scores_are_one_number_the_mean_deviation_counts(self, sure):
        # MAD is 0; the mean deviation is (1 + 4)/5 = 1 and √(π/2) = 1.2533
        scores = torch.tensor([[sure], [sure], [sure], [sure - 1], [sure + 4]], dtype=torch.float64)
        assert RobustZ()(scores).flatten().tolist() == pytest.approx([0, 0, 0, -1 / 1.2533141373, 4 / 1.2533141373])

    def test_scale_is_that_of_a_normal_distribution(self):
        normal = torch.randn(200_000, 1, generator=torch.Generator().manual_seed(0)).double() * 5 + 2
        assert RobustZ()(normal).std().item() == pytest.approx(1.0, abs=0.01)
        half = torch.where(torch.arange(200_000)[:, None] < 110_000, 2.0, normal)  # mean deviation 0.45 of a normal's
        assert RobustZ()(half)[110_000:].std().item() == pytest.approx(1 / 0.45, rel=0.02)

    def test_outlier_hardly_moves_the_others(self):
        scores = random_scores(frames=400, columns=1)
        outlier = scores.clone()
        outlier[scores.argmax()] = 1e15
        apart = (RobustZ()(outlier) - RobustZ()(scores)).abs()
        assert apart.flatten().sort().values[:-1].max() < 1e-9
