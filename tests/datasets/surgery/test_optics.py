import numpy as np
import pytest

from mtal.datasets.surgery.appearance import Appearance
from mtal.datasets.surgery.camera import View
from mtal.datasets.surgery.optics import Optics
from mtal.datasets.surgery.scene import Tissue

SIZE = 96
STILL = np.zeros(2)


@pytest.fixture
def optics():
    rng = np.random.default_rng(3)
    return Optics(rng, Appearance.draw(rng, 0.5), SIZE, 0.5)


def gray(value=0.4):
    return np.full((SIZE, SIZE, 3), value, np.float32)


def checkers():
    board = (np.indices((SIZE, SIZE)) // 8).sum(axis=0) % 2
    return np.repeat(board[..., None], 3, axis=2).astype(np.float32) * 0.5 + 0.1


def test_light_is_brightest_where_a_surface_mirrors_the_lamp(optics):
    centres = ((np.arange(SIZE) + 0.5) / SIZE * 2 - 1).astype(np.float32)
    x, y = np.meshgrid(centres, centres)
    flat = np.zeros((SIZE, SIZE), np.float32)
    view = View(np.zeros(2), 1.0, 0.0)

    def lit(gloss):
        tissue = Tissue(
            np.full((SIZE, SIZE, 3), 100, np.float32), flat, flat, flat + gloss, flat.astype(np.uint8), x, y
        )
        return optics.light(tissue, view)

    shine = (lit(1.0) - lit(0.0))[..., 0]
    row, column = np.unravel_index(shine.argmax(), shine.shape)
    # the half-way direction is met at (0.12, −0.10), a little nearer to where the lamp is brightest
    assert (centres[column], centres[row]) == pytest.approx((0.12, -0.10), abs=0.08)


@pytest.mark.parametrize("density", [0.3, 1.0])
def test_smoke_takes_contrast(optics, density):
    clear, smoky = checkers(), checkers()
    optics.smoke(smoky, density, 1.0)
    assert smoky.std() < clear.std()
    assert smoky.max() <= 1


def test_fog_is_milky_and_soft(optics):
    fogged = optics.fog(checkers(), 0.9)
    assert fogged.std() < 0.7 * checkers().std()
    assert fogged.mean() > checkers().mean()


def test_withdrawal_ends_in_a_picture_without_organs(optics):
    pictures, shares = [], []
    for out in (0.0, 0.3, 0.6, 1.0):
        image, mask = gray(), np.full((SIZE, SIZE), 21, np.uint8)
        optics.withdraw(image, mask, out, 50)
        pictures.append(image)
        shares.append((mask == 50).mean())
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert 0.1 < shares[1] < 0.9
    assert shares[-1] == 1
    np.testing.assert_allclose(pictures[0], gray())
    assert np.abs(pictures[-1] - gray()).mean() > 0.05


def test_the_rim_is_dark_and_background(optics):
    mask = np.full((SIZE, SIZE), 21, np.uint8)
    optics.rim(mask, 50)
    recorded = optics.record(gray(), 0.0, STILL)
    assert recorded.dtype == np.uint8
    if (mask == 50).any():
        assert recorded[mask == 50].mean() < 25
    assert recorded[mask == 21].mean() > 60


def test_moving_the_camera_blurs_along_its_way(optics):
    still, moving = (optics.record(checkers(), 0.0, np.array([v, 0.0])).astype(float) for v in (0.0, 2.5))
    middle = slice(20, -20), slice(20, -20)
    across = [np.square(np.diff(p[..., 0][middle], axis=1)).mean() for p in (still, moving)]
    down = [np.square(np.diff(p[..., 0][middle], axis=0)).mean() for p in (still, moving)]
    assert across[1] < 0.75 * across[0]
    assert across[1] / across[0] < 0.9 * down[1] / down[0]
