import numpy as np
import torch
from agreement import record
from axioms.normalizers import NormalizerAxioms, random_scores
from scipy.stats import zmap, zscore

from mtal.acquisition.normalizers import ZScore


class TestZScore(NormalizerAxioms):
    normalizer = ZScore()

    def test_agrees_with_scipy(self):
        scores, reference = random_scores(), random_scores(25, seed=1)
        error = np.abs(ZScore()(scores).numpy() - zscore(scores.numpy())).max()
        frozen = np.abs(ZScore()(scores, reference=reference).numpy() - zmap(scores.numpy(), reference.numpy())).max()
        record("z-score", "scipy zscore, zmap", max(error, frozen))
        assert max(error, frozen) < 1e-11

    def test_constant_column_is_zero(self):
        assert ZScore()(torch.full((3, 1), 0.4)).flatten().tolist() == [0.0] * 3
