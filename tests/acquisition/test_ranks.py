import math

import torch

from mtal.acquisition.ranks import average_rank


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


def test_no_row():
    assert average_rank(torch.zeros(0, 3)).shape == (0, 3)
