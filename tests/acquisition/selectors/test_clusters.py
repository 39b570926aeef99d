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


@pytest.mark.parametrize("whole", [1 << 24, 0])
def test_groups_far_apart_are_found(monkeypatch, whole):
    monkeypatch.setattr(clusters, "_WHOLE", whole)
    x = groups(dim=5)
    found = [k_means(x, 5, seed).reshape(5, 20) for seed in range(5)]
    assert any((labels == labels[:, :1]).all() and len(set(labels[:, 0])) == 5 for labels in found)


def test_is_lloyds_algorithm_of_scikit_learn():
    x = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    expected = KMeans(7, n_init=1, random_state=3).fit_predict(x.numpy())
    assert k_means(x, 7, seed=3).tolist() == expected.tolist()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [60, 2, 1])
def test_starts_are_the_best_of_what_is_drawn(count, seed):
    """The draws of scikit-learn, each centre the one of them that leaves the smallest sum of squared distances."""
    x = np.random.default_rng(0).normal(size=(200, 4)) + 100
    sq = cdist(x, x, "sqeuclidean")
    chosen = starts(x, count, seed)
    assert len(set(chosen.tolist())) == count
    state = np.random.RandomState(seed)
    assert chosen[0] == state.choice(200, p=np.full(200, 1 / 200))
    nearest = sq[chosen[0]]
    for centre in chosen[1:]:
        drawn = [
            np.flatnonzero(np.cumsum(nearest) >= part * nearest.sum())[0]
            for part in state.uniform(size=2 + int(np.log(count)))
        ]
        assert centre in drawn
        left = {i: np.minimum(nearest, sq[i]).sum() for i in drawn}
        assert left[centre] <= min(left.values()) * (1 + 1e-12)
        nearest = np.minimum(nearest, sq[centre])


def test_starts_are_those_of_scikit_learn():
    x = np.random.default_rng(0).normal(size=(300, 32))
    _, expected = kmeans_plusplus(x - x.mean(axis=0), 40, random_state=0)
    differing = int((starts(x, 40, 0) != expected).sum())
    record("k-means++ centres", "scikit-learn kmeans_plusplus, centres that differ", differing)
    assert differing == 0


@pytest.mark.parametrize("pairs", [4096, 0])  # from the distances of all pairs, or from scikit-learn's own start
def test_many_clusters_are_those_of_scikit_learn(monkeypatch, pairs):
    monkeypatch.setattr(clusters, "_PAIRS", pairs)
    x = np.random.default_rng(0).normal(size=(300, 32))
    expected = KMeans(40, n_init=1, random_state=0).fit_predict(x)
    assert k_means(torch.from_numpy(x), 40, seed=0).tolist() == expected.tolist()


@pytest.mark.parametrize("whole", [1 << 24, 0])
def test_same_seed_same_clusters(monkeypatch, whole):
    monkeypatch.setattr(clusters, "_WHOLE", whole)
    x = torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
    first = k_means(x, 12, seed=0).tolist()
    assert k_means(x, 12, seed=0).tolist() == first
    assert k_means(x, 12, seed=1).tolist() != first


@pytest.mark.parametrize("whole", [1 << 24, 0])
def test_pitfall_15_fewer_different_rows_than_clusters(monkeypatch, whole):
    """Empty clusters are no error and no warning."""
    monkeypatch.setattr(clusters, "_WHOLE", whole)
    x = torch.tensor([[0.0], [5.0], [9.0]]).repeat(10, 1)
    labels = k_means(x, 8, seed=0)
    assert len(set(labels.tolist())) == 3
    assert labels[:3].tolist() * 10 == labels.tolist()


def test_fewer_rows_than_clusters():
    assert sorted(k_means(torch.tensor([[0.0], [5.0], [9.0]]), 500, seed=0).tolist()) == [0, 1, 2]
