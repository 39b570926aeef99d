import torch

from mtal.acquisition.normalizers import PercentileRank, active_columns


def test_constant_columns_are_inactive():
    values = torch.tensor([[1.0, 0.1, 5.0], [2.0, 0.1, 5.0], [1.0, 0.1, 5.0 + 1e-13]], dtype=torch.float64)
    assert active_columns(values).tolist() == [True, False, False]


def test_small_numbers_are_not_constant():
    assert active_columns(torch.tensor([[1e-30], [2e-30]], dtype=torch.float64)).tolist() == [True]


def test_negative_numbers_vary_by_their_magnitude():
    values = torch.tensor([[-5.0, -5.0], [-5.0 - 1e-13, -5.0 - 1e-10]], dtype=torch.float64)
    assert active_columns(values).tolist() == [False, True]


def test_no_frame_and_one_frame_have_no_active_column():
    assert active_columns(torch.zeros(0, 2)).tolist() == [False, False]
    assert active_columns(torch.ones(1, 2)).tolist() == [False, False]


def test_a_group_is_normalised_by_itself_also_where_the_groups_of_a_reference_are_named():
    """``reference_groups`` speak of a reference, and there is none."""
    scores, groups = torch.tensor([[1.0], [2.0], [5.0], [3.0]]), torch.tensor([0, 0, 1, 1])
    normalised = PercentileRank()(scores, groups=groups, reference_groups=torch.tensor([1, 1, 1, 1]))
    assert normalised.flatten().tolist() == [0.0, 1.0, 1.0, 0.0]
