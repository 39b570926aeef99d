import json
import os
import shutil
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from defusedxml import ElementTree
from miniature import three_frames
from miniature.cvat_annotator import give_back, mask, masks, tag, xml, zipped
from miniature.three_frames import ANATOMY, DRAWN, FILES, LAYERS, MAPS, SIZE, VESSELS, A, B, C, states
from PIL import Image
from pycocotools import mask as coco_mask

from mtal.annotation import CvatOracle, LabelsPendingError, Request, settle
from mtal.datasets.label_map import IGNORE


@pytest.fixture
def oracle(dataset, tmp_path) -> CvatOracle:
    return CvatOracle(dataset, tmp_path / "desk")


class TestTask:
    def test_is_all_that_cvat_needs(self, asked):
        assert sorted(p.name for p in asked.iterdir()) == [
            *("README.txt", "annotations.xml", "frames.csv", "given_back", "images.zip", "labels.json", "request.json")
        ]
        with ZipFile(asked / "images.zip") as archive:
            assert archive.namelist() == FILES
            with archive.open(FILES[1]) as file:
                assert np.asarray(Image.open(file)).tolist() == np.full((*SIZE, 3), 91).tolist()
        labels = {label["name"]: label for label in json.loads((asked / "labels.json").read_text())}
        assert list(labels)[:8] == [
            *("tools/grasper", "tools/hook", "phase/prepare", "phase/dissect", "anatomy/wall", "anatomy/liver"),
            *("vessels/artery", "vessels/bile duct"),
        ]
        assert list(labels)[8:10] == ["done", "unusable"]
        assert labels["anatomy/liver"] == {
            "name": "anatomy/liver",
            "color": "#c80000",
            "type": "any",
            "attributes": [],
        }
        assert labels["vessels/?"]["type"] == labels["tools/hook"]["type"] == "tag"
        colors = [label["color"] for label in labels.values()]
        assert len(set(colors)) == len(colors) == 18
        assert "#000000" not in colors
        text = (asked / "README.txt").read_text()
        assert "Give each image one of the tags phase/prepare, phase/dissect." in text
        assert "Upload annotations.xml" not in text  # nobody believes anything
        assert pd.read_csv(asked / "frames.csv")["image"].tolist() == FILES

    def test_shows_what_the_model_believes_to_the_pixel(self, oracle, request_of):
        believed = {
            "tools": np.array([0, 1], np.uint8),
            "phase": np.array(1, np.uint8),
            "anatomy": DRAWN,
            "vessels": LAYERS,
        }
        request = request_of(guess=lambda row, size: believed)
        oracle.ask(request)
        folder = oracle.root / request.id
        assert "Upload annotations.xml" in " ".join((folder / "README.txt").read_text().split())
        document = ElementTree.parse(folder / "annotations.xml").getroot()
        names = [label.findtext("name") for label in document.iterfind("meta/task/labels/label")]
        assert names == [label["name"] for label in json.loads((folder / "labels.json").read_text())]
        images = document.findall("image")
        assert [i.get("name") for i in images] == FILES
        assert [[e.tag for e in i] for i in images] == [["tag"] * 2 + ["mask"] * 4, ["tag"] * 2 + ["mask"] * 4, ["tag"]]
        # what is given back as it was handed out, but for what says that it is right, is what the model believes
        text = (folder / "annotations.xml").read_text().replace("  </image>", f"{tag('done')}</image>")
        zipped(folder, {"annotations.xml": text})
        oracle.collect()
        label = oracle.label([A, B], SIZE)
        for task, said in believed.items():
            np.testing.assert_array_equal(label[task], np.stack([said] * 2))

    def test_what_is_only_believed_is_still_owed(self, oracle, request_of):
        request = request_of(guess=lambda row, size: {"tools": np.array([0, 1], np.uint8)})
        oracle.ask(request)
        shutil.copy(oracle.root / request.id / "annotations.xml", oracle.root / request.id / "given_back/job.xml")
        with pytest.raises(
            LabelsPendingError,
            match=r"0 of 3 .*Answer in CVAT, as README.txt says, with exports into .*given_back, then",
        ):
            settle(oracle, request)

    def test_asked_again_changes_nothing(self, oracle, request_of, asked):
        before = (asked / "annotations.xml").stat().st_mtime_ns, len(oracle.store.rows())
        oracle.ask(request_of())
        assert ((asked / "annotations.xml").stat().st_mtime_ns, len(oracle.store.rows())) == before

    def test_held_out_frames_are_told(self, oracle, request_of):
        request = request_of(held_out=True)
        oracle.ask(request)
        assert "to test on and never to learn from" in (oracle.root / request.id / "README.txt").read_text()


