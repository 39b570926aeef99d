import json
from functools import partial

import numpy as np
import pytest
from miniature.squares import H, W, picture, save

from mtal.datasets import cholect50
from mtal.frames.cache import FrameCache

NAMES = ("grasper", "bipolar", "hook", "scissors", "clipper", "irrigator")
TRIPLETS = {"0": "grasper,dissect,cystic_plate", "17": "hook,dissect,gallbladder", "30": "clipper,clip,cystic_duct"}
load = partial(cholect50.load, test_videos=["VID06"], val_videos=[])


def triplet(number, tool):
    return [number, tool, 1, 0.1, 0.2, 0.3, 0.4, 2, 5, 1, 0.1, 0.2, 0.3, 0.4, 3]


LABELS = {
    "VID01": {"0": [triplet(0, 0), triplet(17, 2)], "1": [triplet(-1, -1)], "2": [triplet(0, 0), triplet(0, 0)]},
    "VID06": {"0": [triplet(30, 4)], "1": []},
}


@pytest.fixture
def root(tmp_path):
    """Three and two frames, one a second."""
    for video, annotations in LABELS.items():
        for frame in annotations:
            save(tmp_path / "videos" / video / f"{int(frame):06d}.png", picture(int(frame)))
        write(tmp_path, video, annotations=annotations)
    return tmp_path


def write(root, video="VID01", *, annotations=LABELS["VID01"], names=NAMES, text=None):
    categories = {"instrument": {str(i): name for i, name in enumerate(names)}, "triplet": TRIPLETS}
    content = {"video": video, "fps": 1, "num_frames": len(annotations), "annotations": annotations}
    (root / "labels").mkdir(exist_ok=True)
    (root / "labels" / f"{video}.json").write_text(text or json.dumps({**content, "categories": categories}))


class TestLabels:
    def test_tools(self, root):
        dataset = load(root)
        ids = dataset.index.frame_ids
        assert ids == ["VID01/000000", "VID01/000001", "VID01/000002", "VID06/000000", "VID06/000001"]
        assert dataset.labels.targets("tools", ids).tolist() == [
            [1, 0, 1, 0, 0, 0],  # grasper and hook
            [0, 0, 0, 0, 0, 0],  # none
            [1, 0, 0, 0, 0, 0],  # two graspers
            [0, 0, 0, 0, 1, 0],  # clipper
            [0, 0, 0, 0, 0, 0],  # no triplet at all
        ]
        assert dataset.index.table["split"].tolist() == ["pool"] * 3 + ["test"] * 2
        assert dataset.index.table["time_s"].tolist() == [0, 1, 2, 0, 1]

    def test_the_right_pictures(self, root, tmp_path):
        pictures = FrameCache(tmp_path / "cache").get(load(root).index.table, (H, W))
        assert pictures[np.arange(5)][:, 0, 0, 0].tolist() == [10, 22, 34, 10, 22]

    def test_images_without_labels_are_left_out(self, root):
        write(root, annotations={"0": [], "1": []})
        with pytest.warns(UserWarning, match=r"VID01: 1 images have no labels and are left out, the first is frame 2"):
            assert len(load(root).index) == 4

    @pytest.mark.parametrize("name", ["000001 (1).png", "000001_copy.png", "preview.jpg"])
    def test_copies_are_left_out(self, root, name):
        save(root / "videos/VID01" / name, picture(1))
        with pytest.warns(UserWarning, match=r"VID01: 1 images are not called 000000\.png .* the first is "):
            assert len(load(root).index) == 5

    def test_default_split(self):
        assert len(cholect50.TEST_VIDEOS) == 10
        assert len(cholect50.VAL_VIDEOS) == 5
        assert not set(cholect50.TEST_VIDEOS) & set(cholect50.VAL_VIDEOS)


def renamed(root):
    """Images that count from 1."""
    for number in (2, 1, 0):
        folder = root / "videos/VID01"
        (folder / f"{number:06d}.png").rename(folder / f"{number + 1:06d}.png")


