import numpy as np
import pytest
import torch
from agreement import record
from axioms.pool_signals import random_posterior
from scipy.spatial.distance import jensenshannon

from mtal.acquisition.divergence import jensen_shannon, outcomes


def test_outcomes_of_both_families():
    p = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    assert outcomes(p, "bernoulli").tolist() == [[[0.75, 0.25], [0.25, 0.75]], [[0.0, 1.0], [1.0, 0.0]]]
    assert outcomes(p, "categorical").tolist() == [[[0.25, 0.75]], [[1.0, 0.0]]]


def test_rounded_one_of_c_probabilities_are_scaled_to_sum_to_one():
    assert outcomes(torch.tensor([0.5, 0.25]), "categorical").tolist() == [[2 / 3, 1 / 3]]
    assert outcomes(torch.zeros(2), "categorical").tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("family", ["bernoulli", "categorical"])
def test_jensen_shannon_is_scipys(family):
    p, q = (random_posterior(family, 30, 4, 3, seed=seed, holes=False).probs for seed in (0, 1))
    expected = [
        np.mean(
            [jensenshannon(a, b, base=2) ** 2 for a, b in zip(outcomes(x, family), outcomes(y, family), strict=True)]
        )
        for x, y in zip(p.flatten(0, 1), q.flatten(0, 1), strict=True)
    ]
    error = (jensen_shannon(p, q, family).flatten() - torch.tensor(expected)).abs().max().item()
    record("Jensen-Shannon divergence", "scipy jensenshannon squared", error)
    assert error < 1e-12


def test_ends_of_the_range():
    p = torch.tensor([0.3, 0.7, 0.0])
    assert jensen_shannon(p, p, "categorical").item() == 0
    assert jensen_shannon(p, torch.tensor([0.0, 0.0, 1.0]), "categorical").item() == pytest.approx(1.0, abs=1e-7)
