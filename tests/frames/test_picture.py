import numpy as np
import pytest
from PIL import Image

from mtal.frames.picture import picture_size, read_picture

RAMP = (np.arange(12, dtype=np.uint8) * 20).reshape(3, 4)  # [3, 4], all different
# what each value of the EXIF tag 274 says must be done to the stored picture to show it
SHOWN = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].T,
    8: np.rot90,
}


def turned(path, orientation, pixels=RAMP):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif, **({"lossless": True} if path.suffix == ".webp" else {}))
    return path


class TestTurned:
    @pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
    @pytest.mark.parametrize("orientation", list(SHOWN))
    def test_as_viewers_do(self, tmp_path, orientation, suffix):
        path = turned(tmp_path / f"a{suffix}", orientation, np.stack([RAMP] * 3, axis=2))
        shown = SHOWN[orientation](RAMP)
        np.testing.assert_array_equal(read_picture(path), shown[..., None].repeat(3, axis=2))
        assert picture_size(path) == shown.shape

    def test_jpeg(self, tmp_path):
        path = turned(tmp_path / "a.jpg", 6, np.full((8, 24), 90, np.uint8))
        assert read_picture(path).shape == (24, 8, 3)
        assert picture_size(path) == (24, 8)

    def test_sixteen_bits(self, tmp_path):
        path = turned(tmp_path / "a.png", 6, RAMP.astype(np.uint16) * 257)
        np.testing.assert_array_equal(read_picture(path)[..., 0], SHOWN[6](RAMP))


class TestDepths:
    @pytest.mark.parametrize("order", ["<u2", ">u2"])
    @pytest.mark.parametrize("suffix", [".png", ".tif"])
    def test_sixteen_bits_are_scaled(self, tmp_path, suffix, order):
        values = np.array([[0, 128, 129, 257, 32768, 65407, 65535]]).astype(order)
        Image.fromarray(values).save(tmp_path / f"a{suffix}")
        assert read_picture(tmp_path / f"a{suffix}")[0, :, 1].tolist() == [0, 0, 1, 1, 128, 255, 255]

    @pytest.mark.parametrize(("kind", "mode"), [(np.int32, "I"), (np.float32, "F")])
    def test_32_bits_are_refused(self, tmp_path, kind, mode):
        Image.fromarray(RAMP.astype(kind)).save(tmp_path / "a.tif")
        with pytest.raises(ValueError, match=rf"a\.tif: the image has 32-bit pixels \(mode {mode}\).*8 or 16 bits"):
            read_picture(tmp_path / "a.tif")

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr"])
    def test_other_modes(self, tmp_path, mode):
        path = tmp_path / ("a.tif" if mode in ("CMYK", "YCbCr") else "a.png")
        black_and_white = Image.fromarray(np.where(RAMP > 99, 255, 0).astype(np.uint8))
        (black_and_white.convert("RGB") if mode == "CMYK" else black_and_white).convert(mode).save(path)
        np.testing.assert_allclose(read_picture(path)[..., 2], np.asarray(black_and_white), atol=1)

    def test_a_palette_with_transparency(self, tmp_path):
        image = Image.fromarray(RAMP).convert("P")
        image.save(tmp_path / "a.png", transparency=bytes(range(200)))
        np.testing.assert_array_equal(read_picture(tmp_path / "a.png")[..., 0], RAMP)


class TestPages:
    def pages(self, path, **options):
        images = [Image.fromarray(np.full((3, 4), 10 * k, np.uint8)) for k in range(3)]
        images[0].save(path, save_all=True, append_images=images[1:], **options)
        return path

    @pytest.mark.parametrize("name", ["a.tif", "a.png", "a.webp"])
    def test_several_are_refused(self, tmp_path, name):
        path = self.pages(tmp_path / name)
        with pytest.raises(ValueError, match=rf"{name}: the file holds 3 pictures, but a frame has one image; save"):
            read_picture(path)

    def test_a_smaller_copy_is_no_page(self, tmp_path):
        image = Image.fromarray(RAMP)
        image.encoderinfo = {}
        copy = Image.fromarray(RAMP[::2, ::2].copy())
        copy.encoderinfo = {"tiffinfo": {254: 1}}
        image.save(tmp_path / "a.tif", save_all=True, append_images=[copy])
        np.testing.assert_array_equal(read_picture(tmp_path / "a.tif")[..., 0], RAMP)

    def test_a_photograph_with_a_preview(self, tmp_path):
        image = Image.fromarray(np.full((8, 8, 3), 90, np.uint8))
        image.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[image.resize((4, 4))])
        assert read_picture(tmp_path / "a.jpg").shape == (8, 8, 3)


class TestErrors:
    @pytest.mark.parametrize("read", [read_picture, picture_size])
    def test_missing(self, tmp_path, read):
        with pytest.raises(FileNotFoundError, match=r"gone\.png: the image is missing; restore it"):
            read(tmp_path / "gone.png")

    @pytest.mark.parametrize("read", [read_picture, picture_size])
    def test_what_is_no_file(self, tmp_path, read):
        (tmp_path / "a.png").mkdir()
        with pytest.raises(ValueError, match=r"a\.png: the image cannot be opened: Is a directory$"):
            read(tmp_path / "a.png")

    @pytest.mark.parametrize("read", [read_picture, picture_size])
    def test_too_large(self, tmp_path, read, monkeypatch):
        Image.new("L", (30, 30)).save(tmp_path / "a.png")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 99)
        with pytest.raises(ValueError, match=r"a\.png: the image is too large to be read \(.*; make it smaller"):
            read(tmp_path / "a.png")

    @pytest.mark.parametrize("read", [read_picture, picture_size])
    def test_no_picture(self, tmp_path, read):
        (tmp_path / "a.png").write_text("text")
        with pytest.raises(ValueError, match=r"a\.png: the image cannot be read"):
            read(tmp_path / "a.png")
