from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mtal.frames.image_folder import ImageFolder, folder_source, parse_folder_source
from mtal.frames.reader import read_pictures


@pytest.fixture
def folder(tmp_path):
    """Files 0001, 0004 and 0010 (left eye), gray 10, 40 and 100, the last one as a palette image."""
    for number in (1, 4):
        Image.new("RGB", (6, 5), (10 * number,) * 3).save(tmp_path / f"{number:04d}_l.png")
    Image.new("L", (6, 5), 100).convert("P").save(tmp_path / "0010_l.png")
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "._0001_l.png").write_text("what some file systems leave behind")
    return tmp_path


class TestReading:
    def test_numbers_times_and_order(self, folder):
        with ImageFolder(folder, first_number=1, rate_hz=5) as reader:
            assert reader.frames.tolist() == [0, 3, 9]
            np.testing.assert_allclose(reader.times_s, [0.0, 0.6, 1.8])
            assert reader.frame_size == (5, 6)
            assert len(reader) == 3
            frames = reader.read([9, 0, 3, 9])
        assert frames.shape == (4, 5, 6, 3)
        assert frames.dtype == np.uint8
        assert frames[:, 2, 3].tolist() == [[100] * 3, [10] * 3, [40] * 3, [100] * 3]

    def test_counting_from_zero(self, folder):
        assert ImageFolder(folder).frames.tolist() == [1, 4, 10]

    def test_path(self, folder):
        assert ImageFolder(folder, first_number=1).path(3) == folder / "0004_l.png"

    def test_the_last_number_in_a_name_counts(self, tmp_path):
        Image.new("RGB", (2, 2)).save(tmp_path / "video01_frame_80_endo.PNG")
        assert ImageFolder(tmp_path).frames.tolist() == [80]

    def test_only_the_files_of_a_pattern(self, folder):
        Image.new("RGB", (3, 3)).save(folder / "0004_mask.png")
        assert ImageFolder(folder, first_number=1, files="*_l.png").frames.tolist() == [0, 3, 9]

    def test_numbered_by_the_order_of_names(self, tmp_path):
        for name, gray in (("b7", 20), ("a7", 10), ("cover", 30)):
            Image.new("RGB", (2, 2), (gray,) * 3).save(tmp_path / f"{name}.png")
        assert ImageFolder(tmp_path, first_number=None).read([2, 0, 1])[:, 0, 0, 0].tolist() == [30, 10, 20]

    def test_pictures_of_several_sizes(self, folder):
        Image.new("RGB", (9, 4), (7, 7, 7)).save(folder / "0004_l.png")
        reader = ImageFolder(folder, first_number=1)
        assert [p.shape for p in reader.pictures([3, 0, 3])] == [(4, 9, 3), (5, 6, 3), (4, 9, 3)]
        assert [p.shape for p in read_pictures(reader, [9, 3])] == [(5, 6, 3), (4, 9, 3)]
        assert (reader.size(0), reader.size(3)) == ((5, 6), (4, 9))
        assert reader.read([3])[0, 2, 2].tolist() == [7, 7, 7]
        assert reader.read([]).shape == (0, 5, 6, 3)

    def test_twelve_bits_in_sixteen_are_told(self, tmp_path):
        Image.fromarray(np.full((3, 4), 4095, dtype=np.uint16)).save(tmp_path / "1.png")
        with pytest.warns(UserWarning, match=r"1\.png: of 16 bits it uses the lowest 12 at most"):
            ImageFolder(tmp_path)

    def test_a_gap_is_no_frame(self, folder):
        with pytest.raises(IndexError, match=r"there is no frame 2; frames run from 0 to 9 \(3 of them\)"):
            ImageFolder(folder, first_number=1).read([0, 2])


