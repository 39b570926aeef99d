import torch

from mtal.acquisition.normalizers import active_columns


def test_constant_columns_are_inactive():
    values = torch.tensor([[1.0, 0.1, 5.0], [2.0, 0.1, 5.0], [1.0, 0.1, 5.0 + 1e-13]], dtype=torch.float64)
    assert active_columns(values).tolist() == [True, False, False]


def test_small_numbers_are_not_constant():
    assert active_columns(torch.tensor([[1e-30], [2e-30]], dtype=torch.float64)).tolist() == [True]


def test_no_frame_and_one_frame_have_no_active_column():
    assert active_columns(torch.zeros(0, 2)).tolist() == [False, False]
    assert active_columns(torch.ones(1, 2)).tolist() == [False, False]