class TestGivenBack:
    def test_every_state_comes_back_whatever_path_is_before_the_names(self, oracle, asked, request_of):
        images = {
            f"train/{FILES[0]}": [
                *(tag("tools/hook"), tag("tools/grasper"), tag("phase/dissect"), tag("done")),
                *masks("anatomy", ANATOMY.classes, DRAWN),
                *masks("vessels", VESSELS.classes, LAYERS),
            ],
            f"C:\\project\\{FILES[1]}": [tag("tools/done"), tag("phase/?"), *masks("anatomy", ANATOMY.classes, DRAWN)],
            FILES[2]: [tag("unusable")],
        }
        give_back(asked, images, SIZE)
        oracle.collect()
        labels = oracle.label([A, B, C], SIZE)
        assert labels["tools"].tolist() == [[1, 1], [0, 0], [IGNORE, IGNORE]]
        assert labels["phase"].tolist() == [1, IGNORE, IGNORE]
        np.testing.assert_array_equal(labels["anatomy"][0], DRAWN)
        np.testing.assert_array_equal(labels["vessels"][0], LAYERS)
        assert {key: s for key, s in states(oracle).items() if s != "labelled"} == {
            (B, "phase"): "not_annotated",
            (B, "anatomy"): "asked",  # drawn, and not done
            (B, "vessels"): "asked",
            (C, "tools"): "unusable",
        }
        status = oracle.status(request_of())
        assert (status.done, status.owed["anatomy"], status.by) == (2, [B], {"": 3})

    def test_an_older_export_that_comes_later_changes_nothing(self, oracle, asked):
        newer = give_back(asked, {FILES[0]: [tag("tools/grasper"), tag("tools/done")]}, SIZE, "newer.zip")
        os.utime(newer, ns=(10**18, 10**18))
        oracle.collect()
        hook = [tag("tools/hook"), tag("tools/done")]
        older = give_back(asked, {FILES[0]: hook, FILES[1]: hook}, SIZE, "older.zip")
        os.utime(older, ns=(10**17, 10**17))
        for _ in range(2):
            oracle.collect()
            assert oracle.label([A, B], SIZE)["tools"].tolist() == [[1, 0], [0, 1]]

    def test_nothing_drawn_is_nothing_there_where_classes_overlap_and_no_label_where_not(self, oracle, asked):
        give_back(asked, {FILES[0]: [tag("anatomy/done"), tag("vessels/done")]}, SIZE)
        oracle.collect()
        assert oracle.label([A], SIZE)["vessels"].max() == 0
        assert states(oracle)[A, "anatomy"] == "not_annotated"

    def test_the_upper_of_two_regions_counts(self, oracle, asked):
        left, top = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
        left[:, :15], top[:10] = True, True
        polygon = '<polygon label="anatomy/liver" points="0,0;30,0;30,10;0,10" z_order="0"></polygon>'
        give_back(
            asked,
            {
                FILES[0]: [mask("anatomy/wall", left, 1), mask("anatomy/liver", top), tag("anatomy/done")],
                FILES[1]: [mask("anatomy/wall", left), polygon, tag("anatomy/done")],
            },
            SIZE,
        )
        oracle.collect()
        first, second = oracle.label([A, B], SIZE)["anatomy"]
        assert (first[0, 0], first[0, 20], first[15, 0], first[15, 20]) == (0, 1, 0, IGNORE)
        assert (second[0, 0], second[0, 20], second[15, 0], second[15, 20]) == (1, 1, 0, IGNORE)

    def test_later_exports_correct_earlier_ones_and_nothing_is_taken_in_twice(self, oracle, asked, dataset):
        first = give_back(asked, {FILES[0]: [tag("tools/hook"), tag("done"), tag("phase/prepare")]}, SIZE, "b.zip")
        oracle.collect()
        rows = len(oracle.store.rows())
        again = CvatOracle(dataset, oracle.root)
        again.collect()
        assert len(again.store.rows()) == rows
        os.utime(first, ns=(0, 0))
        give_back(asked, {FILES[0]: [tag("tools/grasper"), tag("tools/done"), tag("phase/prepare")]}, SIZE, "a.zip")
        again.collect()
        assert again.label([A], SIZE)["tools"].tolist() == [[1, 0]]
        assert len(again.store.rows()) == rows + 1
        again.collect()
        assert again.label([A], SIZE)["tools"].tolist() == [[1, 0]]

    def test_two_annotators(self, oracle, asked, request_of):
        for who, tools in (("anna", ["hook"]), ("ben", ["hook", "grasper"]), ("cleo", [])):
            (asked / "given_back" / who).mkdir()
            marks = [tag("tools/done"), *(tag(f"tools/{t}") for t in tools)]
            (asked / "given_back" / who / "annotations.xml").write_text(xml({FILES[2]: marks}, SIZE))
        oracle.collect()
        assert oracle.label([C], SIZE)["tools"].tolist() == [[0, 1]]
        assert oracle.status(request_of()).by == {"anna": 1, "ben": 1, "cleo": 1}

    def test_coco_answers_pixels_where_it_shows_any(self, oracle, asked):
        names = ["anatomy/liver", "anatomy/wall", "vessels/artery", "vessels/bile duct"]
        layers = [DRAWN == 1, DRAWN == 0, LAYERS[0] == 1, LAYERS[1] == 1]
        rles = [coco_mask.encode(np.asfortranarray(some, dtype=np.uint8)) for some in layers]
        annotations = [
            {
                "id": k,
                "image_id": 5,
                "category_id": k,
                "iscrowd": 1,
                "bbox": [0, 0, 1, 1],
                "segmentation": {"size": list(SIZE), "counts": rle["counts"].decode()},
            }
            for k, rle in enumerate(rles)
        ]
        images = [
            {"id": 5 + k, "file_name": f"set/{file}", "height": SIZE[0], "width": SIZE[1]}
            for k, file in enumerate(FILES)
        ]
        categories = [{"id": k, "name": name, "supercategory": ""} for k, name in enumerate(names)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        zipped(asked, {"annotations/instances_default.json": json.dumps(content)})
        oracle.collect()
        labels = oracle.label([A], SIZE)
        np.testing.assert_array_equal(labels["anatomy"][0], DRAWN)
        np.testing.assert_array_equal(labels["vessels"][0], LAYERS)
        assert {key for key, s in states(oracle).items() if s == "labelled"} == {(A, "anatomy"), (A, "vessels")}


def test_masks_survive_to_the_pixel_at_the_size_of_a_video(tmp_path):
    size = (480, 854)
    (tmp_path / "pictures").mkdir()
    oracle = CvatOracle(three_frames.write(tmp_path / "pictures", size), tmp_path / "desk")
    noise = np.random.default_rng(3)
    drawn = np.kron(noise.integers(0, 2, (48, 61)), np.ones((10, 14), int)).astype(np.uint8)
    drawn[noise.random(size) < 0.01] = IGNORE
    layers = (noise.random((2, *size)) < 0.3).astype(np.uint8)
    believed = {"anatomy": drawn, "vessels": layers}
    request = Request(
        "01", oracle.dataset.index.select([A]), [m.task for m in MAPS], np.ones((1, 4), bool), guess=lambda *_: believed
    )
    oracle.ask(request)
    folder = oracle.root / request.id
    text = (folder / "annotations.xml").read_text()
    marks = f"{tag('anatomy/done')}{tag('vessels/done')}</image>"
    zipped(folder, {"annotations.xml": text.replace("</image>", marks)})
    oracle.collect()
    label = oracle.label([A], size)
    np.testing.assert_array_equal(label["anatomy"][0], drawn)
    np.testing.assert_array_equal(label["vessels"][0], layers)