class TestErrors:
    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="gone: no such folder"):
            ImageFolder(tmp_path / "gone")

    def test_empty(self, tmp_path):
        (tmp_path / "seq3").mkdir()
        with pytest.raises(FileNotFoundError, match="seq3: the folder has no images"):
            ImageFolder(tmp_path / "seq3")

    def test_no_number(self, folder):
        Image.new("RGB", (6, 5)).save(folder / "preview.png")
        with pytest.raises(ValueError, match=r"preview\.png: the name has no number"):
            ImageFolder(folder)

    def test_two_files_with_one_number(self, folder):
        Image.new("RGB", (6, 5)).save(folder / "0004_r.png")
        with pytest.raises(ValueError, match=r"0004_r\.png: has the number of 0004_l\.png"):
            ImageFolder(folder)

    def test_before_the_first(self, folder):
        with pytest.raises(ValueError, match=r"0001_l\.png: its number lies before the first, 2"):
            ImageFolder(folder, first_number=2)

    def test_sizes_differ_in_one_array(self, folder):
        Image.new("RGB", (6, 4)).save(folder / "0004_l.png")
        with pytest.raises(ValueError, match=r"0004_l\.png: the image is 4x6, 0001_l\.png is 5x6 \(height x width\)"):
            ImageFolder(folder, first_number=1).read([0, 3])

    @pytest.mark.parametrize("content", [b"", b"not an image"])
    def test_broken(self, folder, content):
        (folder / "0004_l.png").write_bytes(content)
        with pytest.raises(ValueError, match=r"0004_l\.png: the image cannot be read"):
            ImageFolder(folder, first_number=1).read([0, 3])

    def test_all_at_once(self, folder):
        reader = ImageFolder(folder, first_number=1)
        for name in ("0001_l.png", "0004_l.png"):
            (folder / name).write_bytes(b"")
        with pytest.raises(ValueError, match=r"(?s)^2 faults:.*0001_l\.png: the image .*0004_l\.png: the image cannot"):
            reader.read([0, 3])

    def test_names_at_once(self, folder):
        for name in ("preview.png", "0004_r.png"):
            Image.new("RGB", (6, 5)).save(folder / name)
        with pytest.raises(
            ValueError, match=r"(?s)^2 faults:.*0004_r\.png: has the number .*preview\.png: the name has"
        ):
            ImageFolder(folder)

    def test_cut(self, folder):
        noise = np.random.default_rng(0).integers(0, 255, (5, 6, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / "0004_l.png")
        (folder / "0004_l.png").write_bytes((folder / "0004_l.png").read_bytes()[:70])
        with pytest.raises(ValueError, match=r"0004_l\.png: the image cannot be read"):
            ImageFolder(folder, first_number=1).read([3])

    def test_gone_after_opening(self, folder):
        reader = ImageFolder(folder, first_number=1)
        (folder / "0004_l.png").unlink()
        with pytest.raises(FileNotFoundError, match=r"0004_l\.png: the image is missing"):
            reader.read([3])

    @pytest.mark.parametrize("rate_hz", [0, -2, float("nan")])
    def test_bad_rate(self, folder, rate_hz):
        with pytest.raises(ValueError, match="must be a positive number of frames per second"):
            ImageFolder(folder, rate_hz=rate_hz)


class TestSource:
    @pytest.mark.parametrize(("first", "rate"), [(0, 25.0), (1, 29.97002997), (1, 1 / 3), (None, 1.0)])
    def test_there_and_back(self, first, rate):
        path, number, rate_hz, files = parse_folder_source(
            folder_source(Path("img/seq1"), first, rate, "a&b #*_endo.png")
        )
        assert (path, number, files) == (Path("img/seq1"), first, "a&b #*_endo.png")
        assert rate_hz == pytest.approx(rate, rel=1e-11)

    def test_a_bare_path(self):
        assert parse_folder_source("img/seq1") == (Path("img/seq1"), 0, 25.0, "*")

    @pytest.mark.parametrize("name", ["op#3.mp4", "take#rate=2"])
    def test_a_name_of_what_is_not_there(self, name):
        assert parse_folder_source(name) == (Path(name), 0, 25.0, "*")

    def test_a_folder_with_such_a_name(self, tmp_path):
        (tmp_path / "take#2").mkdir()
        assert parse_folder_source(str(tmp_path / "take#2")) == (tmp_path / "take#2", 0, 25.0, "*")

    @pytest.mark.parametrize("fragment", ["first=one", "first=1&rate=fast", "first=1&two"])
    def test_malformed(self, fragment):
        with pytest.raises(ValueError, match="is not of the form first=1&rate=25"):
            parse_folder_source(f"seq1#{fragment}")

    def test_unknown_option(self):
        with pytest.raises(ValueError, match="unknown option 'frist'"):
            parse_folder_source("seq1#first=1&frist=1")


def test_numbers_that_are_no_numbers_of_frames(tmp_path):
    """Identifiers of DICOM have 39 digits."""
    name = "2.25.329800735698586629295641978511506172918"
    Image.new("RGB", (6, 5)).save(tmp_path / f"{name}.png")
    with pytest.raises(ValueError, match=rf"{name}\.png: its last number, 3298[0-9]+, is no number of a frame"):
        ImageFolder(tmp_path)
    assert ImageFolder(tmp_path, first_number=None).frames.tolist() == [0]
