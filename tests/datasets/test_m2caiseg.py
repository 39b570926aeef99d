import shutil

import numpy as np
import pytest
from miniature.squares import H, W, grow, picture, save, shrink

from mtal.datasets import m2caiseg
from mtal.datasets.label_map import IGNORE
from mtal.frames.cache import FrameCache

BLACK, UNKNOWN, BLOOD, BILE = (0, 0, 0), (170, 0, 85), (255, 0, 0), (255, 255, 0)
GRASPER, BIPOLAR, CLIP = (0, 85, 170), (0, 85, 255), (170, 170, 170)
LIVER, GALLBLADDER, FAT, WALL, ARTERY, GUT = (
    (85, 170, 0),
    (85, 170, 255),
    (85, 255, 0),
    (85, 255, 170),
    (170, 0, 255),
    (255, 0, 255),
)
MASKS = {
    "train/0": [[BLACK, LIVER, LIVER, BLACK], [GALLBLADDER, BLOOD, GRASPER, FAT], [WALL, ARTERY, GUT, UNKNOWN]],
    "train/7": [[LIVER] * 4, [BILE, CLIP, BIPOLAR, FAT], [FAT] * 4],
    "test/3": [[LIVER] * 4, [LIVER] * 4, [LIVER] * 4],
}

pytestmark = pytest.mark.filterwarnings("ignore:m2caiSeg takes the frames")


@pytest.fixture
def root(tmp_path):
    for name, mask in MASKS.items():
        split, number = name.split("/")
        save(tmp_path / split / "images" / f"{number}.jpg", picture(int(number)))
        save(tmp_path / split / "groundtruth" / f"{number}_gt.png", grow(mask))
    return tmp_path


class TestLabels:
    def test_frames(self, root):
        with pytest.warns(UserWarning, match="from the same two operations, so test scores are optimistic"):
            table = m2caiseg.load(root).index.table
        assert table["frame_id"].tolist() == ["test/000003", "train/000000", "train/000007"]
        assert table["split"].tolist() == ["test", "pool", "pool"]

    def test_frame_labels(self, root):
        dataset = m2caiseg.load(root)
        ids = ["train/000000", "train/000007", "test/000003"]
        # grasper bipolar hook scissors clipper irrigator bag trocars clip
        assert dataset.labels.targets("tools", ids).tolist() == [
            [1, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 1, 0, 0, 0, 0, 0, 0, 1],
            [0, 0, 0, 0, 0, 0, 0, 0, 0],
        ]
        assert dataset.labels.targets("bleeding", ids)[:, 0].tolist() == [1, 0, 0]  # bile is no blood
        assert dataset.labels.targets("bile", ids)[:, 0].tolist() == [0, 1, 0]

    def test_anatomy(self, root):
        first, second = m2caiseg.load(root).labels.targets("anatomy", ["train/000000", "train/000007"], (H, W))
        i = IGNORE  # liver 0, gallbladder 1, fat 2, wall 3, artery 4, intestine 5
        assert shrink(first) == [[i, 0, 0, i], [1, i, i, 2], [3, 4, 5, i]]
        assert shrink(second) == [[0, 0, 0, 0], [i, i, i, 2], [2, 2, 2, 2]]

    def test_a_few_smoothed_pixels_are_ignored(self, root):
        pixels = grow(MASKS["test/3"])
        pixels[0, 0] = (80, 160, 5)  # 1 of 192 pixels is less than a hundredth
        save(root / "test/groundtruth/3_gt.png", pixels)
        mask = m2caiseg.load(root).labels.targets("anatomy", ["test/000003"], (H, W))[0]
        assert mask[0, 0] == IGNORE
        assert (mask.ravel()[1:] == 0).all()

    def test_the_right_pictures(self, root, tmp_path):
        pictures = FrameCache(tmp_path / "cache").get(m2caiseg.load(root).index.table, (H, W))
        assert pictures[np.arange(3)][:, 0, 0, 0].tolist() == pytest.approx([46, 10, 94], abs=2)


def wrong_colour(root):
    pixels = grow(MASKS["test/3"])
    pixels[0, :2] = (80, 160, 5)  # 2 of 192 are more than a hundredth
    save(root / "test/groundtruth/3_gt.png", pixels)


class TestDamage:
    @pytest.mark.parametrize(
        ("damage", "error", "message"),
        [
            (
                lambda r: (r / "train/groundtruth/7_gt.png").unlink(),
                FileNotFoundError,
                r"7_gt\.png: the mask is missing",
            ),
            (wrong_colour, ValueError, r"3_gt\.png: colour 80/160/5 stands for no class"),
            (
                lambda r: (r / "train/groundtruth/7_gt.png").rename(r / "train/groundtruth/8_gt.png"),
                FileNotFoundError,
                r"7_gt\.png: the mask is missing",
            ),
            (
                lambda r: save(r / "train/images/07.jpg", picture(7)),
                ValueError,
                r"7\.jpg: has the number of 07\.jpg",
            ),
            (lambda r: shutil.rmtree(r / "test"), FileNotFoundError, r"test: no such folder; the root of m2caiSeg"),
        ],
    )
    def test_is_named(self, root, damage, error, message):
        damage(root)
        with pytest.raises(error, match=message):
            m2caiseg.load(root)
