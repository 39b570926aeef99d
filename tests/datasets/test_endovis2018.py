import shutil
from functools import partial

import numpy as np
import pytest
from miniature.squares import H, W, grow, picture, save, shrink

from mtal.datasets import endovis2018
from mtal.datasets.label_map import IGNORE
from mtal.frames.cache import FrameCache

TISSUE, SHAFT, CLASPER, WRIST = (0, 0, 0), (0, 255, 0), (0, 255, 255), (125, 255, 12)
KIDNEY, COVERED, THREAD, OLD_THREAD = (255, 55, 0), (24, 55, 125), (187, 155, 25), (128, 155, 25)
CLAMPS, NEEDLE, SUCTION = (0, 255, 125), (255, 255, 125), (123, 15, 175)
INTESTINE, PROBE = (124, 155, 5), (12, 255, 141)
MASKS = {
    "seq_1": [
        [[TISSUE, TISSUE, KIDNEY, KIDNEY], [COVERED, COVERED, SHAFT, WRIST], [INTESTINE, THREAD, CLASPER, NEEDLE]],
        [[TISSUE] * 4, [KIDNEY, OLD_THREAD, PROBE, SUCTION], [CLAMPS] * 4],
    ],
    "seq_2": [[[TISSUE] * 4, [KIDNEY] * 4, [KIDNEY] * 4]],
}
load = partial(endovis2018.load, test_videos=["seq_2"])


@pytest.fixture
def root(tmp_path):
    for video, masks in MASKS.items():
        for k, mask in enumerate(masks):
            save(tmp_path / video / "left_frames" / f"frame{k:03d}.png", picture(k))
            save(tmp_path / video / "labels" / f"frame{k:03d}.png", grow(mask))
    return tmp_path


class TestLabels:
    def test_frames(self, root):
        table = load(root, native_rate_hz=2.0).index.table
        assert table["frame_id"].tolist() == ["seq_1/000000", "seq_1/000001", "seq_2/000000"]
        assert table["time_s"].tolist() == [0, 0.5, 0]
        assert table["split"].tolist() == ["pool", "pool", "test"]

    def test_tools(self, root):
        dataset = load(root)
        # order: instrument of three parts, thread, clamps, needle, suction and ultrasound
        assert dataset.labels.targets("tools", dataset.index.frame_ids).tolist() == [
            [1, 1, 0, 1, 0, 0],
            [0, 1, 1, 0, 1, 1],
            [0, 0, 0, 0, 0, 0],
        ]

    def test_parts_add_up(self, root):
        # shaft, wrist and clasper are a twelfth each: together more than a sixth, the thread and the needle less
        assert load(root, tool_area=1 / 6).labels.targets("tools", ["seq_1/000000"]).tolist() == [[1, 0, 0, 0, 0, 0]]

    def test_anatomy(self, root):
        first, second = load(root).labels.targets("anatomy", ["seq_1/000000", "seq_1/000001"], (H, W))
        i = IGNORE  # tissue 0, kidney 1, covered kidney 2, intestine 3; tools are ignored
        assert shrink(first) == [[0, 0, 1, 1], [2, 2, i, i], [3, i, i, i]]
        assert shrink(second) == [[0, 0, 0, 0], [1, i, i, i], [i, i, i, i]]

    def test_the_right_pictures(self, root, tmp_path):
        pictures = FrameCache(tmp_path / "cache").get(load(root).index.table, (H, W))
        assert pictures[np.arange(3)][:, 0, 0, 0].tolist() == [10, 22, 10]


def wrong_colour(root):
    pixels = grow(MASKS["seq_1"][1])
    pixels[5, 5] = (1, 2, 3)
    save(root / "seq_1/labels/frame001.png", pixels)


def rename(old, new):
    return lambda root: (root / old).rename(root / new)


class TestDamage:
    @pytest.mark.parametrize(
        ("damage", "error", "message"),
        [
            (
                lambda r: (r / "seq_1/labels/frame001.png").unlink(),
                FileNotFoundError,
                r"seq_1.labels.frame001\.png: the mask is missing",
            ),
            (wrong_colour, ValueError, r"seq_1.labels.frame001\.png: colour 1/2/3 stands for no class"),
            (
                lambda r: save(r / "seq_1/labels/frame001.png", grow(MASKS["seq_1"][1])[:8]),
                ValueError,
                r"frame001\.png: the mask is 8x16 but its frame is 12x16",
            ),
            (
                rename("seq_1/labels/frame000.png", "seq_1/labels/frame002.png"),  # masks that count from 1
                FileNotFoundError,
                r"labels.frame000\.png: the mask is missing",
            ),
            (
                lambda r: save(r / "seq_1/left_frames/frame1.png", picture(1)),
                ValueError,
                r"frame1\.png: has the number of frame001\.png",
            ),
            (lambda r: shutil.rmtree(r / "seq_1/left_frames"), FileNotFoundError, "left_frames: no such folder"),
        ],
    )
    def test_is_named(self, root, damage, error, message):
        damage(root)
        with pytest.raises(error, match=message):
            load(root)

    def test_patient_in_two_splits(self, root):
        with pytest.raises(ValueError, match=r"endovis2018: 'seq_2' is in data\.test_videos and in data\.val_videos"):
            load(root, val_videos=["seq_2"])

    def test_nothing_there(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="the root of EndoVis 2018 holds seq_1"):
            load(tmp_path)
