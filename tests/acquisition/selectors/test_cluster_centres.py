import numpy as np
import pytest
import torch
from agreement import record
from axioms.selectors import SelectorAxioms, frame_ids, tensors
from sklearn.cluster import KMeans

from mtal.acquisition.selectors import Candidates, ClusterCentres, Constraint, tie_break


class TestClusterCentres(SelectorAxioms):
    selector = ClusterCentres()
    spreads = True
    seeded = True
    prefix_stable = False  # another budget makes other clusters


class TestClusterCentresOfAShortlist(SelectorAxioms):
    selector = ClusterCentres(shortlist=3.0)
    seeded = True
    prefix_stable = False


def select(x, budget, selector=None, utility=None, constraint=None):
    pool = Candidates(tie_break(0, frame_ids(len(x))), utility, features=x)
    return (selector or ClusterCentres())(pool, budget, np.random.default_rng(0), constraint).tolist()


def groups(seed, sizes=(9, 7, 5, 3)):
    """Groups far apart, in shuffled order."""
    rng = np.random.default_rng(seed)
    owner = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return torch.from_numpy(100.0 * owner[:, None] + rng.normal(size=(len(owner), 3))), owner


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_k_means_of_scikit_learn(seed):
    x, _ = groups(seed)
    model = KMeans(4, n_init=20, random_state=seed).fit(x.numpy())
    nearest = model.transform(x.numpy()).argmin(axis=0)  # [K]
    expected = nearest[np.argsort(-np.bincount(model.labels_))].tolist()
    picks = select(x, 4)
    record("cluster centres", "k-means of scikit-learn", float(picks != expected))
    assert picks == expected


def test_only_the_shortlist_is_clustered():
    x, owner = groups(0)
    utility = torch.from_numpy(np.where(owner == 3, 0.0, 1.0) + np.linspace(0, 0.1, len(owner)))
    picks = select(x, 3, ClusterCentres(shortlist=7.0), utility)
    assert sorted(owner[picks]) == [0, 1, 2]
    assert len(set(picks) - set(utility.argsort(descending=True)[:21].tolist())) == 0


def test_a_shortlist_of_one_is_top_k():
    x, _ = groups(0)
    utility = tensors(len(x))[0]
    assert set(select(x, 5, ClusterCentres(shortlist=1.0), utility)) == set(utility.topk(5).indices.tolist())


def test_what_is_forbidden_is_not_clustered():
    x, owner = groups(0)
    assert sorted(owner[select(x, 3, constraint=Constraint(len(x), owner == 0))]) == [1, 2, 3]


@pytest.mark.parametrize("shortlist", [0.5, float("inf")])
def test_shortlist_out_of_range(shortlist):
    with pytest.raises(ValueError, match=f"shortlist of cluster_centres must be 1 or more.*{shortlist}"):
        ClusterCentres(shortlist)
