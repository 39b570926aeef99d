import pytest
import torch

from mtal.acquisition.predictive import mean_over_sites, predictive_probs, surprise
from mtal.tasks.posterior import HeadOutput


def test_pitfall_9_members_are_averaged_as_probabilities():
    # sigmoid of the mean logit of 0.5 and 0.99 would be 0.909
    members = torch.tensor([0.5, 0.99], dtype=torch.float64)[:, None, None, None]
    assert predictive_probs(HeadOutput("bernoulli", members)).item() == pytest.approx(0.745)


@pytest.mark.parametrize("probs", [[1 + 5e-7, -5e-7], [1 + 5e-7, 0.0], [1.0, -5e-7], [1.0, 0.0]])
def test_rounding_is_cut_off(probs):
    assert predictive_probs(HeadOutput("categorical", torch.tensor([[probs]]))).tolist() == [[[1.0, 0.0]]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_surprise_of_any_precision_and_layout(dtype):
    probs = torch.tensor([[0.0, 0.25], [0.5, 1.0]], dtype=dtype).T.requires_grad_()
    expected = torch.tensor([[0.0, 0.5 * 0.6931472], [0.5 * 0.6931472, 0.0]], dtype=dtype)  # ¼ log 4 = ½ log 2
    assert surprise(probs).dtype == dtype
    torch.testing.assert_close(surprise(probs), expected)


def test_mean_is_over_valid_sites():
    values = torch.tensor([[1.0, 2.0, 9.0], [4.0, torch.nan, torch.nan], [torch.nan] * 3])
    mask = torch.tensor([[True, True, False], [True, False, False], [False] * 3])
    assert mean_over_sites(values, mask).tolist() == [1.5, 4.0, 0.0]
