from itertools import permutations

import numpy as np
import pytest
import torch
from agreement import record
from axioms.selectors import SelectorAxioms, frame_ids
from scipy.stats import chisquare

from mtal.acquisition.selectors import Candidates, Constraint, Stochastic, tie_break


class TestPower(SelectorAxioms):
    selector = Stochastic("power")
    seeded = True


class TestSoftmax(SelectorAxioms):
    selector = Stochastic("softmax")
    seeded = True


class TestSoftRank(SelectorAxioms):
    selector = Stochastic("soft_rank")
    seeded = True


UTILITY = torch.tensor([0.1, 0.4, 0.2, 0.4], dtype=torch.float64)
BETA = 1.5
WEIGHTS = {
    "power": UTILITY.numpy() ** BETA,
    "softmax": np.exp(BETA * UTILITY.numpy()),
    "soft_rank": np.array([4.0, 1.5, 3.0, 1.5]) ** -BETA,  # ranks 1 and 2 are shared
}


def candidates(utility=UTILITY):
    return Candidates(tie_break(0, frame_ids(len(utility))), utility=utility)


def draws(selector, budget, times, constraint=lambda: None, utility=UTILITY):
    generator = np.random.default_rng(0)
    return [tuple(selector(candidates(utility), budget, generator, constraint()).tolist()) for _ in range(times)]


@pytest.mark.parametrize("kind", WEIGHTS)
def test_pairs_have_the_probabilities_of_draws_without_replacement(kind):
    """P(i, j) = wᵢ/Σw · wⱼ/(Σw − wᵢ), for all ordered pairs."""
    weight, times = WEIGHTS[kind], 1200
    pairs = list(permutations(range(4), 2))
    expected = np.array([weight[i] / weight.sum() * weight[j] / (weight.sum() - weight[i]) for i, j in pairs])
    drawn = draws(Stochastic(kind, BETA), 2, times)
    counts = np.array([drawn.count(pair) for pair in pairs])
    record(
        f"stochastic ({kind})", "closed form of the pairs drawn, 1200 draws", np.abs(counts / times - expected).max()
    )
    assert chisquare(counts, expected * times).pvalue > 0.001


def test_first_draw_is_over_the_allowed_frames_only():
    weight = WEIGHTS["power"][[0, 2, 3]]
    excluded = np.array([False, True, False, False])
    drawn = draws(Stochastic("power", BETA), 1, 800, lambda: Constraint(4, excluded))
    counts = [drawn.count((i,)) for i in (0, 2, 3)]
    assert chisquare(counts, weight / weight.sum() * 800).pvalue > 0.001


def test_ranks_are_those_of_the_free_frames():
    # without frame 1, ranks are 3, 2, 1
    weight = np.array([3.0, 2.0, 1.0]) ** -BETA
    excluded = np.array([False, True, False, False])
    drawn = draws(Stochastic("soft_rank", BETA), 1, 800, lambda: Constraint(4, excluded))
    counts = [drawn.count((i,)) for i in (0, 2, 3)]
    assert chisquare(counts, weight / weight.sum() * 800).pvalue > 0.001


def test_power_draws_zeros_last_and_uniformly():
    utility = torch.tensor([0.0, 1e-9, 0.0, 5.0, 0.0], dtype=torch.float64)
    drawn = draws(Stochastic("power", 2.0), 5, 900, utility=utility)
    assert {frozenset(picks[:2]) for picks in drawn} == {frozenset({1, 3})}
    assert chisquare([[picks[2] for picks in drawn].count(i) for i in (0, 2, 4)]).pvalue > 0.001


@pytest.mark.parametrize("kind", WEIGHTS)
def test_beta_zero_is_uniform_and_large_beta_is_top_k(kind):
    drawn = draws(Stochastic(kind, 0.0), 1, 600)
    assert chisquare([drawn.count((i,)) for i in range(4)]).pvalue > 0.001
    utility = torch.tensor([0.1, 0.9, 0.3, 0.6], dtype=torch.float64)
    assert set(draws(Stochastic(kind, 1e6), 4, 20, utility=utility)) == {(1, 3, 2, 0)}


def test_power_of_negative_utilities_is_refused():
    utility = torch.tensor([0.5, -0.25, 1.0])
    with pytest.raises(ValueError, match=r"utilities of 0 or more, the lowest is -0.25"):
        Stochastic()(candidates(utility), 1, np.random.default_rng(0))
    only_positive = Constraint(3, np.array([False, True, False]))
    assert len(Stochastic()(candidates(utility), 2, np.random.default_rng(0), only_positive)) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "gumbel"}, "unknown kind 'gumbel' of stochastic; kinds are power, softmax, soft_rank"),
        ({"beta": -1.0}, "beta of stochastic must be 0 or more, not -1"),
        ({"beta": float("nan")}, "beta of stochastic"),
    ],
)
def test_impossible_parameters_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Stochastic(**arguments)
