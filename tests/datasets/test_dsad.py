from functools import partial

import numpy as np
import pytest
from miniature.squares import H, W, grow, picture, save, shrink

from mtal.datasets import dsad
from mtal.datasets.label_map import IGNORE
from mtal.frames.cache import FrameCache

FRAMES = {  # folder → number → mask
    "liver/01": {0: [[0, 255, 255, 0], [0] * 4, [0] * 4], 4: [[255] * 4, [0] * 4, [0] * 4]},
    "liver/02": {0: [[0] * 4, [0] * 4, [255] * 4]},
    "ureter/01": {0: [[0] * 4, [255, 0, 0, 0], [0] * 4]},
    "multilabel/01": {0: [[0] * 4] * 3},
}
load = partial(dsad.load, test_videos=["02"], val_videos=[])


@pytest.fixture
def root(tmp_path):
    for folder, masks in FRAMES.items():
        for number, mask in masks.items():
            save(tmp_path / folder / f"image{number:02d}.png", picture(number + (folder == "ureter/01")))
            save(tmp_path / folder / f"mask{number:02d}.png", grow(mask))
    return tmp_path


class TestLabels:
    def test_frames(self, root):
        table = load(root).index.table
        assert table["frame_id"].tolist() == [
            "01_liver/000000",
            "01_liver/000004",
            "01_ureter/000000",
            "02_liver/000000",
        ]
        assert table["patient"].tolist() == ["surgery01"] * 3 + ["surgery02"]
        assert table["split"].tolist() == ["pool"] * 3 + ["test"]

    def test_what_lies_outside_the_organ_is_not_known(self, root):
        dataset = load(root)
        liver, ureter = dataset.labels.targets("anatomy", ["01_liver/000000", "01_ureter/000000"], (H, W))
        assert dataset.label_map("anatomy").classes.index("liver") == 4
        assert dataset.label_map("anatomy").classes.index("ureter") == 9
        i = IGNORE
        assert shrink(liver) == [[i, 4, 4, i], [i] * 4, [i] * 4]
        assert shrink(ureter) == [[i] * 4, [9, i, i, i], [i] * 4]

    def test_the_right_pictures(self, root, tmp_path):
        pictures = FrameCache(tmp_path / "cache").get(load(root).index.table, (H, W))
        assert pictures[np.arange(4)][:, 0, 0, 0].tolist() == [10, 58, 22, 10]

    def test_default_split(self):
        assert len(set(dsad.TEST_SURGERIES) | set(dsad.VAL_SURGERIES)) == 11  # of 32; 21 to learn from


class TestDamage:
    def test_all_at_once(self, root):
        (root / "liver/01/mask04.png").unlink()
        (root / "liver/02/mask00.png").rename(root / "liver/02/mask01.png")
        with pytest.raises(FileNotFoundError, match=r"(?s)^3 faults:.*01.mask04.*02.mask00\.png.*02.mask01\.png"):
            load(root)

    @pytest.mark.parametrize(
        ("damage", "error", "message"),
        [
            (
                lambda r: (r / "liver/01/mask04.png").unlink(),
                FileNotFoundError,
                r"liver.01.mask04\.png: the mask is missing, image04\.png is there",
            ),
            (
                lambda r: (r / "liver/01/image04.png").unlink(),
                FileNotFoundError,
                r"liver.01.mask04\.png: the mask has no image of its number",
            ),
            (
                lambda r: (r / "liver/01/mask04.png").rename(r / "liver/01/mask05.png"),
                FileNotFoundError,
                r"liver.01.mask04\.png: the mask is missing",
            ),
            (
                lambda r: save(r / "liver/01/image4.png", picture(4)),
                ValueError,
                r"image4\.png: has the number of image04\.png",
            ),
        ],
    )
    def test_is_named(self, root, damage, error, message):
        damage(root)
        with pytest.raises(error, match=message):
            load(root)

    def test_wrong_gray(self, root):
        save(root / "liver/01/mask04.png", grow([[255] * 4, [128] * 4, [0] * 4]))
        with pytest.raises(ValueError, match=r"liver.01.mask04\.png: gray value 128 .* listed are \[0, 255\]"):
            load(root).labels.targets("anatomy", ["01_liver/000004"], (H, W))

    def test_patient_in_two_splits(self, root):
        with pytest.raises(ValueError, match=r"dsad: '02' is in data\.test_videos and in data\.val_videos"):
            load(root, val_videos=["02"])

    def test_nothing_there(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="the root of DSAD holds abdominal_wall, colon"):
            load(tmp_path)
