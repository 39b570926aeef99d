import math

import numpy as np
import pytest
import torch
from agreement import record
from axioms.aggregations import FRAMES, SiteAggregationAxioms, map_head, random_values

from mtal.acquisition.aggregation import BoundaryBand
from mtal.tasks.posterior import HeadOutput


class TestBoundaryBand(SiteAggregationAxioms):
    aggregation = BoundaryBand(1 / 4)  # one of four rows, so two of eight
    all_sites_count = False
    may_repeat_sites = False


class TestWiderBand(SiteAggregationAxioms):
    aggregation = BoundaryBand(1 / 2)
    all_sites_count = False
    may_repeat_sites = False


def answers_of(probs, family):
    return int(probs.argmax()) if family == "categorical" else tuple((probs > 0.5).tolist())


def by_loops(values, head, width):
    """Every pair of sites is looked at."""
    rows, columns = head.grid
    distance = width * min(rows, columns)
    result = []
    for n in range(len(values)):
        total = weight_sum = 0.0
        sites = [s for s in range(rows * columns) if head.mask[n, s]]
        for s in sites:
            others = [
                max(abs(s // columns - o // columns), abs(s % columns - o % columns))
                for o in sites
                if answers_of(head.probs[n, o], head.family) != answers_of(head.probs[n, s], head.family)
            ]
            nearest = min(others, default=math.inf)
            weight = min(max(distance - (nearest - 1), 0.0), 1.0)
            total += weight * float(values[n, s])
            weight_sum += weight
        result.append(total / weight_sum if weight_sum else 0.0)
    return np.array(result)


@pytest.mark.parametrize("width", [0.05, 0.25, 0.3, 0.4, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("family", ["bernoulli", "categorical"])
def test_agrees_with_loops_over_all_pairs(family, width):
    head, values = map_head(family), random_values(FRAMES, 24)
    result = BoundaryBand(width)(values, head).numpy()
    expected = by_loops(values, head, width)
    record("boundary band", "loops over all pairs of sites", np.abs(result - expected).max())
    np.testing.assert_allclose(result, expected, rtol=1e-10)


def halves(rows, columns):
    """Left half of one class, right half of another."""
    right = torch.arange(columns).repeat(rows) >= columns // 2
    probs = torch.stack([~right, right], dim=1).float().unsqueeze(0)
    return HeadOutput("categorical", probs, grid=(rows, columns))


def test_only_the_band_counts():
    values = torch.tensor([[0.0, 0.2, 0.4, 0.8, 1.0, 9.0] * 4])
    assert BoundaryBand(0.25)(values, halves(4, 6)).item() == pytest.approx(0.6)  # columns 2 and 3: (0.4 + 0.8)/2
    # d = 0.375·4 = 1.5: columns 1 and 4 count half: (0.4 + 0.8 + ½·0.2 + ½·1.0)/3
    assert BoundaryBand(0.375)(values, halves(4, 6)).item() == pytest.approx(0.6)
    values[:, 4::6] = 0.2
    assert BoundaryBand(0.375)(values, halves(4, 6)).item() == pytest.approx(1.4 / 3)


@pytest.mark.parametrize("width", [0.1, 0.15, 0.3])
def test_a_straight_band_is_as_wide_at_any_resolution(width):
    """The value that grows with the distance from the border is averaged over the same depth."""
    results = []
    for size in (20, 40, 80):
        depth = (torch.arange(size) + 0.5) / size - 0.5
        results.append(BoundaryBand(width)(depth.abs().repeat(size)[None], halves(size, size)).item())
    assert results == pytest.approx([width / 2] * 3)


def test_frame_of_one_class_gets_zero():
    probs = torch.tensor([0.9, 0.1]).expand(1, 12, 2)
    assert BoundaryBand(0.5)(torch.ones(1, 12), HeadOutput("categorical", probs, grid=(3, 4))).tolist() == [0.0]


def test_invalid_sites_make_no_border():
    head = halves(4, 6)
    left = torch.arange(6).repeat(4)[None] < 3
    assert BoundaryBand(0.25)(torch.ones(1, 24), HeadOutput("categorical", head.probs, left, grid=(4, 6))).item() == 0.0


def test_missing_grid_is_named():
    with pytest.raises(ValueError, match=r"boundary band needs HeadOutput\.grid"):
        BoundaryBand()(torch.ones(1, 4), HeadOutput("categorical", torch.full((1, 4, 2), 0.5)))


@pytest.mark.parametrize("width", [0.0, -0.1, 1.5, math.nan])
def test_impossible_width_is_refused(width):
    with pytest.raises(ValueError, match="width must lie above 0 and at most at 1, not"):
        BoundaryBand(width)
