import json
import shutil

import numpy as np
import pytest
from miniature import endoscapes as miniature
from miniature.endoscapes import BOXES, MASK, write_boxes
from miniature.squares import H, W, grow, picture, save, shrink

from mtal.datasets import endoscapes
from mtal.datasets.label_map import IGNORE
from mtal.frames.cache import FrameCache


@pytest.fixture
def root(tmp_path):
    return miniature.write(tmp_path)


class TestPublishedForms:
    def test_the_mask_of_other_numbers(self, root):
        save(root / "semseg/1_750.png", grow([[0, 1, 4, 6], [7, 7, 255, 6], [0, 0, 0, 0]]))
        mask = endoscapes.load(root).labels.targets("anatomy", ["video001/000750"], (H, W))[0]
        i = IGNORE
        assert shrink(mask) == [[0, 1, 4, 5], [i, i, i, 5], [0, 0, 0, 0]]

    @pytest.mark.parametrize("file", ["annotation_coco.json", "annotation_ds_coco.json"])
    def test_critical_view_of_safety(self, root, file):
        path = root / "train" / "annotation_coco.json"
        content = json.loads(path.read_text())
        content["images"][0]["ds"] = [1 / 3, 2 / 3, 1.0]
        content["images"][1]["ds"] = [0.5, 0.0, 1 / 3]
        (root / "train" / file).write_text(json.dumps(content))
        dataset = endoscapes.load(root)
        assert dataset.label_map("cvs").classes == ("two structures", "triangle cleared", "cystic plate")
        i = IGNORE
        labels = dataset.labels.targets("cvs", dataset.index.frame_ids).tolist()
        assert labels == [[0, 1, 1], [1, 0, 0], [i, i, i], [i, i, i], [i, i, i]]

    def test_without_it(self, root):
        assert [m.task for m in endoscapes.load(root).label_maps] == ["tools", "anatomy"]

    def test_folders_of_the_frames_with_masks(self, root):
        whole = endoscapes.load(root)
        for split in BOXES:
            (root / split).rename(root / f"{split}_seg")
        assert endoscapes.load(root).index.frame_ids == whole.index.frame_ids


class TestLabels:
    def test_frames(self, root):
        table = endoscapes.load(root).index.table
        ids = ["video001/000750", "video001/001500", "video011/000750", "video121/000025", "video162/000050"]
        assert table["frame_id"].tolist() == ids
        assert table["split"].tolist() == ["pool"] * 3 + ["val", "test"]
        assert table["time_s"].tolist() == [30, 60, 30, 1, 2]  # number / 25

    def test_tools_are_boxes(self, root):
        dataset = endoscapes.load(root)
        assert dataset.labels.targets("tools", dataset.index.frame_ids)[:, 0].tolist() == [1, 0, 0, 1, 0]

    def test_masks_on_some_frames_only(self, root):
        dataset = endoscapes.load(root)
        masks = dataset.labels.targets("anatomy", dataset.index.frame_ids, (H, W))
        i = IGNORE
        assert shrink(masks[0]) == [[0, 0, 1, 2], [3, 4, 5, i], [i, 5, 5, i]]
        assert (masks[1:4] == IGNORE).all()
        assert (masks[4] == masks[0]).all()

    def test_the_right_pictures(self, root, tmp_path):
        # video 1 must not get the frames of video 11, which lie in the same folder
        pictures = FrameCache(tmp_path / "cache").get(endoscapes.load(root).index.table, (H, W))
        assert pictures[np.arange(5)][:, 0, 0, 0].tolist() == pytest.approx([22, 22, 142, 22, 34], abs=2)


def edit_boxes(change, split="train"):
    def damage(root):
        path = root / split / "annotation_coco.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return damage


def shifted_mask(root):
    (root / "semseg/1_750.png").rename(root / "semseg/1_751.png")


def in_two_splits(root):
    shutil.copy(root / "train/1_750.jpg", root / "val")
    write_boxes(root, "val", {"1_750.jpg": []})
    save(root / "semseg/1_1500.png", grow(MASK))


