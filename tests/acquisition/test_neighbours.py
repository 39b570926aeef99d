import numpy as np
import pytest
import torch
from agreement import record
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from mtal.acquisition import neighbours
from mtal.acquisition.neighbours import distances, most_alike, nearest


def points(frames, features=5, seed=0):
    return torch.randn(frames, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("numbers", [50, 1 << 20])  # in parts of one query, and whole
def test_is_brute_force_over_all_pairs(monkeypatch, numbers):
    monkeypatch.setattr(neighbours, "_NUMBERS", numbers)
    queries, references = points(40), points(60, seed=1) + 3
    index = nearest(queries, references, 7)
    brute = cdist(queries, references)
    assert (index.numpy() == np.argsort(brute, axis=1)[:, :7]).all()
    error = np.abs(distances(queries, references, index).numpy() - np.sort(brute, axis=1)[:, :7]).max()
    record("k nearest neighbours", "brute force over all pairs (scipy cdist)", error)
    assert error < 1e-12


@pytest.mark.parametrize("references", [30, 300])  # fewer than 64 k, which are partitioned, and more
def test_order_does_not_depend_on_how_it_is_found(references):
    queries, others = points(50), points(references, seed=1)
    brute = cdist(queries, others)
    assert (nearest(queries, others, 3).numpy() == np.argsort(brute, axis=1)[:, :3]).all()


def test_references_equal_to_the_last_neighbour_leave_k():
    x = torch.tensor([[0.0], [1.0], [1.0], [1.0], [5.0]])
    index = nearest(torch.zeros(2, 1), x, 2)
    assert index.shape == (2, 2)
    assert index[:, 0].tolist() == [0, 0]
    assert set(index[:, 1].tolist()) <= {1, 2, 3}


def test_memory_is_bounded(monkeypatch):
    """Pieces of at most 2 000 numbers, and not of far fewer."""
    monkeypatch.setattr(neighbours, "_NUMBERS", 2000)
    queries, references = points(90), points(60, seed=1)
    products, gathered = [], []
    addmm, index_select = torch.addmm, torch.Tensor.index_select

    def watched_product(*args, **kwargs):
        products.append(addmm(*args, **kwargs))
        return products[-1]

    def watched_gathering(*args):
        gathered.append(index_select(*args))
        return gathered[-1]

    monkeypatch.setattr(torch, "addmm", watched_product)
    monkeypatch.setattr(torch.Tensor, "index_select", watched_gathering)
    distances(queries, references, nearest(queries, references, 4))
    # 33 queries of 60 references each; 25 queries of 4 neighbours of 5 features each
    assert [p.shape[0] for p in products] == [33, 33, 24]
    assert [g.shape[0] for g in gathered] == [100, 100, 100, 60]


def test_excluding_itself_is_scikit_learn_without_a_query():
    x = points(80)
    theirs, index = NearestNeighbors(n_neighbors=6).fit(x.numpy()).kneighbors()
    ours = nearest(x, x, 6, exclude=torch.arange(80))
    assert (ours.numpy() == index).all()
    error = np.abs(distances(x, x, ours).numpy() - theirs).max()
    record("k nearest neighbours", "scikit-learn NearestNeighbors", error)
    assert error < 1e-12


def test_minus_one_excludes_nobody():
    x = points(10)
    index = nearest(x, x, 1, exclude=torch.tensor([*range(5), *[-1] * 5])).squeeze(1)
    assert (index[:5] != torch.arange(5)).all()
    assert index[5:].tolist() == [5, 6, 7, 8, 9]


def test_neighbours_far_from_the_origin_keep_their_order():
    """About the origin the squared norms of 10¹² would swallow differences of 10⁻⁶."""
    x = torch.tensor([[1e6], [1e6 + 1e-3], [1e6 + 3e-3]], dtype=torch.float64)
    assert nearest(x, x, 1, exclude=torch.arange(3)).tolist() == [[1], [0], [1]]


def test_duplicates_are_at_exactly_zero():
    x = points(6).repeat(2, 1)
    index = nearest(x, x, 1, exclude=torch.arange(12))
    assert index.squeeze(1).tolist() == [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5]
    assert distances(x, x, index).eq(0).all()


@pytest.mark.parametrize(("k", "exclude", "width"), [(9, False, 4), (9, True, 3), (3, True, 3), (2, False, 2)])
def test_few_references_give_few_neighbours(k, exclude, width):
    x = points(4)
    assert nearest(x, x, k, torch.arange(4) if exclude else None).shape == (4, width)


def test_no_references_or_no_queries():
    assert nearest(points(3), points(0), 2).shape == (3, 0)
    assert nearest(points(1), points(1), 2, exclude=torch.tensor([0])).shape == (1, 0)
    assert nearest(points(0), points(3), 2).shape == (0, 2)
    assert distances(points(3), points(0), torch.zeros(3, 0, dtype=torch.int64)).shape == (3, 0)


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="k must be 1 neighbour or more, not 0"):
        nearest(points(3), points(3), 0)
    with pytest.raises(ValueError, match="queries have 5 features but references 4"):
        nearest(points(3), points(3, 4), 1)


