import json
import shutil
from functools import partial

import numpy as np
import pytest
from miniature import annotated
from miniature.annotated import FRAMES, HEADS
from miniature.squares import H, W, grow, picture, save, shrink

from mtal.datasets import table
from mtal.datasets.annotations import load
from mtal.datasets.label_map import IGNORE
from mtal.datasets.split_report import split_report

held_out = partial(load, test_patients=["ben"])


def write(root, kind):
    """Write one format; path and format for :func:`load`."""
    written = {
        "coco": (annotated.coco, "coco.json"),
        "cvat": (annotated.cvat, "annotations.xml"),
        "labelme": (annotated.labelme, "images"),
        "voc": (annotated.voc, "."),
        "yolo": (annotated.yolo, "data.yaml"),
    }
    writer, path = written[kind]
    writer(root)
    return {"path": root / path, "format": kind}


def labels(dataset, task="anatomy", size=(H, W)):
    return dataset.labels.targets(task, dataset.index.frame_ids, size)


class TestTheSameLabels:
    @pytest.mark.parametrize("kind", ["coco", "cvat", "labelme", "voc", "yolo"])
    def test_in_every_format(self, root, kind):
        expected = table.load(root / "frames.csv", mask_classes={0: "other", 1: "liver", 2: "fat"})
        found = held_out(**write(root, kind), heads=HEADS)
        for task in ("tools", "anatomy"):
            assert found.label_map(task).classes == expected.label_map(task).classes
            np.testing.assert_array_equal(labels(found, task), labels(expected, task))
        same = ["patient", "frame", "time_s", "split"]
        assert found.index.table[same].equals(expected.index.table[same])
        if kind in ("coco", "cvat"):
            assert found.index.table.equals(expected.index.table)

    @pytest.mark.parametrize("kind", ["coco", "cvat", "labelme", "voc", "yolo"])
    def test_in_a_folder_that_moved(self, root, kind, tmp_path_factory):
        here = write(root, kind)
        moved = shutil.copytree(root, tmp_path_factory.mktemp("moved") / "elsewhere")
        there = here | {"path": moved / here["path"].relative_to(root)}
        expected, found = (held_out(**place, heads=HEADS) for place in (here, there))
        same = expected.index.table.columns.drop("source")
        assert found.index.table[same].equals(expected.index.table[same])
        np.testing.assert_array_equal(labels(found), labels(expected))

    @pytest.mark.parametrize("one_for_each_class", [False, True])
    def test_in_mask_images(self, root, one_for_each_class):
        expected = [np.array(grow(squares)) for squares, _ in FRAMES.values()]
        anatomy = HEADS["anatomy"] | ({} if one_for_each_class else {"classes": {1: "liver", 2: "fat"}})
        annotated.masks_of_classes(root)
        path = root / ("masks" if one_for_each_class else "gray")
        found = held_out(path, "masks", heads={"anatomy": anatomy})
        np.testing.assert_array_equal(labels(found), expected)  # gray values are class numbers

    def test_what_the_lists_of_images_hold_out(self, root):
        for kind in ("voc", "yolo"):
            assert load(**write(root, kind), heads=HEADS).index.table["split"].tolist() == ["pool", "pool", "test"]


