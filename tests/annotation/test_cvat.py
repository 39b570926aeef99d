import json
import os
import shutil
import stat
from functools import partial
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import numpy as np
import pandas as pd
import pytest
from defusedxml import ElementTree
from miniature import three_frames
from miniature.cvat_annotator import give_back, mask, masks, png, tag, xml, zipped
from miniature.three_frames import ANATOMY, FILES, MAPS, VESSELS, A, B, C
from PIL import Image
from pycocotools import mask as coco_mask

from mtal.annotation import CvatOracle, LabelsPendingError, Request, settle
from mtal.annotation.cvat_labels import CvatLabels
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_map import IGNORE, LabelMap

SIZE = (20, 30)
GENERATOR = np.random.default_rng(0)
DRAWN = GENERATOR.choice(np.array([0, 1, IGNORE], np.uint8), SIZE)
LAYERS = GENERATOR.integers(0, 2, (2, *SIZE)).astype(np.uint8)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> SurgicalDataset:
    return three_frames.write(tmp_path_factory.mktemp("pictures"), SIZE)


@pytest.fixture
def request_of(dataset):
    return partial(three_frames.request, dataset)


@pytest.fixture
def oracle(dataset, tmp_path) -> CvatOracle:
    return CvatOracle(dataset, tmp_path / "desk")


@pytest.fixture
def asked(oracle, request_of) -> Path:
    """The folder of a request."""
    oracle.ask(request_of())
    return oracle.root / request_of().id


def states(oracle) -> dict[tuple[str, str], str]:
    return {(f, t): s for f, t, s in oracle.view.states.itertuples(index=False)}


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
        with pytest.raises(LabelsPendingError, match=r"0 of 3 frames are done.*Answer in .*given_back"):
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


ONE = (three_frames.TOOLS, ANATOMY)
LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nanatomy/wall:150,0,0::\nanatomy/liver:200,0,0::\n"


class TestMasks:
    @pytest.fixture
    def oracle(self, tmp_path) -> CvatOracle:
        (tmp_path / "pictures").mkdir()
        return CvatOracle(three_frames.write(tmp_path / "pictures", SIZE, ONE), tmp_path / "desk")

    @pytest.fixture
    def asked(self, oracle) -> Path:
        request = three_frames.request(oracle.dataset)
        oracle.ask(request)
        return oracle.root / request.id

    def test_a_mask_export_answers_the_one_head_of_pixels(self, oracle, asked):
        colors = np.array([(150, 0, 0), (200, 0, 0), (0, 0, 0)], np.uint8)
        drawn = colors[np.where(DRAWN == IGNORE, 2, DRAWN)]
        files = {f"SegmentationClass/x/{FILES[0]}": png(drawn), f"SegmentationClass/{FILES[1]}": png(0 * drawn)}
        zipped(asked, {"labelmap.txt": LABELMAP, **files})
        oracle.collect()
        np.testing.assert_array_equal(oracle.label([A], SIZE)["anatomy"][0], DRAWN)
        assert {key for key, s in states(oracle).items() if s == "labelled"} == {(A, "anatomy")}

    def test_unknown_colours_labels_and_sizes_are_told_and_the_rest_is_taken_in(self, oracle, asked):
        good = np.full((*SIZE, 3), (150, 0, 0))
        files = {
            f"SegmentationClass/{FILES[0]}": png(good),
            f"SegmentationClass/{FILES[1]}": png(np.full((*SIZE, 3), (9, 9, 8))),
            "SegmentationClass/004_v_000003.png": png(good),
        }
        path = zipped(asked, {"labelmap.txt": LABELMAP + "organ:3,3,3::\n", **files})
        other = {f"SegmentationClass/{FILES[1]}": png(np.full((*SIZE, 3), 3))}
        zipped(asked, {"labelmap.txt": LABELMAP + "organ:3,3,3::\n", **other}, "job_2.zip")
        small = {f"SegmentationClass/{FILES[1]}": png(good[:5])}
        zipped(asked, {"labelmap.txt": LABELMAP, **small}, "job_3.zip")
        with pytest.raises(ValueError, match=r"^4 faults") as error:
            oracle.collect()
        told = "\n".join(map(str, error.value.refused))
        for part in (
            f"{path}, SegmentationClass/{FILES[1]}: colour 9/9/8 stands for no class",
            f"{path}, SegmentationClass/004_v_000003.png: nobody asked for it, did you mean '00",
            f"job_2.zip, SegmentationClass/{FILES[1]}: label 'organ' is none that was asked for; call it as",
            f"job_3.zip, SegmentationClass/{FILES[1]}: it is 5x30 (height x width), but its frame is 20x30",
        ):
            assert part in told
        assert oracle.label([A], SIZE)["anatomy"].max() == 0


