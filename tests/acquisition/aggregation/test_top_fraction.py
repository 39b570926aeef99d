import numpy as np
import pytest
import torch
from agreement import record
from axioms.aggregations import FRAMES, SiteAggregationAxioms, map_head, random_values

from mtal.acquisition.aggregation import MeanOverSites, TopFraction
from mtal.tasks.posterior import HeadOutput


class TestTopFraction(SiteAggregationAxioms):
    aggregation = TopFraction(0.3)


class TestTinyFraction(SiteAggregationAxioms):
    aggregation = TopFraction(0.001)


class TestWholeFraction(SiteAggregationAxioms):
    aggregation = TopFraction(1.0)


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.25, 0.5, 0.77, 1.0])
def test_agrees_with_sites_cut_into_a_hundred_pieces(fraction):
    """Then the number of pieces to keep is whole, and sorting them is enough."""
    head, values = map_head("categorical"), random_values(FRAMES, 24)
    expected = []
    for n in range(FRAMES):
        pieces = sorted(values[n][head.mask[n]].repeat(100).tolist(), reverse=True)
        kept = max(round(fraction * len(pieces)), 100)  # a share below one site is one site
        expected.append(np.mean(pieces[:kept]))
    result = TopFraction(fraction)(values, head).numpy()
    record("top fraction of sites", "numpy mean of sorted sites cut in 100", np.abs(result - expected).max())
    np.testing.assert_allclose(result, expected, rtol=1e-12)


def test_worked_example_counts_the_last_site_in_part():
    # ½ of the 3 valid sites is 1.5: (1.0 + ½·0.4)/1.5
    head = HeadOutput("bernoulli", torch.full((1, 4, 1), 0.5), torch.tensor([[True, True, False, True]]))
    values = torch.tensor([[0.4, 0.1, 9.0, 1.0]], dtype=torch.float64)
    assert TopFraction(0.5)(values, head).item() == pytest.approx(0.8)


def test_whole_fraction_is_the_mean():
    head, values = map_head("categorical"), random_values(FRAMES, 24)
    torch.testing.assert_close(TopFraction(1.0)(values, head), MeanOverSites()(values, head))


def test_smaller_fraction_is_larger():
    head, values = map_head("categorical"), random_values(FRAMES, 24)
    results = torch.stack([TopFraction(f)(values, head) for f in (0.05, 0.2, 0.5, 0.9)])
    assert (results.diff(dim=0) < 0).all()


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.1, float("nan")])
def test_impossible_fraction_is_refused(fraction):
    with pytest.raises(ValueError, match="fraction must lie above 0 and at most at 1, not"):
        TopFraction(fraction)
