import math
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from agreement import record
from axioms.fusion import CONFIGS, FusionAxioms, random_scores
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy.stats import gmean, hmean, pmean

from mtal.acquisition.fusion import PowerMean, WeightedMean


class PowerMeanAxioms(FusionAxioms):
    choice = "power_mean"
    lowest = 0.0
    is_mean = True


class TestQuadraticMean(PowerMeanAxioms):
    rule = PowerMean()

    def test_worked_example(self):
        # v = (3/4, 1/4): √(3/4 · 1² + 1/4 · 5²) = √7
        assert PowerMean(2)(torch.tensor([[1.0, 5.0]]), torch.tensor([3.0, 1.0])).item() == pytest.approx(math.sqrt(7))

    @pytest.mark.parametrize("p", [-30, -2.5, -1, -1e-3, 1e-3, 0.5, 1, 2, 30])
    def test_agrees_with_scipy(self, p):
        scores, weights = random_scores(200) + 1e-3, torch.tensor([1.0, 2.0, 0.5])
        expected = pmean(scores.numpy(), p, axis=1, weights=weights.numpy())
        error = np.abs(PowerMean(p)(scores, weights).numpy() / expected - 1).max()
        record("power mean", "scipy.stats.pmean, relative", error)
        assert error < 1e-12

    def test_p_of_one_is_the_weighted_mean(self):
        scores, weights = random_scores(), torch.tensor([1.0, 2.0, 0.5])
        torch.testing.assert_close(
            PowerMean(1)(scores, weights), WeightedMean()(scores, weights), rtol=1e-14, atol=1e-14
        )

    @pytest.mark.parametrize("p", [-1e-12, 1e-12, -1e-7, 0.1, 700.0, -700.0, 1e6, -1e6])
    def test_no_power_overflows_or_loses_its_digits(self, p):
        # with 60 digits: (0.2 · 1e-9ᵖ + 0.8 · 3ᵖ)^(1/p)
        with localcontext() as context:
            context.prec = 60
            context.Emin, context.Emax = -999999999, 999999999
            power = Decimal(p)
            parts = [w * Decimal(s) ** power for w, s in ((Decimal("0.2"), 1e-9), (Decimal("0.8"), 3.0))]
            expected = float(sum(parts) ** (1 / power))
        mean = PowerMean(p)(torch.tensor([[1e-9, 3.0]], dtype=torch.float64), torch.tensor([1.0, 4.0]))
        assert mean.item() == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("p", [-math.inf, -3, -1, 0, 1e-3, 2, math.inf])
    def test_zeros(self, p):
        some, none = PowerMean(p)(torch.tensor([[0.0, 0.5], [0.0, 0.0]])).tolist()
        assert none == 0.0
        assert (some == 0.0) == (p <= 0)

    def test_higher_p_is_not_lower(self):
        scores = random_scores()
        means = torch.stack([PowerMean(p)(scores) for p in (-math.inf, -50, -1, 0, 0.5, 1, 2, 50, math.inf)])
        assert (means.diff(dim=0) > 0).all()

    def test_not_a_number_is_refused(self):
        with pytest.raises(ValueError, match=r"p of the power mean must be a number .* not nan"):
            PowerMean(math.nan)


class TestHarmonicMean(PowerMeanAxioms):
    rule = PowerMean(-1)

    def test_agrees_with_scipy(self):
        scores, weights = random_scores(), torch.tensor([1.0, 2.0, 0.5])
        error = np.abs(PowerMean(-1)(scores, weights).numpy() - hmean(scores, axis=1, weights=weights)).max()
        record("power mean, p = -1", "scipy.stats.hmean", error)
        assert error < 1e-14


class TestGeometricMean(PowerMeanAxioms):
    rule = PowerMean(0)

    def test_agrees_with_scipy(self):
        scores, weights = random_scores(), torch.tensor([1.0, 2.0, 0.5])
        error = np.abs(PowerMean(0)(scores, weights).numpy() - gmean(scores, axis=1, weights=weights)).max()
        record("power mean, p = 0", "scipy.stats.gmean", error)
        assert error < 1e-14


class TestMinimum(PowerMeanAxioms):
    rule = PowerMean(-math.inf)
    weights_matter = False

    def test_is_the_minimum(self):
        scores = random_scores()
        assert torch.equal(PowerMean(-math.inf)(scores, torch.tensor([1.0, 9.0, 0.1])), scores.amin(dim=1))

    def test_is_the_limit(self):
        scores, weights = random_scores(), torch.tensor([1.0, 2.0, 0.5])
        limit = PowerMean(-1e9)(scores, weights)
        torch.testing.assert_close(limit, PowerMean(-math.inf)(scores, weights), rtol=1e-8, atol=0)


class TestMaximum(PowerMeanAxioms):
    rule = PowerMean(math.inf)
    weights_matter = False

    def test_is_the_maximum(self):
        scores = random_scores()
        assert torch.equal(PowerMean(math.inf)(scores, torch.tensor([1.0, 9.0, 0.1])), scores.amax(dim=1))

    def test_is_the_limit(self):
        scores, weights = random_scores(), torch.tensor([1.0, 2.0, 0.5])
        limit = PowerMean(1e9)(scores, weights)
        torch.testing.assert_close(limit, PowerMean(math.inf)(scores, weights), rtol=1e-8, atol=0)


@pytest.mark.parametrize(("choice", "p"), [("min", -math.inf), ("geometric_mean", 0.0), ("harmonic_mean", -1.0)])
def test_named_means(choice, p):
    rule = instantiate(OmegaConf.load(Path(CONFIGS) / f"{choice}.yaml"))
    assert isinstance(rule, PowerMean)
    assert rule.p == p