def test_masks_of_one_label_per_pixel_cannot_tell_what_overlaps(oracle, asked):
    zipped(asked, {"labelmap.txt": LABELMAP, f"SegmentationClass/{FILES[0]}": png(np.zeros((*SIZE, 3)))})
    with pytest.raises(
        ValueError, match=r"cannot tell what of anatomy and vessels lies below another; export the task as"
    ):
        oracle.collect()


class TestRefused:
    def test_all_faults_are_told_at_once_and_the_rest_is_taken_in(self, oracle, asked):
        box = '<box label="anatomy/wall" xtl="1" ytl="1" xbr="5" ybr="5"></box>'
        images = {
            FILES[0]: [tag("tools/huk"), tag("done"), tag("phase/prepare")],
            FILES[1]: [
                *(tag("done"), tag("tools/hook"), tag("phase/prepare"), tag("phase/dissect"), box),
                '<mask label="vessels/artery" rle="3, 3" left="28" top="0" width="3" height="2" z_order="0"></mask>',
            ],
            FILES[2]: [tag("done"), tag("tools/grasper")],
            f"again/{FILES[2]}": [tag("done")],
            "004_v_000003.png": [tag("done")],
        }
        path = give_back(asked, images, SIZE)
        give_back(asked, {FILES[0]: [tag("done")]}, (5, 5), "small.zip")
        (asked / "given_back" / "notes.txt").write_text("to do")
        with pytest.raises(ValueError, match=r"^8 faults") as error:
            oracle.collect()
        told = "\n".join(map(str, error.value.refused))
        for part in (
            f"{asked}/given_back/notes.txt: this is no export of CVAT, which is one of .zip, .xml, .json; take it away",
            f"{path}, annotations.xml, image '{FILES[0]}': label 'tools/huk' is none that was asked for, did you mean",
            "did you mean 'tools/hook'?; call it as labels.json does, or take it out",
            f"image '{FILES[1]}': 'phase/dissect' and 'phase/prepare' exclude each other; keep one",
            f"image '{FILES[1]}': 'anatomy/wall' is a box, which has no outline; draw a mask or a polygon",
            f"image '{FILES[1]}': outlines that cannot be drawn: 1 (<mask> in {FILES[1]}: a mask of 2x3",
            f"image 'again/{FILES[2]}': it is there twice; keep one",
            "image '004_v_000003.png': nobody asked for it, did you mean",
            f"small.zip, annotations.xml, image '{FILES[0]}': it is 5x5 (height x width), but its frame is 20x30",
        ):
            assert part in told
        assert oracle.label([B, C], SIZE)["tools"].tolist() == [[0, 1], [1, 0]]
        rows = len(oracle.store.rows())
        with pytest.raises(ValueError, match=r"^8 faults"):  # until they are mended
            oracle.collect()
        assert len(oracle.store.rows()) == rows

    def test_what_an_export_with_faults_got_right_is_not_taken_in_over_a_later_one(self, oracle, asked):
        first = give_back(asked, {FILES[0]: [tag("tools/hook"), tag("tools/done")], "x.png": []}, SIZE, "1.zip")
        os.utime(first, ns=(0, 0))
        with pytest.raises(ValueError, match="nobody asked for it"):
            oracle.collect()
        give_back(asked, {FILES[0]: [tag("tools/done")]}, SIZE, "2.zip")
        for _ in range(2):
            with pytest.raises(ValueError, match="nobody asked for it"):
                oracle.collect()
            assert oracle.label([A], SIZE)["tools"].tolist() == [[0, 0]]

    def test_done_without_the_one_tag_that_there_must_be(self, oracle, asked):
        give_back(asked, {FILES[0]: [tag("phase/done")]}, SIZE)
        with pytest.raises(
            ValueError, match=r"phase is done, and has none of the tags phase/prepare, phase/dissect; give"
        ):
            oracle.collect()

    @pytest.mark.parametrize("name", ["../annotations.xml", "/etc/annotations.xml", "a/../../b.xml"])
    def test_a_zip_that_climbs_out_of_its_folder(self, oracle, asked, name, tmp_path):
        path = zipped(asked, {"annotations.xml": xml({FILES[0]: [tag("done")]}, SIZE), name: "<annotations/>"})
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(ValueError, match=rf"{path}: it holds '{name}', which leads out of its folder, so nothing"):
            oracle.collect()
        assert set(states(oracle).values()) == {"asked"}
        assert [p for p in sorted(tmp_path.rglob("*")) if p not in before and p.name != "read.json"] == []

    def test_a_zip_with_a_link(self, oracle, asked):
        link = ZipInfo("annotations.xml")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        zipped(asked, {link: "/etc/passwd"})
        with pytest.raises(ValueError, match=r"it holds 'annotations.xml', which leads out of its folder"):
            oracle.collect()

    @pytest.mark.parametrize(
        ("files", "told"),
        [
            ({"images/a.png": b""}, "there are no annotations in it that are read; export the task as CVAT for images"),
            (
                {"annotations.xml": "<annotations><track/></annotations>"},
                "this is 'CVAT for video 1.1'; export the task",
            ),
            ({"annotations.xml": "<annotations>"}, "this is no XML of annotations"),
            ({"a.json": "{}"}, "this is no COCO file"),
            ({"labelmap.txt": "a:1,2::"}, "cannot tell what of anatomy and vessels"),
            ({"annotations.xml": '<!DOCTYPE a [<!ENTITY b "c">]><annotations>&b;</annotations>'}, "no XML of annot"),
        ],
    )
    def test_what_is_no_export(self, oracle, asked, files, told):
        path = zipped(asked, files)
        with pytest.raises(ValueError, match=rf"^{path}(, \w+\.\w+)?: .*{told}"):  # not where it was unpacked
            oracle.collect()

    def test_what_is_no_zip(self, oracle, asked):
        (asked / "given_back/job.zip").write_bytes(b"PK no")
        with pytest.raises(ValueError, match=r"job\.zip: this is no zip that can be read .*; export it again"):
            oracle.collect()

    def test_heads_that_were_others_when_asked(self, oracle, asked):
        about = json.loads((asked / "request.json").read_text())
        about["tasks"]["tools"]["classes"] = ["grasper", "clipper"]
        (asked / "request.json").write_text(json.dumps(about))
        with pytest.raises(ValueError, match="tools was asked for as grasper, clipper, and is grasper, hook now"):
            oracle.collect()


class TestLabels:
    def test_colours_of_two_heads_are_told_apart(self):
        other = LabelMap("organs", "pixel", True, ("liver", "gut"), ((200, 0, 0), (0, 0, 0)))
        colors = CvatLabels([ANATOMY, other]).colors
        assert colors["anatomy/liver"] == (200, 0, 0)
        assert len(set(colors.values())) == len(colors)
        assert (0, 0, 0) not in colors.values()

    def test_names_that_cvat_cannot_have(self):
        long = LabelMap("tools", "frame", False, ("x" * 60,), ((1, 0, 0),))
        with pytest.raises(ValueError, match=r"CVAT takes labels of 64 signs, and 'tools/xxx.*' has 66"):
            CvatLabels([long])
        same = LabelMap("tools", "frame", False, ("done",), ((1, 0, 0),))
        with pytest.raises(ValueError, match=r"two labels would be called 'tools/done'; rename the head or the class"):
            CvatLabels([same])


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
