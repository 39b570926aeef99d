import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from mtal.acquisition.embedding import FeatureEmbedding
from mtal.acquisition.gradients import GradientBlock, JointGradientEmbedding
from mtal.acquisition.selectors import distances, tie_break
from mtal.acquisition.selectors.distances import NearestCentre, middle, within

FRAMES = 400
HASHES = tie_break(0, map(str, range(FRAMES)))


def normal(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def feature_points():
    x = normal(FRAMES, 6) + 1e3
    x[50:60] = x[40:50]
    return FeatureEmbedding(x, x.mean(dim=0)), x.double()


def gradient_points():
    left, right, whole = normal(FRAMES, 3), normal(FRAMES, 4, seed=1), normal(FRAMES, 5, seed=2)
    for side in (left, right, whole):
        side[50:60] = side[40:50]
    joint = JointGradientEmbedding({"tools": GradientBlock(left, right), "anatomy": GradientBlock(whole)})
    rank_one = (left.double()[:, :, None] * right.double()[:, None]).flatten(1)
    parts = [rank_one * joint.scales["tools"] ** 0.5, whole.double() * joint.scales["anatomy"] ** 0.5]
    return joint, torch.cat(parts, dim=1)


@pytest.fixture(params=["features", "gradients"])
def points(request):
    return {"features": feature_points, "gradients": gradient_points}[request.param]()


@pytest.fixture(params=["kept", "gathered"])
def small(request, monkeypatch):
    if request.param == "bounded":
        monkeypatch.setattr(distances, "_KEPT", 0)
    monkeypatch.setattr(distances, "_COLUMNS", 4)


def truth(x, centres, outside=None):
    others = x[centres] if outside is None else torch.cat([x[centres], outside])
    return cdist(x, others, "sqeuclidean").min(axis=1)


def test_bounds_hold_and_exact_values_are_exact(points, small):
    embedding, x = points
    nearest = NearestCentre(embedding, HASHES)
    centres = [3, 41, 99, 200, 7, 300, 301, 302, 303, 5]
    places = np.random.default_rng(0).choice(FRAMES, 100, replace=False)
    for k, centre in enumerate(centres, start=1):
        nearest.add(centre)
        expected = truth(x, centres[:k])[nearest.by_hash]
        assert (nearest.bound >= expected * (1 - 1e-12)).all()
        exact = nearest.exact(places)
        np.testing.assert_allclose(exact, expected[places], rtol=1e-7, atol=1e-12)
        assert (exact[expected[places] == 0] == 0).all()  # duplicates of a centre too
    nearest.catch_up()
    assert (nearest.bound >= expected * (1 - 1e-12)).all()
    np.testing.assert_allclose(nearest.bound, expected, rtol=1e-3, atol=1e-3)
    nearest.settle(places)
    np.testing.assert_array_equal(nearest.bound[places], exact)


def test_part_of_the_bounds_catches_up(points, small):
    embedding, x = points
    nearest = NearestCentre(embedding, HASHES)
    nearest.add(3)
    nearest.catch_up(np.arange(10))
    nearest.add(9)
    nearest.catch_up(np.arange(5, 15))
    nearest.add(12)
    assert nearest.stale(np.array([4, 12, 20])).all()
    nearest.catch_up()
    np.testing.assert_allclose(nearest.bound, truth(x, [3, 9, 12])[nearest.by_hash], rtol=1e-3, atol=1e-3)


def test_centres_from_outside(small):
    embedding, x = feature_points()
    outside = normal(30, 6, seed=5) + 1e3
    nearest = NearestCentre(embedding, HASHES)
    nearest.fix(FeatureEmbedding(outside, embedding.origin))
    expected = truth(x, [], outside.double())[nearest.by_hash]
    np.testing.assert_allclose(nearest.bound, expected, rtol=1e-3, atol=1e-3)
    assert (nearest.bound >= expected * (1 - 1e-12)).all()
    nearest.add(8)
    expected = truth(x, [8], outside.double())[nearest.by_hash]
    np.testing.assert_allclose(nearest.exact(np.arange(FRAMES)), expected, rtol=1e-12, atol=1e-12)


def test_middle_does_not_depend_on_the_order_to_the_last_bit():
    x, order = normal(9000, 3) + 1e4, np.random.default_rng(0).permutation(9000)
    hashes = tie_break(0, map(str, range(9000)))
    straight = middle(x, np.argsort(hashes))
    assert torch.equal(straight, middle(x[order], np.argsort(hashes[order])))
    torch.testing.assert_close(straight, x.double().mean(dim=0), rtol=1e-12, atol=0)


def test_within_decides_the_border_by_float64_differences():
    """In float32 the products cannot tell 5 from 5 ± 10⁻⁶ at this length; the differences can."""
    x = torch.zeros(4, 2, dtype=torch.float64)
    x[1] = torch.tensor([3.0, 4.0])
    x[2], x[3] = x[1] * (1 + 1e-7), x[1] * (1 - 1e-7)
    y = FeatureEmbedding(x.float() + 0.0, torch.tensor([100.0, -70.0]))
    assert [j.tolist() for j in within(y.take(slice(0, 1)), y, 5.0)] == [[0, 0, 0], [0, 1, 3]]
    pairs = set(zip(*(side.tolist() for side in within(y, y, 5.0)), strict=True))
    assert pairs == {(j, i) for i, j in pairs}
