from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mtal.datasets import vocalfolds
from mtal.datasets.label_map import IGNORE
from mtal.frames.cache import FrameCache

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "vocalfolds"
H, W = 40, 50


@pytest.fixture
def root(tmp_path):
    """Two patients in the layout of the data set: 0001, 0004 in seq1 and 0003_l, 0005_l in seq6."""
    for folder, names in (("patient1/seq1", ("0001", "0004")), ("patient2/seq6", ("0003_l", "0005_l"))):
        for kind in ("img", "annot"):
            (tmp_path / kind / folder).mkdir(parents=True)
        for i, name in enumerate(names):
            Image.fromarray(np.full((H, W, 3), 60 * i, dtype=np.uint8)).save(tmp_path / "img" / folder / f"{name}.jpg")
            mask = np.repeat(np.array([0, 1, 2, 3, 4], dtype=np.uint8), 10)[None].repeat(H, axis=0)  # [H, W]
            mask[0, :2] = 5  # 2 of 2000 pixels are 0.1 %: not more than it
            mask[1, : 3 * i] = 6  # 0.15 % in the second frame
            Image.fromarray(mask).save(tmp_path / "annot" / folder / f"{name}.png")
    return tmp_path


class TestLoad:
    def test_frames(self, root):
        table = vocalfolds.load(root, native_rate_hz=10).index.table
        assert table["frame_id"].tolist() == ["seq1/000000", "seq1/000003", "seq6/000002", "seq6/000004"]
        assert table["patient"].tolist() == ["patient1", "patient1", "patient2", "patient2"]
        assert table["split"].tolist() == ["test", "test", "pool", "pool"]
        np.testing.assert_allclose(table["time_s"], [0.0, 0.3, 0.2, 0.4])  # (number - 1) / 10 Hz

    def test_frames_can_be_read(self, root, tmp_path):
        table = vocalfolds.load(root).index.table
        frames = FrameCache(tmp_path / "cache").get(table, (H, W))
        np.testing.assert_allclose(frames[[0, 1, 2, 3]].mean(axis=(1, 2, 3)), [0, 60, 0, 60], atol=1)

    def test_tools_cover_more_than_a_thousandth(self, root):
        dataset = vocalfolds.load(root)
        np.testing.assert_array_equal(
            dataset.labels.targets("tools", dataset.index.frame_ids), [[0, 0], [0, 1], [0, 0], [0, 1]]
        )

    def test_bleeding_is_absent_rather_than_zero(self, root):
        dataset = vocalfolds.load(root)
        assert (dataset.labels.targets("bleeding", dataset.index.frame_ids) == IGNORE).all()

    def test_anatomy_ignores_void_and_tools(self, root):
        mask = vocalfolds.load(root).labels.targets("anatomy", ["seq1/000003"], size=(H, W))[0]
        expected = np.repeat([255, 0, 1, 2, 3], 10)[None].repeat(H, axis=0)  # void is the left stripe, tools inside it
        np.testing.assert_array_equal(mask, expected)

    def test_unknown_split(self, root):
        with pytest.raises(ValueError, match="unknown split 'frame'"):
            vocalfolds.load(root, split="frame")

    def test_sequences_of_val_leave_the_pool(self, root):
        table = vocalfolds.load(root, val_sequences=["seq6"]).index.table
        assert table["split"].tolist() == ["test", "test", "val", "val"]
        for wrong in ("seq1", "seq7"):
            with pytest.raises(ValueError, match=f"'{wrong}' is no sequence of the pool, which has seq6"):
                vocalfolds.load(root, val_sequences=[wrong])

    def test_split_by_sequence_warns(self, root):
        with pytest.warns(UserWarning, match="both patients are learnt from and tested on"):
            table = vocalfolds.load(root, split="sequence").index.table
        assert table["split"].tolist() == ["pool", "pool", "test", "test"]  # seq6 is a test sequence


