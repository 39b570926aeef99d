from pathlib import Path

import numpy as np
import pytest
from miniature import faulty_pictures
from PIL import Image

from mtal.datasets.surgery.write import SurgeryArguments, write_surgeries
from mtal.frames.hygiene import REASONS, Hygiene
from mtal.frames.image_folder import ImageFolder
from mtal.frames.reader import open_reader

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "vocalfolds"
FAULTY = {
    "near_black": faulty_pictures.dark,
    "overlay": faulty_pictures.menu,
    "blurred": faulty_pictures.out_of_focus,
    "out_of_body": faulty_pictures.operating_room,
}


def reasons(pictures, hygiene=None):
    inspect = (hygiene or Hygiene()).inspector()
    faults = [inspect(picture) for picture in pictures]
    return [fault.reason if fault else None for fault in faults]


class TestReasons:
    @pytest.mark.parametrize("reason", FAULTY)
    @pytest.mark.parametrize("seed", range(4))
    def test_faulty_pictures(self, reason, seed):
        fault = Hygiene().inspector()(FAULTY[reason](seed))
        assert fault is not None
        assert fault.reason == reason
        assert fault.threshold == getattr(Hygiene(), reason)
        assert (fault.value > fault.threshold) == (reason == "overlay")

    @pytest.mark.parametrize("reason", FAULTY)
    def test_null_switches_a_reason_off(self, reason):
        fault = Hygiene(**{reason: None}).inspector()(FAULTY[reason](0))
        assert fault is None or fault.reason != reason

    @pytest.mark.parametrize("size", [(120, 160), (240, 320), (480, 854), (1080, 1920)])
    def test_tissue_is_kept_at_any_resolution(self, size):
        assert reasons(faulty_pictures.tissue(k, size) for k in range(4)) == [None] * 4

    def test_smoke_and_dim_light_are_kept(self):
        pictures = [faulty_pictures.tissue(k) for k in range(4)]
        smoke = [(0.45 * p + 0.55 * np.array([175, 165, 160])).astype(np.uint8) for p in pictures]
        dim = [(0.4 * p).astype(np.uint8) for p in pictures]
        assert reasons(smoke) == reasons(dim) == [None] * 4


class TestDuplicates:
    def test_near_duplicates_of_what_was_kept(self):
        generator = np.random.default_rng(0)

        def again(seed):
            noise = generator.normal(0, 3, (*faulty_pictures.SIZE, 3))
            return (faulty_pictures.tissue(seed) + noise).clip(0, 255).astype(np.uint8)

        seen = reasons([again(k) for k in (0, 0, 1, 0, 1, 2, 2)])
        assert seen == [None, "near_duplicate", None, "near_duplicate", "near_duplicate", None, "near_duplicate"]

    def test_frames_dropped_for_another_reason_are_not_remembered(self):
        dark = faulty_pictures.dark(0)
        assert reasons([dark, dark, faulty_pictures.tissue(0)]) == ["near_black", "near_black", None]

    def test_each_video_for_itself(self):
        hygiene = Hygiene()
        assert [hygiene.inspector()(faulty_pictures.tissue(0)) for _ in range(2)] == [None, None]


class TestClean:
    """What must not be dropped."""

    def test_synthetic_surgery(self, tmp_path):
        write_surgeries(tmp_path, SurgeryArguments(patients=1, seconds=40.0, fps=5, size=160, seed=1), workers=1)
        (video,) = tmp_path.rglob("*.mp4")
        with open_reader(video, "pyav") as reader:
            seen = reasons(reader.read(range(0, len(reader), 5)))
        allowed = {None, "near_duplicate"}
        # the camera may leave the body, be fogged or stand still; the rest must stay
        assert sum(r in allowed for r in seen) >= 0.9 * len(seen)

    @pytest.mark.skipif(not REAL.is_dir(), reason="the vocal-fold frames are not at hand")
    def test_real_frames(self):
        seen = []
        for folder in sorted(REAL.glob("img/*/*")):
            with ImageFolder(folder) as images:
                seen += reasons(images.read(images.frames[::4].tolist()))
        assert len(seen) > 130
        assert set(seen) <= {None, "near_duplicate"}
        assert seen.count("near_duplicate") <= 2


class TestThresholds:
    @pytest.mark.parametrize(("name", "value"), [("near_black", 1.1), ("blurred", -1), ("near_duplicate", 257)])
    def test_out_of_range(self, name, value):
        with pytest.raises(ValueError, match=f"hygiene: {name}={value} must lie between 0 and"):
            Hygiene(**{name: value})

    @pytest.mark.parametrize("window", [0, 2.5, float("inf"), True])
    def test_window(self, window):
        with pytest.raises(ValueError, match=f"window={window}, but a frame is compared with a whole number"):
            Hygiene(window=window)

    def test_all_that_is_wrong_at_once(self):
        with pytest.raises(ValueError, match=r"(?s)^3 wrong options:.*near_black=2 must.*blurred=much must.*window=0"):
            Hygiene(near_black=2, blurred="much", window=0)

    def test_every_reason_has_a_threshold(self):
        assert all(getattr(Hygiene(), reason) is not None for reason in REASONS)


def test_an_image_of_one_gray_is_not_called_sharp():
    assert reasons([np.asarray(Image.new("RGB", (64, 64), (120, 60, 50)))], Hygiene(overlay=None)) == ["blurred"]
