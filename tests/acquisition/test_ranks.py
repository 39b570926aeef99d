import math

import numpy as np
import pytest
import torch
from agreement import record
from scipy.stats import rankdata

from mtal.acquisition.ranks import average_rank, rank_among


def test_worked_example():
    values = torch.tensor([[3.0, 1.0], [1.0, 1.0], [2.0, 1.0], [3.0, 0.0]])
    assert average_rank(values).tolist() == [[3.5, 3.0], [1.0, 3.0], [2.0, 3.0], [3.5, 1.0]]
    assert average_rank(values, descending=True).tolist() == [[1.5, 2.0], [4.0, 2.0], [3.0, 2.0], [1.5, 4.0]]


def test_is_mean_of_the_ranks_of_all_orders_of_ties():
    """Brute force: (frames below) + (frames equal + 1)/2."""
    values = torch.randint(0, 5, (30, 1), generator=torch.Generator().manual_seed(0)).double()
    expected = [(values < v).sum().item() + ((values == v).sum().item() + 1) / 2 for v in values]
    assert average_rank(values).flatten().tolist() == expected


def test_nan_is_not_counted():
    ranks = average_rank(torch.tensor([[2.0], [math.nan], [1.0]])).flatten().tolist()
    assert ranks[0] == 2.0
    assert math.isnan(ranks[1])
    assert ranks[2] == 1.0


def test_no_row_and_one_row():
    assert average_rank(torch.zeros(0, 3)).shape == (0, 3)
    assert average_rank(torch.zeros(4, 0)).shape == (4, 0)
    assert average_rank(torch.tensor([[7.0]])).tolist() == [[1.0]]


@pytest.mark.parametrize("descending", [False, True])
def test_agrees_with_scipy(descending):
    values = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    values[:, 1:] = (values[:, 1:] * torch.tensor([1.0, 5.0, 0.1])).round()
    values[::7, 2] = math.nan
    array = -values.numpy() if descending else values.numpy()
    expected = rankdata(array.astype(float), axis=0, nan_policy="omit")
    ranks = average_rank(values, descending=descending).numpy()
    assert np.array_equal(np.isnan(ranks), np.isnan(expected))
    error = np.nanmax(np.abs(ranks - expected))
    record("average rank", "scipy rankdata", error)
    assert error == 0


def test_rank_among_a_reference_agrees_with_counting():
    """Brute force: (frames below) + (frames equal + 1)/2, cut off at the ends."""
    generator = torch.Generator().manual_seed(0)
    reference, values = (torch.randint(0, 9, (n, 2), generator=generator).double() / 2 for n in (23, 40))
    values = values[values[:, 0].argsort(descending=True)] * 1.3 - 0.4
    for t in range(2):
        below = [(reference[:, t] < v).sum().item() for v in values[:, t]]
        equal = [(reference[:, t] == v).sum().item() for v in values[:, t]]
        expected = [min(max(b + (e + 1) / 2, 1), 23) for b, e in zip(below, equal, strict=True)]
        assert rank_among(values, reference)[:, t].tolist() == expected


def test_rank_among_themselves_is_the_average_rank():
    values = torch.randint(0, 9, (50, 3), generator=torch.Generator().manual_seed(0)).double()
    assert torch.equal(rank_among(values, values.flip(0)), average_rank(values))
