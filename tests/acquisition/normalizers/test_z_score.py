import numpy as np
import scipy.stats
from axioms.normalizers import NormalizerAxioms, random_scores

from mtal.acquisition.normalizers import ZScore


class TestZScore(NormalizerAxioms):
    normalizer = ZScore()

    def test_agrees_with_scipy(self):
        scores = random_scores()
        np.testing.assert_allclose(ZScore()(scores).numpy(), scipy.stats.zscore(scores.numpy()), rtol=1e-10, atol=1e-12)
