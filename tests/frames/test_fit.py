"""Windows by hand, pictures and masks against crops and padding made with NumPy, and pictures of endoscopes."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mtal.frames.cache import FrameCache
from mtal.frames.fit import ALL, Box, content_of, fitted, fitted_mask, padding, shares_inside, window_for
from mtal.frames.image_folder import folder_source
from mtal.frames.window import WHOLE, Window

CIRCLE = Box(0.1, 0.25, 0.9, 0.7)  # of a frame of 100 x 200, thus 80 x 90 pixels


@pytest.mark.parametrize(
    ("fit", "frame", "size", "content", "expected"),
    [
        ("stretch", (480, 854), (128, 128), CIRCLE, WHOLE),
        ("letterbox", (100, 200), (50, 50), CIRCLE, Window(-0.5, 0, 2, 1)),
        ("letterbox", (200, 100), (50, 100), ALL, Window(0, -1.5, 1, 4)),
        ("letterbox", (100, 200), (30, 60), ALL, WHOLE),
        # 90 x 90 pixels around rows 10 to 90; 80 x 160 around columns 50 to 140
        ("content", (100, 200), (50, 50), CIRCLE, Window(0.05, 0.25, 0.9, 0.45)),
        ("content", (100, 200), (50, 100), CIRCLE, Window(0.1, 0.075, 0.8, 0.8)),
        # moved into the frame: 100 x 100 around columns 0 to 60
        ("content", (100, 200), (50, 50), Box(0, 0, 1, 0.3), Window(0, 0, 1, 0.5)),
        ("content", (100, 200), (50, 50), Box(0, 0, 1, 1), Window(-0.5, 0, 2, 1)),
    ],
)
def test_windows(fit, frame, size, content, expected):
    assert tuple(window_for(fit, frame, size, content)) == pytest.approx(tuple(expected))


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_pictures_and_masks_are_cut_and_padded_alike(picture):
    part = Window(0.25, 0.5, 0.5, 0.25)  # 20 x 15 pixels
    np.testing.assert_array_equal(fitted(picture, (20, 15), part), picture[10:30, 30:45])
    bars = Window(-0.25, 0, 1.5, 1)
    np.testing.assert_array_equal(fitted(picture, (60, 60), bars), np.pad(picture, ((10, 10), (0, 0), (0, 0))))
    mask = picture[..., 0] % 3
    np.testing.assert_array_equal(fitted_mask(mask, (20, 15), part, beyond=255), mask[10:30, 30:45])
    expected = np.pad(mask, ((10, 10), (0, 0)), constant_values=255)
    np.testing.assert_array_equal(fitted_mask(mask, (60, 60), bars, beyond=255), expected)
    layers = np.stack([mask, mask])
    np.testing.assert_array_equal(fitted_mask(layers, (60, 60), bars, beyond=255)[1], expected)
    np.testing.assert_array_equal(padding((60, 60), bars), expected == 255)
    assert not padding((7, 9)).any()


def test_stretching_is_what_it_was(picture):
    small = np.asarray(Image.fromarray(picture).resize((24, 32), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(fitted(picture, (32, 24)), small)


def test_shares_of_cells_on_the_frame():
    # six rows over 1.5 frames: the first and the last are beyond it, wholly
    np.testing.assert_allclose(shares_inside((6, 1), Window(-0.25, 0, 1.5, 1))[:, 0], [0, 1, 1, 1, 1, 0], atol=1e-6)
    np.testing.assert_allclose(shares_inside((3, 2), Window(-0.25, 0, 1.5, 1))[:, 1], [0.5, 1, 0.5])
    np.testing.assert_allclose(shares_inside((4, 4), Window(0.1, 0.1, 0.3, 0.3)), 1, atol=1e-6)


def endoscope(number, height=270, width=480, left=60, right=420, writing=True):
    """A circle cut at top and bottom, dark at its rim and with a shadow that moves; writing beside it."""
    y, x = np.mgrid[:height, :width] + 0.5
    radius = (right - left) / 2
    away = np.hypot(y - height / 2, x - (left + right) / 2) / radius
    light = np.where(away < 1, 140 - 60 * away**2, 6)
    light = np.where((away < 1) & (np.hypot(y - 135, x - 100 - 40 * number) < 50), 8, light)
    picture = np.random.default_rng(number).normal(light, 3)
    if writing:
        picture[20:23, 5:50] = picture[240:262:2, 440:476] = 230
    return picture.clip(0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)


def test_content_is_the_circle_of_the_endoscope():
    found = content_of([endoscope(k) for k in range(7)])
    assert found == pytest.approx((0, 60 / 480, 1, 420 / 480), abs=0.015)


@pytest.mark.parametrize("level", [0, 120])
def test_content_of_a_frame_without_border_is_all_of_it(level):
    pictures = [np.full((54, 96, 3), level, dtype=np.uint8)] * 3
    assert content_of(pictures) == ALL


def test_a_light_in_the_dark_is_no_picture():
    picture = np.zeros((90, 160, 3), dtype=np.uint8)
    picture[40:50, 60:90] = 200
    assert content_of([picture]) == ALL


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    for number in range(6):  # two recordings in one folder
        left, right = (60, 420) if number < 3 else (120, 360)
        Image.fromarray(endoscope(number, left=left, right=right)).save(folder / f"{number}.png")
    source = folder_source(folder)
    return pd.DataFrame({"source": source, "frame": range(6), "video": ["a"] * 3 + ["b"] * 3})


class TestCache:
    def test_every_recording_is_cut_by_itself_and_found_again(self, rows, tmp_path, monkeypatch):
        frames = FrameCache(tmp_path).get(rows, (64, 64), progress=False, fit="content")
        widths = frames.windows[:, 3]
        assert widths[:3] == pytest.approx(360 / 480, abs=0.02)
        assert widths[3:] == pytest.approx(240 / 480, abs=0.02)
        picture = np.asarray(Image.open(f"{rows['source'][0].split('#')[0]}/4.png"))
        np.testing.assert_array_equal(frames[[4]][0], fitted(picture, (64, 64), Window(*frames.windows[4])))
        monkeypatch.setattr("mtal.frames.cache.open_reader", None)  # nothing is decoded again
        again = FrameCache(tmp_path).get(rows.iloc[[5, 4, 3, 2, 1, 0]], (64, 64), progress=False, fit="content")
        np.testing.assert_array_equal(again.windows, frames.windows[::-1])

    def test_fits_have_keys_of_their_own(self, rows, tmp_path):
        cache = FrameCache(tmp_path)
        keys = {fit: cache.get(rows, (32, 32), False, fit).key for fit in ("stretch", "letterbox", "content")}
        assert len(set(keys.values())) == 3
        assert cache.get(rows, (32, 32), False).windows is None

    def test_frames_without_their_windows_are_decoded_again(self, rows, tmp_path):
        cache = FrameCache(tmp_path)
        before = cache.get(rows, (32, 32), False, "letterbox")
        (kept,) = tmp_path.glob("*.windows.npy")
        kept.write_bytes(b"")
        after = cache.get(rows, (32, 32), False, "letterbox")
        np.testing.assert_array_equal(after.windows, before.windows)
        assert after.windows == pytest.approx(np.tile([-7 / 18, 0, 16 / 9, 1], (6, 1)))

    def test_no_such_fit(self, rows, tmp_path):
        with pytest.raises(ValueError, match=r"frames\.fit must be stretch, letterbox or content, not 'letterbocks'"):
            FrameCache(tmp_path).get(rows, (32, 32), fit="letterbocks")