def twice(root):
    path = root / "labels/VID01.json"
    path.write_text(path.read_text().replace('"2": [[', '"1": [['))


class TestDamage:
    def test_all_at_once(self, root):
        (root / "labels/VID06.json").unlink()
        write(root, annotations={"0": [triplet(0, 9)], "1": [[0, 0, 1]], "2": []})
        with pytest.raises(ValueError, match=r"(?s)^3 faults:.*frame 0: tool 9.*frame 1: a triplet has 3.*VID06\.json"):
            load(root)

    @pytest.mark.parametrize(
        ("damage", "error", "message"),
        [
            (
                lambda r: (r / "labels/VID06.json").unlink(),
                FileNotFoundError,
                r"VID06\.json: the labels are missing; restore",
            ),
            (
                lambda r: (r / "videos/VID01/000001.png").unlink(),
                ValueError,
                r"VID01\.json: frame 1 has labels but no image",
            ),
            (renamed, ValueError, r"VID01\.json: frame 0 has labels but no image in .*VID01; .*shifted"),
            (twice, ValueError, r"VID01\.json: '1' stands twice"),
            (
                lambda r: write(r, names=("bipolar", "grasper", *NAMES[2:])),
                ValueError,
                r"VID01\.json: the instruments are \('bipolar', 'grasper'.*must be \('grasper', 'bipolar'",
            ),
            (
                lambda r: write(r, annotations={**LABELS["VID01"], "2": [[2, 0, *triplet(0, 0)[2:]]]}),
                ValueError,
                r"VID01\.json, frame 2: the tool is grasper, but triplet 2 is one of nothing; are the columns swapped",
            ),
            (
                lambda r: write(r, annotations={**LABELS["VID01"], "2": [triplet(17, 0)]}),
                ValueError,
                r"VID01\.json, frame 2: the tool is grasper, but triplet 17 is one of hook; are the columns swapped",
            ),
            (
                lambda r: write(r, annotations={**LABELS["VID01"], "2": [triplet(0, 9)]}),
                ValueError,
                r"VID01\.json, frame 2: tool 9 is none of 0 to 5",
            ),
            (
                lambda r: write(r, annotations={**LABELS["VID01"], "2": [[0, 0, 1]]}),
                ValueError,
                r"VID01\.json, frame 2: a triplet has 3 numbers; it must have 15",
            ),
            (
                lambda r: (r / "labels/VID01.json").write_bytes(b'{"a": "\xe9"}'),
                ValueError,
                r"VID01\.json: this is no text in UTF-8 \(",
            ),
            (lambda r: write(r, annotations={"a": []}), ValueError, r"VID01\.json: 'a' is no number of a frame"),
            (
                lambda r: write(r, annotations={**LABELS["VID01"], "2": None}),
                ValueError,
                r"VID01\.json, frame 2: it has no list of triplets, each of 15 numbers; restore",
            ),
            (
                lambda r: write(r, annotations={**LABELS["VID01"], "2": [triplet(0, None)]}),
                ValueError,
                r"VID01\.json, frame 2: triplet 0 and tool None are no whole numbers; restore",
            ),
            (lambda r: write(r, annotations=[]), ValueError, r"VID01\.json: annotations or categories are no mapping"),
            (lambda r: write(r, text="{"), ValueError, r"VID01\.json: this is no JSON"),
            (lambda r: write(r, text="{}"), ValueError, r"VID01\.json: 'categories' is missing"),
            (
                lambda r: write(r, text="[]"),
                ValueError,
                r"VID01\.json: annotations or categories are no mapping",
            ),
        ],
    )
    def test_is_named(self, root, damage, error, message):
        damage(root)
        with pytest.raises(error, match=message):
            load(root)

    def test_patient_in_two_splits(self, root):
        with pytest.raises(ValueError, match=r"cholect50: 'VID06' is in data\.test_videos and in data\.val_videos"):
            load(root, val_videos=["VID06"])

    def test_nothing_there(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="the root of CholecT50 holds videos and labels"):
            load(tmp_path)
