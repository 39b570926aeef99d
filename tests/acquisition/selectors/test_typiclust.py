import numpy as np
import pytest
import torch
from agreement import record
from axioms.selectors import SelectorAxioms, frame_ids, tensors
from scipy.spatial.distance import cdist

from mtal.acquisition.selectors import Candidates, Constraint, TypiClust, tie_break, typiclust


class TestTypiClust(SelectorAxioms):
    selector = TypiClust()
    seeded = True
    spreads = True
    prefix_stable = False  # another budget makes other clusters


class TestTypiClustOfFewClusters(SelectorAxioms):
    selector = TypiClust(max_clusters=3, neighbours=2, minimum_size=1)
    seeded = True


def select(x, budget, labelled=None, selector=None, constraint=None, seed=0):
    pool = Candidates(tie_break(0, frame_ids(len(x))), features=x, labelled_features=labelled)
    return (selector or TypiClust())(pool, budget, np.random.default_rng(seed), constraint).tolist()


def by_the_paper(x, labels, used, budget, neighbours, minimum_size, most):
    """Clusters and typicalities one by one, the smallest hash among equals; so many of a cluster stand for it."""
    picks, used, hashes = [], dict(used), tie_break(0, frame_ids(len(x)))
    for _ in range(budget):
        members = {c: [i for i in np.flatnonzero(labels == c) if i not in picks] for c in set(labels.tolist())}
        size = {c: int((labels == c).sum()) for c in members}
        big = [c for c in members if members[c] and size[c] >= minimum_size]
        cluster = min(big or [c for c in members if members[c]], key=lambda c: (used.get(c, 0), -size[c]))
        typicality = {}
        standing = sorted(members[cluster], key=lambda i: hashes[i])[:most]
        for i in standing:
            others = sorted(cdist(x[[i]], x[[j for j in standing if j != i]])[0]) if standing != [i] else [1]
            typicality[i] = 1 / np.mean(others[:neighbours])
        picks.append(int(min(typicality, key=lambda i: (-round(typicality[i], 9), hashes[i]))))
        used[cluster] = used.get(cluster, 0) + 1
    return picks


@pytest.mark.parametrize("most", [15, 4096])
@pytest.mark.parametrize("neighbours", [1, 4, 20])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_clusters_and_typicalities_one_by_one(monkeypatch, seed, neighbours, most):
    """In clusters of 40, 39, …, so that sizes decide; three of them hold a labelled frame, two are small."""
    sizes = [40, 39, 38, 12, 11, 4, 3]
    x = np.random.default_rng(seed).normal(size=(sum(sizes), 3)) + 100 * np.repeat(np.arange(7), sizes)[:, None]
    seen = np.array([[0.0] * 3, [0.1] * 3, [300.0] * 3])
    labels = np.repeat(np.arange(7), sizes)
    monkeypatch.setattr(
        typiclust, "k_means", lambda rows, clusters, seed: np.rint(rows.numpy()[:, 0] / 100).astype(int)
    )
    monkeypatch.setattr(typiclust, "_MOST", most)
    expected = by_the_paper(x, labels, {0: 2, 3: 1}, 25, neighbours, 5, most)
    picks = select(torch.from_numpy(x), 25, torch.from_numpy(seen), TypiClust(neighbours=neighbours))
    record("TypiClust", "clusters and typicalities one by one", float(picks != expected))
    assert picks == expected
    assert [labels[i] for i in picks[:6]] == [1, 2, 4, 1, 2, 3]


def test_as_many_clusters_as_labelled_frames_and_picks(monkeypatch):
    asked = []

    def k_means(rows, clusters, seed):
        asked.append((len(rows), clusters))
        return np.arange(len(rows)) % clusters

    monkeypatch.setattr(typiclust, "k_means", k_means)
    x = tensors(40)[2]
    select(x, 6, x[:3])
    select(x, 6)
    select(x, 6, x[:3], TypiClust(max_clusters=8))
    assert asked == [(43, 9), (40, 6), (43, 8)]


def test_groups_without_a_labelled_frame_come_first():
    centres = torch.tensor([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0], [50.0, 50.0]])
    x = centres.repeat(10, 1) + 0.1 * torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    for seed in range(3):
        assert {i % 4 for i in select(x, 2, centres[:2], seed=seed)} == {2, 3}


def test_the_middle_of_a_group_is_typical():
    x = torch.tensor([[0.0], [1.0], [1.5], [2.0], [9.0]])
    assert select(x, 1) == [2]


def test_small_clusters_wait(monkeypatch):
    monkeypatch.setattr(typiclust, "k_means", lambda rows, clusters, seed: (rows.numpy()[:, 0] > 5).astype(int))
    x = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0]])
    small_last = select(x, 5, selector=TypiClust(minimum_size=3))
    assert {*small_last[:3]} == {0, 1, 2}
    in_turn = select(x, 4, selector=TypiClust(minimum_size=1))
    assert [i > 2 for i in in_turn] == [False, True, False, True]


def test_pitfall_15_any_pool_size_and_labelled_set():
    x = tensors(600)[2]
    for frames, budget, labelled in [(1, 1, 0), (2, 2, 5), (7, 7, 0), (600, 3, 0), (30, 4, 570)]:
        picks = select(x[:frames], budget, x[600 - labelled :])
        assert len(set(picks)) == budget


def test_excluded_frames_have_no_part():
    # without 2 and 3 the mean distances are 3, 2.5 and 4.5
    x = torch.tensor([[0.0], [1.0], [4.9], [4.8], [5.0]])
    assert select(x, 1, constraint=Constraint(5, np.array([False, False, True, True, False]))) == [1]


@pytest.mark.parametrize("name", ["max_clusters", "neighbours", "minimum_size"])
def test_impossible_arguments_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} of TypiClust must be 1 or more, not 0"):
        TypiClust(**{name: 0})