class TestWhatIsNotMarked:
    def test_frames_without_annotations(self, root):
        for name in ("ada/0007", "ben/0001"):
            save(root / "images" / f"{name}.png", picture(7))
        for kind, frames in (("coco", 3), ("cvat", 3), ("voc", 5), ("yolo", 5)):
            dataset = held_out(**write(root, kind), heads=HEADS)
            assert len(dataset.index) == frames
            if frames == 5:  # ada 4, 7, 9, ben 1, 2
                assert labels(dataset, "tools").tolist() == [[1, 0], [IGNORE] * 2, [0, 0], [IGNORE] * 2, [1, 1]]
                assert (labels(dataset)[[1, 3]] == IGNORE).all()

    def test_an_empty_image_may_be_one_that_nobody_looked_at(self, root):
        dataset = held_out(**write(root, "coco"), heads=HEADS, empty="unknown")
        assert labels(dataset, "tools").tolist() == [[1, 0], [IGNORE, IGNORE], [1, 1]]
        assert (labels(dataset)[1] == IGNORE).all()

    def test_pixels_without_a_class_for_the_rest(self, root):
        anatomy = {"support": "pixel", "classes": ["liver", "fat"]}
        dataset = held_out(**write(root, "coco"), heads={"anatomy": anatomy})
        i = IGNORE
        assert shrink(labels(dataset)[0]) == [[i, 0, 0, i], [i, 0, 1, i], [i, i, 1, 1]]
        assert (labels(dataset)[1] == i).all()

    def test_much_background_of_masks_that_is_no_class(self, root):
        """25 of 36 squares: what is neither learnt nor scored makes scores look better than they are."""
        annotated.masks_of_classes(root)
        anatomy = {"support": "pixel", "classes": {1: "liver", 2: "fat"}}
        told = r"gray: the background is 69% of .*\(3\).*\.anatomy 'rest: background', or, .* 'rest: null'"
        with pytest.warns(UserWarning, match=told):
            dataset = held_out(root / "gray", "masks", heads={"anatomy": anatomy})
        assert (labels(dataset)[1] == IGNORE).all()
        for way_out in ({"rest": None}, {"rest": "background"}, {"classes": {0: "none", 1: "liver", 2: "fat"}}):
            held_out(root / "gray", "masks", heads={"anatomy": anatomy | way_out})

    def test_a_box_is_no_outline(self, root):
        content = annotated.coco(root)
        for entry in content["annotations"]:
            if entry["image_id"] == 10 and entry["category_id"] == 2:
                entry["segmentation"] = []
        (root / "coco.json").write_text(json.dumps(content))
        with pytest.warns(UserWarning, match=r"1 images have classes of anatomy without an outline; their"):
            dataset = held_out(root / "coco.json", "coco", heads=HEADS)
        assert (labels(dataset)[0] == IGNORE).all()
        assert shrink(labels(dataset)[2]) == FRAMES["ben/0002"][0]

    def test_a_missing_mask_of_one_class_says_nothing_of_it(self, root):
        annotated.masks_of_classes(root)
        (root / "masks/fat/ada/0004_mask.png").unlink()
        heads = {
            "any": {"classes": ["liver", "fat"]},
            "layers": {"kind": "multilabel", "support": "pixel", "classes": ["liver", "fat"]},
            "anatomy": HEADS["anatomy"],
        }
        dataset = held_out(root / "masks", "masks", heads=heads)
        assert labels(dataset, "any").tolist() == [[1, IGNORE], [0, 0], [1, 1]]
        layers = labels(dataset, "layers")
        assert shrink(layers[0, 0]) == [[0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
        assert (layers[0, 1] == IGNORE).all()
        i = IGNORE  # what is not liver may be fat
        assert shrink(labels(dataset)[0]) == [[i, 1, 1, i], [i, 1, i, i], [i, i, i, i]]
        assert split_report(dataset).shown[:, 2:4].tolist() == [[1, IGNORE], [0, 0], [1, 1]]


class TestOverlap:
    @pytest.fixture
    def path(self, root):
        """Liver over the left half, then fat over its upper eighth, then a tool over everything."""
        content = annotated.coco(root)
        whole, half, corner = ([0, 0, w, 0, w, h, 0, h] for w, h in ((16, 12), (8, 12), (4, 4)))
        content["annotations"] = [
            {"id": k, "image_id": 10, "category_id": category, "segmentation": [ring]}
            for k, (category, ring) in enumerate([(2, corner), (1, half), (3, whole)])
        ]
        (root / "coco.json").write_text(json.dumps(content))
        return root / "coco.json"

    def test_the_smaller_lies_on_top(self, path):
        mask = labels(held_out(path, "coco", heads={"anatomy": HEADS["anatomy"]}))[0]
        i = IGNORE  # under the tool
        assert shrink(mask) == [[2, 1, i, i], [1, 1, i, i], [1, 1, i, i]]

    def test_the_later_lies_on_top(self, path):
        heads = {"anatomy": HEADS["anatomy"] | {"classes": ["liver", "fat", "hook"]}}
        mask = labels(held_out(path, "coco", heads=heads, overlap="later"))[0]
        assert shrink(mask) == [[3] * 4] * 3

    def test_classes_that_may_overlap(self, path):
        layers = {"kind": "multilabel", "support": "pixel", "classes": ["liver", "fat"]}
        mask = labels(held_out(path, "coco", heads={"anatomy": layers}))[0]
        assert shrink(mask[0]) == [[1, 1, 0, 0]] * 3
        assert shrink(mask[1]) == [[1, 0, 0, 0], [0] * 4, [0] * 4]

    def test_categories_of_one_class(self, path):
        heads = {"a": {"support": "pixel", "classes": {"liver": "organ", "fat": "organ", "hook": "tool"}}}
        mask = labels(held_out(path, "coco", heads=heads), "a")[0]
        assert shrink(mask) == [[0, 0, 1, 1]] * 3


class TestSplits:
    def test_nobody_is_held_out(self, root):
        with pytest.raises(ValueError, match=r"nothing tells what is held out; give data\.test_patients, of ada, ben"):
            load(**write(root, "coco"), heads=HEADS)

    def test_lists_that_share_patients(self, root):
        given = write(root, "voc")
        (root / "ImageSets/Main/test.txt").write_text("ben/0002\nada/0009\n")
        (root / "ImageSets/Main/train.txt").write_text("ada/0004\n")
        with pytest.raises(ValueError, match=r"share patients: 1 \(ada\).* give data\.test_patients, of ada, ben"):
            load(**given, heads=HEADS)
        assert held_out(**given, heads=HEADS).index.table["split"].tolist() == ["pool", "pool", "test"]

    def test_several_files(self, root):
        content = annotated.coco(root)
        for split, ids in (("train", (10, 11)), ("test", (12,))):
            images = [i for i in content["images"] if i["id"] in ids]
            marks = [a for a in content["annotations"] if a["image_id"] in ids]
            (root / f"{split}.json").write_text(json.dumps(content | {"images": images, "annotations": marks}))
        paths = [root / "train.json", root / "test.json"]
        dataset = load(paths, "coco", heads=HEADS)
        assert dataset.index.table["split"].tolist() == ["pool", "pool", "test"]
        np.testing.assert_array_equal(labels(dataset), [grow(squares) for squares, _ in FRAMES.values()])
        with pytest.raises(ValueError, match=r"images that another file lists too: 1 \(images/ben/0002\.png in .*test"):
            load([root / "coco.json", root / "test.json"], "coco", heads=HEADS)


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"format": "cocoo"}, r"data\.format='cocoo' is none of coco, .*did you mean 'coco'"),
            ({"empty": "absnt"}, r"data\.empty='absnt' is none of absent, unknown, did you mean 'absent'"),
            ({"overlap": "larger"}, r"data\.overlap='larger' is none of smaller, later"),
        ],
    )
    def test_misspelt(self, root, options, message):
        with pytest.raises(ValueError, match=message):
            held_out(**write(root, "coco") | options, heads=HEADS)

    def test_a_frame_with_two_classes_that_exclude_each_other(self, root):
        heads = {"tool": {"kind": "exclusive", "classes": ["hook", "clip"]}}
        with pytest.raises(ValueError, match=r"several classes of tool.*: 1 \(images/ben/0002\.png has clip and"):
            held_out(**write(root, "coco"), heads=heads)

    def test_an_exclusive_frame_head(self, root):
        heads = {"a": {"kind": "exclusive", "classes": {"hook": "yes"}}}
        assert labels(held_out(**write(root, "coco"), heads=heads), "a").tolist() == [0, IGNORE, 0]
