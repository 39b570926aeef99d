import numpy as np
import pytest
from miniature.faulty_pictures import tissue
from PIL import Image, ImageFilter
from scipy import ndimage

from mtal.frames.picture_quality import brightness, few_colours, flesh, reduced, sharpness


def picture(*blocks: tuple[tuple[int, int, int], int]) -> np.ndarray:
    """``[10, 10, 3]`` with so many pixels of each colour."""
    pixels = [color for color, count in blocks for _ in range(count)]
    return np.array(pixels, dtype=np.uint8).reshape(10, 10, 3)


class TestReduced:
    @pytest.mark.parametrize(("size", "expected"), [((256, 512), (128, 256)), ((1080, 1920), (128, 228))])
    def test_short_edge(self, size, expected):
        assert reduced(np.zeros((*size, 3), dtype=np.uint8)).shape == (*expected, 3)

    def test_averages(self):
        checkers = np.indices((256, 256)).sum(axis=0)[..., None] % 2 * np.array([200, 100, 0])
        assert (reduced(checkers.astype(np.uint8)) == (100, 50, 0)).all()

    def test_small_pictures_stay(self):
        small = np.random.default_rng(0).integers(0, 255, (64, 80, 3), dtype=np.uint8)
        assert reduced(small) is small


class TestBrightness:
    def test_largest_channel(self):
        assert brightness(picture(((0, 0, 204), 100))) == pytest.approx(0.8)

    def test_a_small_reflection_does_not_count(self):
        assert brightness(picture(((10, 10, 10), 96), ((255, 255, 255), 4))) == pytest.approx(10 / 255)

    def test_nor_does_a_wide_border(self):
        assert brightness(picture(((0, 0, 0), 90), ((102, 0, 0), 10))) == pytest.approx(0.4)


class TestFewColours:
    def test_by_hand(self):
        # lit: 20 + 20 + 10 + 10 + 5 + 5 of 70; the first four are 60
        blocks = [((0, 0, 0), 30), ((40, 0, 0), 20), ((80, 0, 0), 20), ((120, 0, 0), 10), ((160, 0, 0), 10)]
        assert few_colours(picture(*blocks, ((200, 0, 0), 5), ((240, 0, 0), 5))) == pytest.approx(60 / 70)

    def test_channels_are_told_apart(self):
        colors = np.eye(3, dtype=int)[:, None] * np.array([50, 100, 150, 200])[:, None]  # [3, 4, 3]: twelve colours
        blocks = [(tuple(c), 8) for c in colors.reshape(12, 3).tolist()]
        assert few_colours(picture(*blocks, ((0, 0, 0), 4))) == pytest.approx(4 / 12)

    def test_contrast_does_not_matter(self):
        ramp = np.tile(np.arange(128, dtype=np.uint8), (128, 1))
        full, low = (np.stack([a, a.T, a], axis=2) for a in (40 + ramp, 100 + ramp // 2))
        assert few_colours(low) == pytest.approx(few_colours(full), abs=0.005)
        assert few_colours(full) < 0.01

    def test_codec_noise_on_a_flat_picture(self):
        noise = np.random.default_rng(0).choice([-1, 0, 0, 0, 1], (128, 128, 1))
        assert few_colours((np.array([20, 30, 160]) + noise).astype(np.uint8)) > 0.9

    def test_nothing_lit(self):
        assert few_colours(picture(((5, 5, 5), 100))) == 0


class TestSharpness:
    def test_agrees_with_scipy(self):
        noise = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
        luma = noise @ np.array([0.299, 0.587, 0.114])
        expected = ndimage.laplace(luma)[1:-1, 1:-1].var() / luma.var()
        assert sharpness(noise) == pytest.approx(expected)

    def test_neither_contrast_nor_exposure_matter(self):
        noise = np.random.default_rng(0).integers(0, 255, (128, 128, 3)).astype(float)
        assert sharpness(100 + 0.2 * noise) == pytest.approx(sharpness(noise))

    def test_falls_with_blur(self):
        noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (128, 128, 3), dtype=np.uint8))
        blurred = [sharpness(np.asarray(noise.filter(ImageFilter.GaussianBlur(s)))) for s in (0, 1, 2, 4)]
        assert blurred == sorted(blurred, reverse=True)
        assert blurred[-1] < 0.01 * blurred[0]

    def test_flat(self):
        assert sharpness(picture(((90, 10, 10), 100))) == 0


class TestFlesh:
    """Eighty pixels of the colour in question, and twenty of shadow that is just lit: no veil to take off."""

    @pytest.mark.parametrize("color", [(180, 60, 50), (200, 170, 90), (90, 10, 10), (230, 180, 170), (100, 84, 80)])
    def test_colours_of_tissue(self, color):
        assert flesh(picture((color, 80), ((26, 0, 26), 20))) == pytest.approx(0.8)

    @pytest.mark.parametrize("color", [(40, 90, 150), (30, 110, 90), (200, 200, 200), (140, 142, 148), (100, 98, 86)])
    def test_colours_of_rooms_and_tools(self, color):
        assert flesh(picture((color, 80), ((26, 0, 26), 20))) == 0

    def test_share_of_what_is_lit(self):
        assert flesh(picture(((20, 5, 5), 60), ((180, 60, 50), 10), ((40, 90, 150), 30))) == pytest.approx(0.25)

    def test_smoke_is_taken_off(self):
        clear = tissue(0)
        smoke = (0.3 * clear + 130).astype(np.uint8)
        assert flesh(smoke) == pytest.approx(flesh(clear[clear.max(axis=2) >= 26][None]), abs=0.1)

    def test_nothing_lit(self):
        assert flesh(picture(((5, 5, 5), 100))) == 1
