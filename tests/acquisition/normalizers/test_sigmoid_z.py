import math

import numpy as np
import pytest
import torch
from agreement import record
from axioms.normalizers import NormalizerAxioms, random_scores
from scipy.special import expit
from scipy.stats import zscore

from mtal.acquisition.normalizers import SigmoidZ


class TestSigmoidZ(NormalizerAxioms):
    normalizer = SigmoidZ()

    def test_agrees_with_scipy(self):
        scores = random_scores()
        error = np.abs(SigmoidZ()(scores).numpy() - expit(zscore(scores.numpy()))).max()
        record("sigmoid z", "scipy expit of zscore", error)
        assert error < 1e-12

    def test_worked_example(self):
        # z = ∓1
        normalised = SigmoidZ()(torch.tensor([[1.0], [3.0]])).flatten().tolist()
        assert normalised == pytest.approx([1 / (1 + math.e), 1 / (1 + 1 / math.e)], rel=1e-12)

    def test_constant_column_is_one_half(self):
        assert SigmoidZ()(torch.full((3, 1), 0.4)).flatten().tolist() == [0.5] * 3
