import numpy as np
import torch
from axioms.fusion import FusionAxioms, random_scores

from mtal.acquisition.fusion import WeightedMean


class TestWeightedMean(FusionAxioms):
    rule = WeightedMean()
    choice = "mean"
    is_mean = True

    def test_agrees_with_numpy(self):
        scores, weights = random_scores(), torch.tensor([1.0, 2.0, 0.5])
        expected = np.average(scores.numpy(), axis=1, weights=weights.numpy())
        np.testing.assert_allclose(WeightedMean()(scores, weights).numpy(), expected, rtol=1e-12)
