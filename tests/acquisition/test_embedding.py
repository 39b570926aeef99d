import numpy as np
import pytest
import torch
from agreement import record
from scipy.spatial.distance import cdist

from mtal.acquisition.embedding import FeatureEmbedding, all_finite, mean_row, product_rounding, sq_length
from mtal.acquisition.gradients import GradientBlock


def features(frames=300, dim=40, offset=0.0, seed=0, dtype=torch.float32):
    x = torch.randn(frames, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (x + offset).to(dtype)


def embedding(x):
    return FeatureEmbedding(x, x.double().mean(dim=0))


@pytest.fixture(params=["highest", "high", "medium"])
def precision(request):
    """What a training script may have set."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(request.param)
    yield request.param
    torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rounding_bounds_the_error_of_products(offset, dtype, precision):
    x = embedding(features(offset=offset, dtype=dtype))
    exact = torch.from_numpy(cdist(x.features.double(), x.features.double(), "sqeuclidean"))
    scale = x.sq_norm[:, None] + x.sq_norm
    error = (scale - 2 * x.inner_products(x).double() - exact).abs()
    assert (error <= x.rounding * scale).all()
    assert x.rounding < {"highest": 1e-5, "high": 1e-2, "medium": 0.1}[precision]


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_distances_agree_with_scipy(offset):
    x = features(frames=5000, dim=7, offset=offset)  # more rows than are compared at once
    y = embedding(x)
    expected = cdist(x.double(), x[:3].double(), "sqeuclidean")
    got = y.sq_distances(y.take(slice(0, 3))).numpy()
    apart = expected > 0
    error = np.abs(got[apart] / expected[apart] - 1).max()
    record("squared distances of float32 features", "scipy cdist, relative", error)
    assert error < 2e-5
    assert (got[~apart] == 0).all()
    np.testing.assert_allclose(y.sq_distance_to(2), got[:, 2], rtol=1e-5)


def test_pairs_are_float64_differences():
    x, y = features(offset=1e4), features(offset=1e4, seed=1)
    pairs = embedding(x).paired_sq_distances(embedding(y))
    torch.testing.assert_close(pairs, (x.double() - y.double()).square().sum(dim=1), rtol=1e-14, atol=0)
    to_one = embedding(x).paired_sq_distances(embedding(y).take(slice(4, 5)))
    torch.testing.assert_close(to_one, (x.double() - y[4].double()).square().sum(dim=1), rtol=1e-14, atol=0)
    assert embedding(x).paired_sq_distances(embedding(x)).tolist() == [0.0] * 300


def test_measuring_leaves_the_features_alone():
    x = features(dtype=torch.float64)
    before = x.clone()
    embedding(x).paired_sq_distances(embedding(x).take(slice(0, 1)))
    embedding(x).sq_distance_to(0)
    assert torch.equal(x, before)


def test_taken_frames_are_the_same_frames():
    x = embedding(features())
    taken = x.take(torch.tensor([7, 3]))
    assert len(taken) == 2
    torch.testing.assert_close(taken.sq_norm, x.sq_norm[[7, 3]], rtol=0, atol=0)
    torch.testing.assert_close(taken.sq_distances(x), x.sq_distances(x)[[7, 3]], rtol=1e-5, atol=0)


def test_half_precision_is_compared_in_single():
    x = features().half()
    assert embedding(x).features.dtype == torch.float32
    assert embedding(x.double()).features.dtype == torch.float64


def test_squared_length_by_hand():
    x = torch.tensor([[1.0, 2.0], [4.0, 6.0]])
    assert sq_length(x).tolist() == [5.0, 52.0]
    assert sq_length(x, torch.tensor([1.0, 2.0])).tolist() == [0.0, 25.0]
    # 2·1 + 3·4, 2·16 + 3·36
    assert sq_length(x, weight=torch.tensor([2.0, 3.0])).tolist() == [14.0, 140.0]
    assert sq_length(x).dtype == torch.float64


def test_rounding_grows_with_the_columns():
    assert product_rounding(48, torch.float32) == pytest.approx(64 * 2.0**-24)
    assert product_rounding(48, torch.float64) == pytest.approx(64 * 2.0**-53)


def test_different_kinds_are_not_compared():
    x = features(frames=2)
    with pytest.raises(TypeError, match="FeatureEmbedding cannot be compared with a GradientBlock"):
        embedding(x).inner_products(GradientBlock(x))


def test_mean_of_the_rows_is_that_in_double():
    x = 1000 + torch.randn(1100, 3, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(mean_row(x), x.double().mean(dim=0), rtol=1e-14)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], True), ([1.0, -2.0], True), ([3e38, 3e38], True), ([torch.inf, -torch.inf], False), ([torch.nan, 1], False)],
)
def test_all_finite(values, expected):
    """Also where the sum is not, though the values are."""
    assert all_finite(torch.tensor(values)) is expected
