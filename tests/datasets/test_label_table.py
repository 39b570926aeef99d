from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.label_table import LabelTable
from mtal.datasets.pixel_labels import MaskFile

TOOLS = LabelMap("tools", "frame", False, ("grasper", "hook"), ((1, 0, 0), (0, 1, 0)))
PHASE = LabelMap("phase", "frame", True, ("start", "dissection", "end"), ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
ANATOMY = LabelMap("anatomy", "pixel", True, ("liver", "fat"), ((1, 0, 0), (0, 1, 0)), {0: IGNORE, 50: 0, 60: 1})
IDS = ["v1/000000", "v1/000007", "v2/000000"]


@pytest.fixture
def table(tmp_path):
    Image.fromarray(np.array([[50, 60], [0, 50]], dtype=np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.full((2, 2), 60, dtype=np.uint8)).save(tmp_path / "b.png")
    rows = {
        "frame_id": IDS,
        "tools": [[1, 0], None, [IGNORE, 1]],
        "phase": [2, None, IGNORE],
        "anatomy": [tmp_path / "a.png", str(tmp_path / "b.png"), None],
    }
    return LabelTable(pd.DataFrame(rows), (TOOLS, PHASE, ANATOMY), {"v1": (2, 2), "v2": (2, 2)})


class TestTargets:
    def test_tags_follow_the_order_asked(self, table):
        tags = table.targets("tools", [IDS[2], IDS[0], IDS[1], IDS[0]])
        np.testing.assert_array_equal(tags, [[255, 1], [1, 0], [255, 255], [1, 0]])
        assert tags.dtype == np.uint8

    def test_exclusive_tags(self, table):
        np.testing.assert_array_equal(table.targets("phase", IDS), [2, 255, 255])

    def test_masks(self, table):
        masks = table.targets("anatomy", [IDS[1], IDS[2], IDS[0]], size=(2, 2))
        np.testing.assert_array_equal(masks, [[[1, 1], [1, 1]], [[255, 255], [255, 255]], [[0, 1], [255, 0]]])
        assert masks.dtype == np.uint8

    def test_masks_grow_by_nearest_neighbour(self, table):
        mask = table.targets("anatomy", IDS[:1], size=(4, 6))[0]
        np.testing.assert_array_equal(mask, np.kron([[0, 1], [255, 0]], np.ones((2, 3))))

    def test_shrinking_never_invents_a_class(self, tmp_path):
        # gray 50 and 60 alternate: averaging would give 55 or the class between, nearest neighbour keeps one of them
        stripes = np.tile(np.array([50, 60, 0], dtype=np.uint8), (9, 5))
        Image.fromarray(stripes).save(tmp_path / "s.png")
        labels = LabelTable(pd.DataFrame({"frame_id": ["v/000000"], "anatomy": [tmp_path / "s.png"]}), [ANATOMY])
        assert set(np.unique(labels.targets("anatomy", ["v/000000"], size=(4, 7))).tolist()) == {0, 1, 255}

    def test_masks_drawn_when_asked_for(self):
        class Drawn:
            def read(self, label_map, frame_size):
                assert label_map is ANATOMY
                return np.array([[1, IGNORE]], dtype=np.uint8)

        labels = LabelTable(pd.DataFrame({"frame_id": ["v/000000"], "anatomy": [Drawn()]}), [ANATOMY])
        np.testing.assert_array_equal(labels.targets("anatomy", ["v/000000"], (2, 4))[0], [[1, 1, 255, 255]] * 2)

    def test_masks_of_classes_that_overlap(self):
        class Drawn:
            def read(self, label_map, frame_size):
                return np.array([[[1, 0]], [[1, IGNORE]]], dtype=np.uint8)

        overlapping = replace(ANATOMY, exclusive=False)
        rows = {"frame_id": ["v/000000", "v/000001"], "anatomy": [Drawn(), None]}
        masks = LabelTable(pd.DataFrame(rows), [overlapping]).targets("anatomy", rows["frame_id"], (1, 4))
        np.testing.assert_array_equal(masks[0], [[[1, 1, 0, 0]], [[1, 1, 255, 255]]])
        assert (masks[1] == IGNORE).all()

    def test_no_frames(self, table):
        assert table.targets("tools", []).shape == (0, 2)
        assert table.targets("anatomy", [], size=(3, 5)).shape == (0, 3, 5)

    def test_unknown_task_and_frame(self, table):
        with pytest.raises(KeyError, match=r"no task 'smoke'.*tools, phase, anatomy"):
            table.targets("smoke", IDS)
        with pytest.raises(KeyError, match="v9/000000"):
            table.targets("tools", [IDS[0], "v9/000000"])

    def test_masks_need_a_size(self, table):
        with pytest.raises(ValueError, match="give targets\\(\\) the size"):
            table.targets("anatomy", IDS)

    def test_missing_mask_is_named(self, table, tmp_path):
        (tmp_path / "b.png").unlink()
        with pytest.raises(FileNotFoundError, match=r"b\.png"):
            table.targets("anatomy", IDS, size=(2, 2))

    def test_mask_of_another_size_is_named(self, table, tmp_path):
        Image.fromarray(np.full((3, 2), 60, dtype=np.uint8)).save(tmp_path / "b.png")
        with pytest.raises(ValueError, match=r"b\.png: the mask is 3x2 but its frame is 2x2"):
            table.targets("anatomy", IDS, size=(2, 2))

    def test_sizes_of_frames_come_before_those_of_videos(self, table, tmp_path):
        Image.fromarray(np.full((3, 2), 60, dtype=np.uint8)).save(tmp_path / "b.png")
        Image.new("RGB", (2, 3)).save(tmp_path / "picture.png")
        table.frame_sizes[IDS[1]] = tmp_path / "picture.png"
        assert table.targets("anatomy", IDS[:2], size=(2, 2)).tolist() == [[[0, 1], [255, 0]], [[1, 1], [1, 1]]]

    def test_all_bad_masks_are_told_at_once(self, table, tmp_path):
        for name in "ab":
            (tmp_path / f"{name}.png").unlink()
        with pytest.raises(FileNotFoundError, match=r"^2 faults:\n  .*a\.png.*\n  .*b\.png"):
            table.targets("anatomy", IDS, size=(2, 2))

    def test_unlisted_gray_is_named(self, table, tmp_path):
        Image.fromarray(np.full((2, 2), 61, dtype=np.uint8)).save(tmp_path / "b.png")
        with pytest.raises(ValueError, match=r"b\.png: gray value 61"):
            table.targets("anatomy", IDS, size=(2, 2))


class TestTable:
    def test_missing_column(self):
        with pytest.raises(ValueError, match=r"lacks the columns \['tools'\]"):
            LabelTable(pd.DataFrame({"frame_id": IDS}), [TOOLS])

    def test_frame_listed_twice(self):
        with pytest.raises(ValueError, match="'v/000001' is listed twice"):
            LabelTable(pd.DataFrame({"frame_id": ["v/000001"] * 2, "phase": [0, 0]}), [PHASE])

    @pytest.mark.parametrize("label", [[1], [1, 2], [1, 0, 0], 1])
    def test_wrong_tags(self, label):
        with pytest.raises(ValueError, match="frame 'v/000001', task 'tools': the label is"):
            LabelTable(pd.DataFrame({"frame_id": ["v/000001"], "tools": [label]}), [TOOLS])

    @pytest.mark.parametrize("label", [3, -1, [1]])
    def test_wrong_class_number(self, label):
        with pytest.raises(ValueError, match="frame 'v/000001', task 'phase': the label is"):
            LabelTable(pd.DataFrame({"frame_id": ["v/000001"], "phase": [label]}), [PHASE])

    def test_integer_column_with_gaps(self):
        # pandas turns [1, None] into floats with NaN: 1.0 is class 1 and NaN is "not annotated"
        labels = LabelTable(pd.DataFrame({"frame_id": ["v/000000", "v/000001"], "phase": [1, None]}), [PHASE])
        np.testing.assert_array_equal(labels.targets("phase", ["v/000000", "v/000001"]), [1, 255])


class TestMaskFile:
    def test_values_of_its_own(self, tmp_path):
        # the same binary mask, once of the liver (0) and once of fat (1)
        Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).save(tmp_path / "m.png")
        masks = [MaskFile(tmp_path / "m.png", {0: IGNORE, 255: number}) for number in (0, 1)]
        ids = ["v/000000", "v/000001"]
        labels = LabelTable(pd.DataFrame({"frame_id": ids, "anatomy": masks}), [ANATOMY])
        assert labels.targets("anatomy", ids, size=(1, 2)).tolist() == [[[255, 0]], [[255, 1]]]
