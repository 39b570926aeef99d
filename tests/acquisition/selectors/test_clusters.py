import numpy as np
import pytest
import torch
from agreement import record
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans, kmeans_plusplus

from mtal.acquisition.selectors import clusters
from mtal.acquisition.selectors.clusters import k_means, starts


def groups(size=20, count=5, dim=3):
    centres = 50 * np.eye(count, dim) + np.arange(count)[:, None]
    return torch.from_numpy(
        np.repeat(centres, size, axis=0) + np.random.default_rng(0).normal(size=(count * size, dim))
    )


@pytest.fixture(params=["all", "some"])
def sought_on(request, monkeypatch):
    """Centres are sought on all rows, or on 16 of them for each cluster."""
    if request.param == "some":
        monkeypatch.setattr(clusters, "_WHOLE", 0)


def inertia(x, labels):
    return sum(float(np.square(x[labels == k] - x[labels == k].mean(axis=0)).sum()) for k in np.unique(labels))


@pytest.mark.usefixtures("sought_on")
def test_groups_far_apart_are_found():
    x = groups(dim=5)
    found = [k_means(x, 5, seed).reshape(5, 20) for seed in range(5)]
    assert any((labels == labels[:, :1]).all() and len(set(labels[:, 0])) == 5 for labels in found)


@pytest.mark.parametrize("count", [3, 40])
def test_is_as_good_as_lloyds_algorithm_to_its_end(count):
    """From the same start; scikit-learn goes on until no row changes its cluster."""
    x = np.random.default_rng(0).normal(size=(3000, 16)).astype(np.float32)
    opening = x[np.arange(512) * 3000 // 512]
    first = opening[starts(torch.from_numpy(opening - x.mean(axis=0)), count, seed=0)]
    to_the_end = KMeans(count, init=first, n_init=1, tol=0).fit_predict(x)
    part = inertia(x, k_means(torch.from_numpy(x), count, seed=0)) / inertia(x, to_the_end) - 1
    record("k-means", "inertia of scikit-learn's, how much larger", max(0.0, part))
    assert part < 2e-3


def test_centres_of_a_part_are_nearly_as_good(monkeypatch):
    x = np.random.default_rng(0).normal(size=(4000, 4)).astype(np.float32)
    whole = inertia(x, k_means(torch.from_numpy(x), 10, seed=0))
    monkeypatch.setattr(clusters, "_MOST", 1000)
    labels = k_means(torch.from_numpy(x), 10, seed=0)
    assert inertia(x, labels) < 1.03 * whole
    assert np.bincount(labels).min() > 0


def test_what_all_rows_have_in_common_does_not_matter():
    x = groups()
    assert k_means(x + 1e8, 5, seed=0).tolist() == k_means(x, 5, seed=0).tolist()


def test_an_empty_cluster_gets_the_farthest_row():
    x = torch.tensor([[0.0], [1.0], [2.0], [9.0]])
    means = clusters._means(x, np.array([0, 0, 0, 0]), np.array([9.0, 4.0, 1.0, 36.0], dtype=np.float32), 2)
    assert means.flatten().tolist() == [3.0, 9.0]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [60, 12, 2, 1])  # from the distances of all pairs, or a few at a time
def test_starts_are_the_best_of_what_is_drawn(count, seed):
    """The draws of scikit-learn, each centre the one of them that leaves the smallest sum of squared distances."""
    x = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)
    sq = cdist(x, x, "sqeuclidean")
    chosen = starts(torch.from_numpy(x), count, seed)
    assert len(set(chosen.tolist())) == count
    state = np.random.RandomState(seed)
    assert chosen[0] == state.choice(400, p=np.full(400, 1 / 400))
    nearest = sq[chosen[0]]
    for centre in chosen[1:]:
        reached = state.uniform(size=2 + int(np.log(count))) * nearest.sum()
        drawn = {i for off in (-1e-3, 1e-3) for i in np.searchsorted(np.cumsum(nearest), reached + off).tolist()}
        assert centre in drawn
        left = {i: np.minimum(nearest, sq[i]).sum() for i in drawn}
        assert left[centre] <= min(left.values()) * (1 + 1e-4) or len(drawn) > 2 + int(np.log(count))
        nearest = np.minimum(nearest, sq[centre])


@pytest.mark.parametrize("count", [40, 5])
def test_starts_are_those_of_scikit_learn(count):
    x = np.random.default_rng(0).normal(size=(300, 32)).astype(np.float32)
    x -= x.mean(axis=0)
    _, expected = kmeans_plusplus(x, count, random_state=0)
    differing = int((starts(torch.from_numpy(x), count, 0) != expected).sum())
    record("k-means++ centres", "scikit-learn kmeans_plusplus, centres that differ", differing)
    assert differing == 0


@pytest.mark.usefixtures("sought_on")
def test_same_seed_same_clusters():
    x = torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
    first = k_means(x, 12, seed=0).tolist()
    assert k_means(x, 12, seed=0).tolist() == first
    assert k_means(x, 12, seed=1).tolist() != first


@pytest.mark.usefixtures("sought_on")
def test_pitfall_15_fewer_different_rows_than_clusters():
    """Empty clusters are no error and no warning."""
    x = torch.tensor([[0.0], [5.0], [9.0]]).repeat(100, 1)
    labels = k_means(x, 8, seed=0)
    assert len(set(labels.tolist())) == 3
    assert labels[:3].tolist() * 100 == labels.tolist()


def test_fewer_rows_than_clusters():
    assert sorted(k_means(torch.tensor([[0.0], [5.0], [9.0]]), 500, seed=0).tolist()) == [0, 1, 2]