class TestDamage:
    def test_missing_root(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"nowhere.img: no such folder; the root"):
            vocalfolds.load(tmp_path / "nowhere")

    def test_no_sequences(self, tmp_path):
        (tmp_path / "img").mkdir()
        (tmp_path / "annot").mkdir()
        with pytest.raises(FileNotFoundError, match="no sequence here"):
            vocalfolds.load(tmp_path)

    def test_empty_sequence(self, root):
        (root / "img/patient1/seq2").mkdir()
        with pytest.raises(FileNotFoundError, match=r"seq2: the folder has no images"):
            vocalfolds.load(root)

    def test_missing_mask(self, root):
        (root / "annot/patient2/seq6/0005_l.png").unlink()
        with pytest.raises(FileNotFoundError, match=r"seq6.0005_l\.png: the mask is missing"):
            vocalfolds.load(root)

    def test_all_at_once(self, root):
        (root / "annot/patient2/seq6/0005_l.png").unlink()
        (root / "annot/patient1/seq1/0004.png").unlink()
        (root / "img/patient1/seq2").mkdir()
        with pytest.raises(
            FileNotFoundError, match=r"(?s)^3 faults:.*seq1.0004\.png.*seq2: the folder has.*0005_l\.png"
        ):
            vocalfolds.load(root)

    def test_masks_shifted_by_one(self, root):
        for number in (4, 1):
            mask = root / f"annot/patient1/seq1/{number:04d}.png"
            mask.rename(mask.with_name(f"{number + 1:04d}.png"))
        with pytest.raises(FileNotFoundError, match=r"seq1.0001\.png: the mask is missing"):
            vocalfolds.load(root)

    def test_duplicate_frame(self, root):
        image = root / "img/patient1/seq1/0004.jpg"
        image.with_name("0004_l.jpg").write_bytes(image.read_bytes())
        with pytest.raises(ValueError, match=r"0004_l\.jpg: has the number of 0004\.jpg"):
            vocalfolds.load(root)

    def test_mask_of_another_size(self, root):
        Image.fromarray(np.zeros((H, W + 1), dtype=np.uint8)).save(root / "annot/patient1/seq1/0004.png")
        with pytest.raises(ValueError, match=r"0004\.png: the mask is 40x51 but .* 40x50"):
            vocalfolds.load(root)

    def test_unknown_gray(self, root):
        Image.fromarray(np.full((H, W), 7, dtype=np.uint8)).save(root / "annot/patient1/seq1/0004.png")
        with pytest.raises(ValueError, match=r"0004\.png: gray value 7 has no meaning"):
            vocalfolds.load(root)

    def test_broken_image(self, root):
        path = root / "img/patient1/seq1/0004.jpg"
        path.write_bytes(path.read_bytes()[:200])
        with pytest.raises(ValueError, match=r"0004\.jpg: the image cannot be read"):
            vocalfolds.load(root)

    def test_broken_first_image(self, root):
        (root / "img/patient1/seq1/0001.jpg").write_bytes(b"")
        with pytest.raises(ValueError, match=r"0001\.jpg: the image cannot be read"):
            vocalfolds.load(root)


@pytest.mark.skipif(not REAL.is_dir(), reason="the vocal-fold frames are not at hand")
class TestRealFrames:
    def test_sequences(self):
        dataset = vocalfolds.load(REAL)
        counts = dataset.index.table.groupby(["patient", "video"]).size()
        assert counts["patient1"].to_dict() == {"seq1": 32, "seq2": 34, "seq3": 26, "seq4": 66}
        assert counts["patient2"].to_dict() == {"seq5": 26, "seq6": 44, "seq7": 122, "seq8": 186}
        assert len(dataset.index) == 536

    def test_masks_agree_with_the_gray_values(self):
        # counted from the files, without the label table
        dataset = vocalfolds.load(REAL)
        grays = {p: np.asarray(Image.open(p)) for p in sorted((REAL / "annot/patient1/seq2").iterdir())}
        assert set(np.unique(np.stack(list(grays.values()))).tolist()) == {0, 1, 2, 3, 4, 5, 6}
        ids = [f"seq2/{int(p.stem) - 1:06d}" for p in grays]
        masks = dataset.labels.targets("anatomy", ids, size=(256, 256))
        for mask, gray in zip(masks, grays.values(), strict=True):
            for value, number in ((1, 0), (2, 1), (3, 2), (4, 3)):
                np.testing.assert_array_equal(mask == number, gray == value)
            np.testing.assert_array_equal(mask == IGNORE, np.isin(gray, (0, 5, 6)))

    def test_every_class_is_in_both_splits_by_sequence(self):
        with pytest.warns(UserWarning, match="optimistic"):
            dataset = vocalfolds.load(REAL, split="sequence")
        for split in ("pool", "test"):
            ids = dataset.index.split(split).frame_ids
            tools = dataset.labels.targets("tools", ids)
            assert ((tools == 0).any(axis=0) & (tools == 1).any(axis=0)).all()
            masks = dataset.labels.targets("anatomy", ids, size=(256, 256))
            assert set(np.unique(masks).tolist()) == {0, 1, 2, 3, IGNORE}
