import numpy as np
import pytest

from mtal.datasets.surgery.sheet import EXTENT, Painter, Sheet, cone, dome, ellipse, soft, tint, tube

TEXELS = 440  # a hundred to the unit


def grid():
    centres = ((np.arange(TEXELS, dtype=np.float32) + 0.5) / 100) - np.float32(EXTENT)
    return np.meshgrid(centres, centres)


def sheet():
    rng = np.random.default_rng(0)
    square = (TEXELS, TEXELS)
    return Sheet(
        rng.integers(0, 256, (*square, 4), np.uint8),
        rng.integers(0, 256, (*square, 3), np.uint8),
        rng.integers(0, 13, square, np.uint8),
        np.zeros((64, 64, 2), np.float32),
    )


class TestShapes:
    def test_distances_by_hand(self):
        x, y = np.array([3.0], np.float32), np.array([4.0], np.float32)
        assert ellipse(x, y, np.zeros(2), (2.0, 2.0), 0.7)[0] == pytest.approx(3)  # a circle: 5 − 2
        assert ellipse(x, y, np.array([3.0, 0.0]), (4.0, 1.0), np.pi / 2)[0] == pytest.approx(0, abs=1e-6)  # its vertex
        assert cone(x, y, np.array([3.0, 0.0]), np.array([3.0, 2.0]), 0.5, 1.5)[0] == pytest.approx(2 - 1.5)
        assert tube(x, y, np.array([[0.0, 0.0], [0.0, 4.0], [2.0, 4.0]]), 0.25)[0] == pytest.approx(0.75)

    def test_cover_is_half_on_the_border(self):
        assert soft(np.array([-1.0, -0.1, 0.0, 0.05, 0.1, 1.0]), 0.1) == pytest.approx([1, 1, 0.5, 0.25, 0, 0])

    def test_dome_is_flat_outside(self):
        assert dome(np.array([1.0, 0.0, -0.1]), 0.1, 2.0) == pytest.approx([0, 0, 2 * (1 - np.exp(-1))])

    def test_tint_multiplies(self):
        made = tint(np.array([0.5, 0.5, 0.5], np.float32), (np.full((1, 1), 2, np.float32), (0.1, 0.0, -0.1)))
        np.testing.assert_allclose(made[0, 0], 0.5 * np.exp([0.2, 0, -0.2]), rtol=1e-5)


class TestLook:
    def test_at_texel_centres_is_the_texel(self):
        a_sheet, (x, y) = sheet(), grid()
        seen = a_sheet.look(x, y)
        for name in ("organs", "colour", "relief"):
            error = np.abs(getattr(seen, name).astype(int) - getattr(a_sheet, name))
            assert error.max() <= (0 if name == "organs" else 2)  # the map has 1/32 texel

    def test_beyond_the_plane_the_rim_goes_on(self):
        a_sheet = sheet()
        x, y = np.array([[9.0]], np.float32), np.array([[-9.0]], np.float32)
        assert a_sheet.look(x, y).organs[0, 0] == a_sheet.organs[0, -1]


class TestMark:
    def test_paints_an_ellipse(self):
        a_sheet = sheet()
        a_sheet.colour[:] = 0
        a_sheet.mark(np.array([0.1, 0.2]), (0.3, 0.1), 0.5, np.array([1, 0, 0.5], np.float32), 1.0)
        area = (a_sheet.colour[..., 0] / 255).sum() / 100**2
        assert area == pytest.approx(np.pi * 0.3 * 0.1, rel=0.03)
        assert a_sheet.colour[242, 231].tolist()[:3] == pytest.approx([255, 0, 127], abs=1)  # (0.1, 0.2) itself
        assert not a_sheet.colour[..., 3].any()


class TestPainter:
    def test_masks_end_where_an_organ_covers_half(self):
        x, y = grid()
        painter = Painter(TEXELS)
        distance = ellipse(x, y, np.array([0.3, -0.2]), (0.8, 0.5), 0.3)
        painter.paint("liver", distance, np.ones((*x.shape, 3), np.float32), np.zeros_like(x), 0.5, 0.1, 0.02)
        made = painter.finish()
        np.testing.assert_array_equal(made.organs == 21, distance < 0)
        np.testing.assert_array_equal(made.colour[..., 3] > 127, distance < 0)

    def test_slopes_of_a_ramp(self):
        x, y = grid()
        painter = Painter(TEXELS)
        ramp = 0.5 * x - 0.25 * y
        painter.paint("fat", np.full_like(x, -1), np.ones((*x.shape, 3), np.float32), ramp, 1.0, 0.0, 0.02)
        relief = painter.finish().relief[10:-10, 10:-10].astype(float)  # 128 + 64 · slope
        np.testing.assert_allclose(relief[..., 0], 160, atol=1)
        np.testing.assert_allclose(relief[..., 1], 112, atol=1)

    def test_a_copy_is_painted_alone(self):
        x, _ = grid()
        painter = Painter(TEXELS)
        painter.copy().paint("fat", np.full_like(x, -1), np.ones((*x.shape, 3), np.float32), x, 1.0, 0.0, 0.02)
        assert not painter.alpha.any()


def test_pasting_what_was_cropped_changes_nothing_else():
    a_sheet = sheet()
    before = a_sheet.organs.copy()
    window = a_sheet.window(np.array([0.0, 0.0]), np.array([0.5, 0.25]))
    assert (window[0].stop - window[0].start, window[1].stop - window[1].start) == (25, 50)
    kept = a_sheet.crop(window)
    a_sheet.organs[window] = 99
    where = np.zeros((25, 50), bool)
    where[:, :10] = True
    a_sheet.paste(kept, window, where)
    assert (a_sheet.organs == 99).sum() == 25 * 40
    np.testing.assert_array_equal(a_sheet.organs[a_sheet.organs != 99], before[a_sheet.organs != 99])
