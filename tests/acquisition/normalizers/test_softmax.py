import math

import numpy as np
import pytest
import scipy.special
import torch
from agreement import record
from axioms.normalizers import NormalizerAxioms, random_scores
from scipy.stats import zmap, zscore

from mtal.acquisition.normalizers import Softmax


class TestSoftmax(NormalizerAxioms):
    normalizer = Softmax()

    @pytest.mark.parametrize("temperature", [0.3, 1.0, 5.0])
    def test_agrees_with_scipy(self, temperature):
        scores = random_scores()
        expected = 40 * scipy.special.softmax(zscore(scores.numpy()) / temperature, axis=0)
        error = np.abs(Softmax(temperature)(scores).numpy() / expected - 1).max()
        record("softmax", "scipy softmax of zscore, relative", error)
        assert error < 1e-10

    def test_agrees_with_scipy_against_a_reference(self):
        scores, reference = random_scores().numpy(), random_scores(25, seed=1).numpy()
        weight = np.exp(zmap(scores, reference) / 0.5)
        expected = weight / np.exp(zscore(reference) / 0.5).mean(axis=0)
        made = Softmax(0.5)(torch.from_numpy(scores), reference=torch.from_numpy(reference))
        error = np.abs(made.numpy() / expected - 1).max()
        record("softmax", "numpy against a frozen reference, relative", error)
        assert error < 1e-10

    def test_worked_example(self):
        # z = ∓1, τ = ½: 2·e^∓2/(e^−2 + e^2)
        normalised = Softmax(0.5)(torch.tensor([[1.0], [3.0]])).flatten().tolist()
        assert normalised == pytest.approx([2 / (1 + math.e**4), 2 / (1 + math.e**-4)], rel=1e-12)

    def test_mean_is_one_for_any_pool(self):
        for frames in (1, 7, 400):
            assert Softmax()(random_scores(frames)).mean(dim=0).tolist() == pytest.approx([1.0] * 3, rel=1e-12)

    def test_pool_stands_still_when_it_is_repeated(self):
        scores = random_scores()
        torch.testing.assert_close(Softmax()(scores.repeat(3, 1))[:40], Softmax()(scores))

    def test_temperature_from_one_frame_to_all(self):
        scores = random_scores(columns=1)
        coldest = Softmax(1e-4)(scores).flatten()
        assert coldest[scores.argmax()].item() == pytest.approx(40.0, rel=1e-9)
        assert coldest.count_nonzero() == 1
        torch.testing.assert_close(Softmax(1e9)(scores), torch.ones(40, 1).double())

    def test_constant_column_is_one(self):
        assert Softmax()(torch.full((3, 1), 0.4)).flatten().tolist() == [1.0] * 3

    @pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
    def test_impossible_temperatures_are_refused(self, temperature):
        with pytest.raises(ValueError, match=f"temperature must be above 0 and finite, not {temperature}"):
            Softmax(temperature)
