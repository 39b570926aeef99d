import numpy as np
import pytest
import torch
from agreement import record
from axioms.normalizers import NormalizerAxioms, random_scores
from sklearn.preprocessing import RobustScaler

from mtal.acquisition.normalizers import MinMax, RobustMinMax


class TestRobustMinMax(NormalizerAxioms):
    normalizer = RobustMinMax()
    keeps_distinct = False

    def test_worked_example(self):
        # quantiles ¼ and ¾ of 0, 2, 3, 4, 99 are 2 and 4
        scores = torch.tensor([[3.0], [0.0], [99.0], [2.0], [4.0]])
        assert RobustMinMax(0.25, 0.75)(scores).flatten().tolist() == [0.5, 0.0, 1.0, 0.0, 1.0]

    def test_agrees_with_sklearn(self):
        """RobustScaler divides by the same range of quantiles, but counts from the median."""
        scores = random_scores().numpy()
        scaler = RobustScaler(quantile_range=(10, 80)).fit(scores)
        lowest = scaler.transform(np.quantile(scores, 0.1, axis=0)[None])
        expected = torch.from_numpy((scaler.transform(scores) - lowest).clip(0, 1))
        error = (RobustMinMax(0.1, 0.8)(torch.from_numpy(scores)) - expected).abs().max()
        record("robust min-max", "sklearn RobustScaler, clipped", error)
        assert error < 1e-12

    def test_whole_range_is_min_max(self):
        scores = random_scores()
        torch.testing.assert_close(RobustMinMax(0.0, 1.0)(scores), MinMax()(scores))

    def test_outlier_does_not_squeeze_the_others(self):
        scores = random_scores(columns=1)
        outlier = scores.clone()
        outlier[scores.argmax()] = 1e15
        torch.testing.assert_close(RobustMinMax()(outlier), RobustMinMax()(scores))

    @pytest.mark.parametrize("sure", [0.0, 0.3, -0.3])
    def test_head_that_is_sure_of_nearly_all_frames_keeps_its_order(self, sure):
        scores = torch.full((100, 1), sure)
        scores[17], scores[40] = 0.7, 0.5
        normalised = RobustMinMax()(scores).flatten()
        assert normalised[17] == 1.0
        assert normalised[40].item() == pytest.approx((0.5 - sure) / (0.7 - sure), rel=1e-6)
        assert normalised.unique()[0] == 0.0
        beyond = RobustMinMax()(torch.tensor([[0.9], [-0.9]]), reference=scores)
        assert beyond.flatten().tolist() == [1.0, 0.0]

    @pytest.mark.parametrize(("low", "high"), [(-0.1, 0.9), (0.1, 1.1), (0.5, 0.5), (0.9, 0.1)])
    def test_impossible_quantiles_are_refused(self, low, high):
        with pytest.raises(ValueError, match=f"low = {low} and high = {high}"):
            RobustMinMax(low, high)