@pytest.mark.parametrize("references", [40, 900])  # partitioned, and more than 64 k
@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_single_precision_changes_no_neighbour(references, offset):
    """Frames of a video lie so close together that products of float32 cannot tell who is among the nearest."""
    steps = torch.randn(references + 60, 64, generator=torch.Generator().manual_seed(0)) * 1e-3
    x = (torch.cumsum(steps, dim=0) + offset).float()
    queries, others = x[::7], x[:references]
    found = nearest(queries, others, 5)
    brute = np.argsort(cdist(queries.double(), others.double(), "sqeuclidean"), axis=1, kind="stable")[:, :5]
    assert (np.sort(found.numpy(), axis=1) == np.sort(brute, axis=1)).all()


def test_most_alike_is_brute_force_over_all_cosines():
    queries, others = points(50).float() + 2, points(70, seed=1).float() + 2
    brute = np.argsort(cdist(queries.double(), others.double(), "cosine"), axis=1)[:, :6]
    found = most_alike(queries, others, 6).numpy()
    record("k most alike", "brute force over all cosines (scipy cdist)", float((found != brute).sum()))
    assert (np.sort(found, axis=1) == np.sort(brute, axis=1)).all()


def test_to_rounding_changes_only_what_rounding_decides():
    x = torch.randn(300, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(nearest(x, x, 5, to_rounding=True), nearest(x, x, 5))
    x[:, 0] += 3000  # what is told apart in float32 products is 1000 times less
    x[0] += 3000
    far = cdist(x.double().numpy(), x.double().numpy())
    index = nearest(x, x, 5, to_rounding=True).numpy()
    lost = np.take_along_axis(far**2, index, axis=1).max(axis=1) - np.sort(far**2, axis=1)[:, 4]
    assert lost.max() <= 1e-4 * np.square(x.numpy() - x.numpy().mean(axis=0)).sum(axis=1).max()


def test_distances_of_single_precision_are_nearly_exact():
    x = 100 + torch.randn(50, 512, generator=torch.Generator().manual_seed(0))
    index = nearest(x, x, 9)
    exact = np.take_along_axis(cdist(x.double().numpy(), x.double().numpy()), index.numpy(), axis=1)
    assert np.allclose(distances(x, x, index).numpy(), exact, rtol=1e-6)
    assert distances(x, x, index)[:, 0].eq(0).all()


@pytest.mark.parametrize("unit", [1e-30, 1e-8, 1e8, 1e30])
def test_unit_of_double_features_does_not_matter(unit):
    """Squares of the smallest and the largest are no numbers of float32."""
    x = points(200)
    assert torch.equal(nearest(unit * x, unit * x, 4), nearest(x, x, 4))
    assert torch.equal(most_alike(unit * x, x, 4), most_alike(x, x, 4))


def test_double_features_that_float32_cannot_tell_apart():
    x = torch.cat([torch.tensor([-3.0], dtype=torch.float64), 1 + 1e-9 * torch.arange(300, dtype=torch.float64)])[
        :, None
    ]
    assert len(x[1:].float().unique()) < 10
    found = nearest(x, x, 2, exclude=torch.arange(301)).sort(dim=1).values
    assert torch.equal(found[2:300], torch.arange(2, 300)[:, None] + torch.tensor([-1, 1]))
