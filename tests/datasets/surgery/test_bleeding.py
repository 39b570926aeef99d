import numpy as np

from mtal.datasets.surgery.bleeding import Pool, stained
from mtal.datasets.surgery.sheet import Sheet
from mtal.datasets.surgery.workflow import Bleed

BLEED = Bleed(start=1.0, sealed=5.0, washing=6.0, washed=9.0, cause=0)
GRID = np.linspace(-1, 1, 201).astype(np.float32)
Y, X = np.meshgrid(GRID, GRID, indexing="ij")


def pool(wound=(0.0, 0.0)):
    return Pool(np.random.default_rng(0), BLEED, np.array(wound), pace=1.0)


def advance(a_pool, to, suction=None, start=1.0):
    for t in np.arange(start, to + 1e-9, 0.2):
        a_pool.advance(float(t), 0.2, suction)
    return a_pool


def test_starts_dry():
    assert advance(pool(), 1.0).film(X, Y)[0].max() == 0


def test_starts_at_the_wound_and_grows():
    areas = []
    for t in (1.4, 2.0, 3.0, 5.0):
        film = advance(pool((0.2, -0.1)), t).film(X, Y)[0]
        areas.append((film > 0.2).mean())
        if t == 1.4:
            wet = np.hypot(X - 0.2, Y + 0.1)[film > 0]
            assert wet.max() < 0.5
    assert areas == sorted(areas)
    assert areas[0] < areas[-1] / 2


def test_runs_downhill():
    film = advance(pool(), 5.0).film(X, Y)[0]
    assert (film * Y).sum() / film.sum() > 0.03  # y points down


def test_is_washed_off_but_stains():
    washed = advance(pool(), 9.2)
    assert washed.film(X, Y)[0].max() == 0
    assert washed.over
    assert 0.05 < washed.film(X, Y)[1].max() <= 0.201


def test_suction_clears_where_it_works():
    sucked, left = (advance(pool(), 7.0, suction) for suction in (np.array([-0.1, 0.0]), None))
    near = np.hypot(X + 0.1, Y) < 0.1
    assert sucked.film(X, Y)[0][near].mean() < 0.5 * left.film(X, Y)[0][near].mean()


def test_keeps_within_its_square():
    film = advance(pool(), 5.0).film(X, Y)[0]
    assert film[[0, -1]].max() == 0
    assert film[:, [0, -1]].max() == 0


def test_film_is_interpolated():
    a_pool = advance(pool(), 4.0)
    x = np.linspace(0, 0.02, 21, dtype=np.float32)[None]
    film = a_pool.film(x, np.zeros_like(x))[0][0]
    assert len(np.unique(film)) > 5  # there are less than two cells in between


def test_soaks_into_the_tissue():
    def fields(value, channels):
        return np.full((220, 220, channels), value, np.uint8)

    sheet = Sheet(fields(200, 4), fields(128, 3), fields(11, 1)[..., 0], np.zeros((64, 64, 2), np.float32))
    advance(pool((0.4, 0.2)), 9.2).soak(sheet)
    at = sheet.window(np.array([0.38, 0.18]), np.array([0.42, 0.22]))
    red, green, blue = sheet.colour[at][..., :3].mean(axis=(0, 1))
    assert red > 1.1 * green > 1.1 * 0.9 * blue
    np.testing.assert_array_equal(sheet.colour[:20], 200)  # far away nothing is stained
    np.testing.assert_array_equal(sheet.colour[..., 3], 200)


def test_stain_by_hand():
    # exp(−½ · (0.16, 0.85, 0.80))
    np.testing.assert_allclose(
        stained(np.ones((1, 1, 3), np.float32), np.full((1, 1), 0.5, np.float32))[0, 0],
        [0.92312, 0.65377, 0.67032],
        rtol=1e-4,
    )
