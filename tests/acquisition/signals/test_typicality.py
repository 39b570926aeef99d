import numpy as np
import pytest
import torch
from agreement import record
from axioms.pool_signals import PoolSignalAxioms, random_view
from scipy.stats import spearmanr
from sklearn.neighbors import NearestNeighbors

from mtal.acquisition.draw import draw, draw_order
from mtal.acquisition.neighbours import nearest
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


def test_of_a_cell_that_cannot_be_divided_again_frames_are_drawn(monkeypatch):
    monkeypatch.setattr(typicality, "_LEVELS", 1)
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


def walks(frames, features, length):
    """Videos: random walks that begin at one of 20 scenes."""
    generator = torch.Generator().manual_seed(0)
    scenes = 3 * torch.randn(20, features, generator=generator)
    steps = torch.randn(frames // length, length, features, generator=generator) * 2 / length**0.5
    return (scenes[torch.arange(len(steps)) % 20][:, None] + steps.cumsum(dim=1)).flatten(0, 1)


def cells_of(x, most=200, fewest=4):
    return typicality._cells(x, draw_order(x, 0).argsort(), 25, most, fewest, seed=0)


def test_every_frame_is_looked_up_in_a_single_cell_and_is_in_a_cell_once():
    cells = cells_of(walks(6000, 8, 100))
    assert torch.cat([members[own] for members, own in cells]).sort().values.equal(torch.arange(6000))
    assert all(len(members.unique()) == len(members) for members, _ in cells)


def test_cells_that_hold_too_many_frames_are_divided_again(monkeypatch):
    monkeypatch.setattr(typicality, "_MIDDLES", 16)
    x = walks(6000, 8, 100)
    assert max(len(members) for members, _ in cells_of(x)) <= 200
    monkeypatch.setattr(typicality, "_LEVELS", 1)
    assert max(len(members) for members, _ in cells_of(x)) > 400


def test_a_frame_is_compared_with_no_more_middles_in_a_larger_pool(monkeypatch):
    seen = []

    def counted(queries, references, k, **options):
        seen.append(len(references))
        return nearest(queries, references, k, **options)

    monkeypatch.setattr(typicality, "_MIDDLES", 16)
    monkeypatch.setattr(typicality, "nearest", counted)
    cells_of(walks(6000, 8, 100))
    assert max(seen) == 16  # and not 6000 / 25
    assert len(seen) > 1


@pytest.mark.parametrize("pool", [lambda n: walks(n, 8, 100), lambda n: points(n, 8)], ids=["walks", "gaussian"])
def test_a_frame_is_compared_with_no_more_members_in_a_larger_pool(monkeypatch, pool):
    monkeypatch.setattr(typicality, "_MIDDLES", 16)

    def members_per_frame(frames):
        return sum(len(members) * int(own.sum()) for members, own in cells_of(pool(frames))) / frames

    assert members_per_frame(32_000) < 1.15 * members_per_frame(2000)


def test_copies_of_one_frame_end_the_division_and_are_most_typical():
    x = torch.cat([points(300), torch.full((300, 5), 0.5, dtype=torch.float64)])
    values = Typicality(k=3, max_reference=100)(PoolView(x))
    assert values[300:].tolist() == [1.0] * 300
    assert values[:300].max() < 1


@pytest.mark.parametrize(
    ("pool", "correlation"),
    [
        (
            lambda: torch.randn(20, 500, 128, generator=torch.Generator().manual_seed(0)).cumsum(dim=1).flatten(0, 1),
            0.98,
        ),
        (lambda: points(10_000, 128).float(), 0.92),
    ],
    ids=["walks", "gaussian"],
)
def test_rank_correlation_with_the_exact_value(pool, correlation):
    x = pool()
    exact = Typicality(max_reference=len(x))(PoolView(x))
    assert spearmanr(Typicality()(PoolView(x)), exact).statistic > correlation
