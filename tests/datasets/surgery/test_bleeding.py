import numpy as np
import pytest

from mtal.datasets.surgery.bleeding import Pool
from mtal.datasets.surgery.workflow import Bleed

BLEED = Bleed(start=1.0, sealed=5.0, washing=6.0, washed=9.0, cause=0)
GRID = np.linspace(-1, 1, 201).astype(np.float32)
Y, X = np.meshgrid(GRID, GRID, indexing="ij")


def pool(wound=(0.0, 0.0)):
    return Pool(np.random.default_rng(0), BLEED, np.array(wound), pace=1.0)


def advance(a_pool, to, rinse=None, start=1.0):
    for t in np.arange(start, to + 1e-9, 0.2):
        a_pool.advance(float(t), 0.2, rinse)
    return a_pool


def test_starts_dry():
    assert advance(pool(), 1.0).film(X, Y).max() == 0


def test_starts_at_the_wound_and_grows():
    areas = []
    for t in (1.4, 2.0, 3.0, 5.0):
        film = advance(pool((0.2, -0.1)), t).film(X, Y)
        areas.append((film > 0.2).mean())
        if t == 1.4:
            wet = np.hypot(X - 0.2, Y + 0.1)[film > 0]
            assert wet.max() < 0.5
    assert areas == sorted(areas)
    assert areas[0] < areas[-1] / 2


def test_runs_downhill():
    film = advance(pool(), 5.0).film(X, Y)
    assert (film * Y).sum() / film.sum() > 0.03  # y points down


def test_is_washed_off_but_stains():
    washed = advance(pool(), 9.2)
    assert washed.film(X, Y).max() == 0
    assert 0.05 < washed.stain(X, Y).max() <= 0.5


def test_irrigator_clears_where_it_works():
    rinsed, left = (advance(pool(), 7.0, rinse) for rinse in (np.array([-0.1, 0.0]), None))
    near = np.hypot(X + 0.1, Y) < 0.1
    assert rinsed.film(X, Y)[near].mean() < 0.5 * left.film(X, Y)[near].mean()


def test_keeps_within_its_square():
    film = advance(pool(), 5.0).film(X, Y)
    assert film[[0, -1]].max() == 0
    assert film[:, [0, -1]].max() == 0


def test_film_is_interpolated():
    a_pool = advance(pool(), 4.0)
    at = [a_pool.film(np.array([x], np.float32), np.zeros(1, np.float32))[0] for x in (0.0, 0.001, 0.002)]
    assert at[1] == pytest.approx((at[0] + at[2]) / 2, abs=1e-3)
