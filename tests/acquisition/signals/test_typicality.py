import numpy as np
import pytest
import torch
from agreement import record
from axioms.pool_signals import PoolSignalAxioms, random_view
from scipy.stats import spearmanr
from sklearn.neighbors import NearestNeighbors

from mtal.acquisition.draw import draw
from mtal.acquisition.signals import Typicality, typicality
from mtal.acquisition.signals.pool_view import PoolView


class TestTypicality(PoolSignalAxioms):
    signal = Typicality(k=4)
    drawing = Typicality(k=4, max_reference=10)


def points(frames, features=5, seed=0):
    return torch.randn(frames, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def reference(x, k):
    apart, _ = NearestNeighbors(n_neighbors=k).fit(x).kneighbors()  # without the frame itself
    scale = np.sqrt(np.var(x, axis=0).sum())
    return 1 / (1 + apart.mean(axis=1) / scale)


def test_is_scikit_learns_neighbours():
    x = points(200)
    error = np.abs(Typicality(k=20)(PoolView(x)).numpy() - reference(x.numpy(), 20)).max()
    record("typicality", "scikit-learn NearestNeighbors", error)
    assert error < 1e-12


def test_order_is_that_of_the_inverse_mean_distance():
    x = points(200)
    apart, _ = NearestNeighbors(n_neighbors=20).fit(x.numpy()).kneighbors()
    assert spearmanr(Typicality()(PoolView(x)), 1 / apart.mean(axis=1)).statistic == pytest.approx(1.0)


def test_where_a_cell_holds_all_its_neighbours_are_drawn_frames():
    x = points(30)
    chosen = draw(x, 25, seed=4).numpy()
    values = Typicality(k=3, max_reference=25)(PoolView(x, seed=4))  # two cells around two frames: each is in both
    apart = np.linalg.norm(x.numpy()[:, None] - x.numpy()[None, chosen], axis=2)  # [30, 25]
    apart[chosen, np.arange(25)] = np.inf  # not itself
    mean = np.sort(apart, axis=1)[:, :3].mean(axis=1)
    expected = 1 / (1 + mean / np.sqrt(np.var(x.numpy(), axis=0).sum()))
    np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_beyond_max_reference_neighbouring_frames_of_videos_are_found():
    """A random walk, whose frames are near few others: among drawn ones these are not."""
    x = torch.cumsum(points(3000, 16), dim=0)
    exact = Typicality(k=5)(PoolView(x))
    near = Typicality(k=5, max_reference=800)(PoolView(x))
    assert spearmanr(near, exact).statistic > 0.98
    assert bool((near <= exact + 1e-12).all())  # no neighbour is made up


def test_a_cell_of_few_frames_is_searched_with_the_middles_of_all():
    x = torch.cat([points(400), points(3, seed=1) + 1000])
    values = Typicality(k=4, max_reference=100)(PoolView(x))
    assert values.isfinite().all()
    assert values[400:].max() < values[:400].min()


def test_a_draw_ranks_like_the_whole():
    x = torch.cat([points(1500), points(1500, seed=1) * 3])
    few = Typicality(max_reference=1000)(PoolView(x))
    assert spearmanr(few, Typicality()(PoolView(x))).statistic > 0.95


def test_thick_of_the_pool_is_more_typical_than_its_rim():
    x = torch.cat([points(50) * 0.1, points(5, seed=1) * 0.1 + 9])
    values = Typicality(k=10)(PoolView(x))
    assert values[:50].min() > values[50:].max()


def test_duplicates_are_finite_and_most_typical():
    x = torch.cat([points(10), torch.zeros(4, 5, dtype=torch.float64)])
    values = Typicality(k=3)(PoolView(x))
    assert values[10:].tolist() == [1.0] * 4
    assert values[:10].max() < 1


def test_unit_of_the_features_does_not_matter():
    x = points(30)
    torch.testing.assert_close(Typicality(k=3)(PoolView(x * 100 + 7)), Typicality(k=3)(PoolView(x)))


def test_equal_frames_are_all_typical():
    assert Typicality()(PoolView(torch.full((5, 2), 3.0))).tolist() == [1.0] * 5


def test_lonely_frame_is_not_typical():
    assert Typicality()(PoolView(torch.ones(1, 2))).tolist() == [0.0]


def test_small_pool_takes_all_others_as_neighbours():
    view = random_view(frames=8)
    torch.testing.assert_close(Typicality(k=20)(view), Typicality(k=7)(view), rtol=0, atol=0)


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="k must be 1 neighbour or more, not 0"):
        Typicality(k=0)
    with pytest.raises(ValueError, match="max_reference must be above k = 20, not 20"):
        Typicality(max_reference=20)


def test_cells_are_no_more_than_every_frame_can_be_compared_with(monkeypatch):
    monkeypatch.setattr(typicality, "_MIDDLES", 3)
    cells = typicality._cells(torch.randn(400, 4, generator=torch.Generator().manual_seed(0)), 20, seed=0)
    assert len(cells) <= 3
    assert torch.cat([queries for queries, _, _ in cells]).sort().values.equal(torch.arange(400))