class TestDamage:
    def test_all_at_once(self, root):
        (root / "train/1_1500.jpg").unlink()
        (root / "train/11_750.jpg").unlink()
        edit_boxes(lambda c: c["images"].append(c["images"][0] | {"ds": [2]}), "test")(root)
        with pytest.raises(ValueError, match=r"^4 faults:(?=(?s:.*)1_1500\.jpg: the image is)(\n  .*){4}$"):
            endoscapes.load(root)

    def test_masks_without_a_frame_at_once(self, root):
        for name in ("5_25", "6_25"):
            save(root / f"semseg/{name}.png", grow(MASK))
        with pytest.raises(ValueError, match=r"(?s)^2 faults:.*5_25\.png: the mask belongs to no frame.*6_25\.png"):
            endoscapes.load(root)

    @pytest.mark.parametrize(
        ("damage", "error", "message"),
        [
            (lambda r: (r / "train/1_1500.jpg").unlink(), FileNotFoundError, r"1_1500\.jpg: the image is missing"),
            (shifted_mask, ValueError, r"1_751\.png: the mask belongs to no frame that has boxes"),
            (in_two_splits, ValueError, "'video001/000750' is listed twice|'video001' is in the splits"),
            (
                edit_boxes(lambda c: c["images"].append(c["images"][0])),
                ValueError,
                r"annotation_coco\.json: the image '1_750\.jpg' is listed twice",
            ),
            (
                edit_boxes(lambda c: c["categories"][5].update(name="instrument")),
                ValueError,
                r"annotation_coco\.json: the categories are .*'instrument'.*must be .*'tool'",
            ),
            (
                edit_boxes(lambda c: c["images"][0].update(file_name="a_750.jpg")),
                ValueError,
                r"the image 'a_750\.jpg' is not called <video>_<frame>\.jpg",
            ),
            (
                lambda r: (r / "val/annotation_coco.json").unlink(),
                FileNotFoundError,
                r"val.annotation_coco\.json: the boxes are missing",
            ),
            (lambda r: (r / "val/annotation_coco.json").write_text("["), ValueError, "this is no JSON"),
            (
                edit_boxes(lambda c: c["images"][0].update(ds=[0.5, 2])),
                ValueError,
                r"'ds' of '1_750\.jpg' is \[0\.5, 2\]; it must be 3 shares",
            ),
            (
                edit_boxes(lambda c: c.pop("annotations")),
                ValueError,
                r"train.annotation_coco\.json: it has no list 'annotations'; restore",
            ),
            (
                edit_boxes(lambda c: c["annotations"][1].update(category_id=99)),
                ValueError,
                r"train.annotation_coco\.json: boxes of categories that are not listed: 1 \(entry 1: 99\); restore",
            ),
            (
                edit_boxes(lambda c: c["images"][2].pop("file_name")),
                ValueError,
                r"train.annotation_coco\.json: images without 'file_name': 1 \(entry 2\); restore",
            ),
            (
                lambda r: (r / "val/annotation_coco.json").write_bytes(b'{"a": "\xe9"}'),
                ValueError,
                r"val.annotation_coco\.json: this is no text in UTF-8 \(",
            ),
            (lambda r: shutil.rmtree(r / "semseg"), FileNotFoundError, "the root of Endoscapes holds"),
        ],
    )
    def test_is_named(self, root, damage, error, message):
        damage(root)
        with pytest.raises(error, match=message):
            endoscapes.load(root)

    def test_video_in_two_splits(self, root):
        save(root / "val" / "1_25.jpg", picture(0))
        write_boxes(root, "val", {"1_25.jpg": []})
        with pytest.raises(ValueError, match="patient 'video001' is in the splits pool and val"):
            endoscapes.load(root)

    def test_unknown_gray(self, root):
        save(root / "semseg/1_750.png", np.full((H, W), 9, np.uint8))
        dataset = endoscapes.load(root)
        with pytest.raises(ValueError, match=r"1_750\.png: gray value 9"):
            dataset.labels.targets("anatomy", ["video001/000750"], (H, W))

    def test_shifted_number(self, root):
        (root / "val/121_25.jpg").rename(root / "val/121_26.jpg")
        write_boxes(root, "val", {"121_26.jpg": []})
        with pytest.warns(UserWarning, match=r"121_26\.jpg: the frame number is no multiple of 25"):
            endoscapes.load(root)
