"""A square that moves over a ground that does not, so that the flow is known."""

import cv2
import numpy as np
import pytest

from mtal.datasets.label_map import IGNORE
from mtal.learning.optical_flow import OpticalFlow, carry

H, W, SIDE = 64, 80, 24
STEP = (2, 3)  # pixels down and right from picture to picture


def texture(seed: int, *shape: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 255, (*shape, 3)).astype(np.float32)
    return np.clip(128 + 3 * (cv2.GaussianBlur(noise, (0, 0), 1.5) - 128), 0, 255).astype(np.uint8)


GROUND, SQUARE = texture(0, H, W), texture(1, SIDE, SIDE)


def scene(k: int) -> tuple[np.ndarray, np.ndarray]:
    """Picture ``[H, W, 3]`` and mask ``[H, W]``: 1 on the square, 255 in two rows that nobody annotates."""
    top, left = 10 + STEP[0] * k, 12 + STEP[1] * k
    picture, mask = GROUND.copy(), np.zeros((H, W), dtype=np.uint8)
    picture[top : top + SIDE, left : left + SIDE] = SQUARE
    mask[top : top + SIDE, left : left + SIDE] = 1
    mask[:2] = IGNORE
    return picture, mask


class TestCarry:
    def test_a_known_shift(self):
        mask = np.random.default_rng(0).integers(0, 5, (H, W), dtype=np.uint8)
        back = np.broadcast_to(np.float32([-3, -2]), (H, W, 2))
        found = carry(mask, back, -back, tolerance=0.1)
        np.testing.assert_array_equal(found[2:, 3:], mask[:-2, :-3])
        assert (found[:2] == IGNORE).all()
        assert (found[:, :3] == IGNORE).all()

    def test_ways_that_do_not_meet(self):
        mask = np.ones((2, H, W), dtype=np.uint8)  # layers
        back, forth = np.zeros((H, W, 2), np.float32), np.zeros((H, W, 2), np.float32)
        forth[:, 40:] = (3, 4)  # 5 pixels off
        for tolerance, lost in ((4.9, True), (5.0, False)):
            found = carry(mask, back, forth, tolerance)
            assert (found[:, :, :40] == 1).all()
            assert (found[:, :, 40:] == IGNORE).all() == lost


class TestOpticalFlow:
    @pytest.mark.parametrize("way", [1, -1])
    def test_follows_the_square_and_says_where_it_cannot_tell(self, way):
        pictures, masks = map(
            np.stack, zip(*[scene(k) for k in (range(4) if way > 0 else range(3, -1, -1))], strict=True)
        )
        carried = OpticalFlow()(pictures, masks[0])
        assert carried.shape == (3, H, W)
        for found, truth in zip(carried, masks[1:], strict=True):
            told = found != IGNORE
            assert told[2:].mean() > 0.85
            right = told & (found == truth)
            assert right[2:].sum() / told[2:].sum() > 0.99
            square = (found == 1) & (truth == 1)
            assert square.sum() / ((found == 1) | ((truth == 1) & told)).sum() > 0.95
            assert (found[:1] == IGNORE).all()  # what nobody annotated stays so

    def test_ground_that_was_hidden_is_not_labelled(self):
        (before, mask), (after, truth) = scene(0), scene(2)
        carried = OpticalFlow()(np.stack([before, after]), mask)[0]
        uncovered = (mask == 1) & (truth == 0)
        assert (carried[uncovered] == IGNORE).mean() > 0.9
        assert (carried[uncovered] == 1).mean() < 0.1

    def test_another_scene_is_not_labelled(self):
        picture, mask = scene(0)
        carried = OpticalFlow()(np.stack([picture, texture(5, H, W)]), mask)
        assert (carried == IGNORE).mean() > 0.95

    def test_same_whatever_the_threads(self):
        pictures = np.stack([scene(0)[0], scene(1)[0]])
        before = cv2.getNumThreads()
        try:
            found = []
            for threads in (1, 4):
                cv2.setNumThreads(threads)
                found.append(OpticalFlow()(pictures, scene(0)[1]))
                assert cv2.getNumThreads() == threads
        finally:
            cv2.setNumThreads(before)
        np.testing.assert_array_equal(*found)

    def test_pictures_that_are_too_small(self):
        with pytest.raises(
            ValueError, match="optical flow needs pictures of at least 16 pixels along each side, not 8 x"
        ):
            OpticalFlow()(np.zeros((2, 8, 80, 3), np.uint8), np.zeros((8, 80), np.uint8))

    def test_pixels_that_change_their_colour(self):
        picture, mask = scene(0)
        bright = picture.copy()
        bright[40:50, 60:70] = np.where(picture[40:50, 60:70] > 127, 255, 254)
        found = OpticalFlow()(np.stack([picture, bright]), mask)[0]
        assert (found[42:48, 62:68] == IGNORE).all()
        assert (found[20:30, 5:10] == 0).all()
        any_colour = OpticalFlow(tolerance=1000.0, colour=255.0)(np.stack([picture, bright]), mask)[0]
        assert (any_colour[4:60, 4:76] != IGNORE).mean() > 0.99

    @pytest.mark.parametrize("wrong", [-1, "1", float("nan"), True])
    def test_colour(self, wrong):
        with pytest.raises(ValueError, match=r"trainer.propagation.by.colour must be a number of gray levels"):
            OpticalFlow(colour=wrong)

    @pytest.mark.parametrize("wrong", [-1, "1", float("nan"), True])
    def test_tolerance(self, wrong):
        with pytest.raises(ValueError, match=r"trainer.propagation.by.tolerance must be a number of pixels"):
            OpticalFlow(wrong)

    def test_both(self):
        with pytest.raises(ValueError, match=r"^2 wrong options:\n.*tolerance must.*\n.*colour must.*$"):
            OpticalFlow(-1, -1)
