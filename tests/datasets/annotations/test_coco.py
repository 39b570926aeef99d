import json

import numpy as np
import pytest
from miniature import annotated
from miniature.squares import H, W, picture, save

from mtal.datasets.annotations import coco, files


@pytest.fixture
def content(root):
    return annotated.coco(root)


def read(root, content, images=None):
    (root / "coco.json").write_text(json.dumps(content))
    return coco.read(root / "coco.json", images)


class TestRead:
    @pytest.mark.parametrize(("height", "width"), [(12.0, 16.0), ("12", "16"), ("12.0", 16), (None, "16")])
    def test_ways_to_state_a_size(self, root, content, height, width):
        for image in content["images"]:
            image |= {"height": height, "width": width}
        assert {i.size for i in read(root, content).images} == {(H, W)}

    def test_attributes_and_tags(self, root, content):
        content["images"][0] |= {"tags": ["smoke"], "attributes": {"blurred": True, "view": "liver", "day": 3}}
        content["annotations"][0]["attributes"] = {"occluded": False, "state": "cut"}
        marks = read(root, content).images[0].marks
        assert [m.names for m in marks[:4]] == [("smoke",), ("blurred",), ("view=liver",), ("liver", "liver/state=cut")]
        assert [m.kind for m in marks] == ["tag", "tag", "tag", "region", "region", "box"]

    def test_polygons_without_area_are_no_outline(self, root, content):
        content["annotations"][0]["segmentation"] = [[1, 1, 4, 4]]  # pycocotools would take this for a box
        assert read(root, content).images[0].marks[0].kind == "box"

    @pytest.mark.parametrize(
        ("file", "images"),
        [
            ("annotations/instances_train2017.json", "train2017"),
            ("annotations/instances_default.json", "images/default"),
            ("annotations/instances.json", "images"),
            ("train/_annotations.coco.json", "train"),
        ],
    )
    def test_where_tools_put_images(self, tmp_path, content, file, images):
        for image in content["images"]:
            image["file_name"] = image["file_name"].replace("/", "_").replace(".png", "_x.png")
            save(tmp_path / "set" / images / image["file_name"], picture(1))
        path = tmp_path / "set" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        found = coco.read(path, None)
        assert found.base == tmp_path / "set" / images
        assert {i.split for i in found.images} == {"pool" if "train" in file else None}

    def test_another_folder_of_images(self, root, content):
        for image in content["images"]:
            image["file_name"] = image["file_name"].removeprefix("images/").replace("/", "\\")
        assert read(root, content, root / "images").images[0].file == "ada/0004.png"


def damaged(**changes):
    """What changes one entry of a list by its place: ``images_0={…}``."""

    def change(content):
        for key, value in changes.items():
            name, _, place = key.partition("_")
            content[name][int(place)] |= value

    return change


class TestDamage:
    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (damaged(images_0={"file_name": None}), r"images without 'id' or 'file_name': 1 \(entry 0\)"),
            (damaged(images_1={"id": 10}), r"images with the id of another: 1 \('images/ada/0009\.png' with 10\)"),
            (
                damaged(images_1={"file_name": "images/ada/0004.png"}),
                r"images listed twice: 1 \('images/ada/0004\.png'",
            ),
            (
                damaged(images_0={"height": 99}),
                r"another size than the annotations say: 1 \(0004\.png is 12x16.*not 99",
            ),
            (
                damaged(images_0={"height": 99.0}),
                r"another size than the annotations say: 1 \(0004\.png is 12x16.*not 99",
            ),
            (
                damaged(images_0={"width": "99"}),
                r"another size than the annotations say: 1 \(0004\.png is 12x16.*not 12x99",
            ),
            (
                damaged(images_0={"height": "tall"}, images_1={"width": 16.5}, images_2={"width": True}),
                r"size that cannot be read: 3 \('images/ada/0004\.png': height 'tall' is no number of pixels, .*16\.5",
            ),
            (
                damaged(annotations_0={"image_id": 7}, annotations_1={"image_id": [1]}),
                r"images that are not listed: 2 \(annotation 0: image_id 7, annotation 1: image_id \[1\]\)",
            ),
            (
                damaged(annotations_0={"category_id": 9}, annotations_2={"category_id": None}),
                r"annotations of categories that are not listed: 2 \(annotation 0: category_id 9, annotation 2: cat",
            ),
            (
                damaged(annotations_0={"segmentation": [[1, 1, 4, 4, 2]]}),
                r"annotation 0: a polygon of 5 numbers, which",
            ),
            (
                damaged(annotations_0={"segmentation": [["a"] * 6]}),
                r"annotation 0: a polygon holds \"\['a', .*no list of",
            ),
            (
                damaged(annotations_0={"segmentation": [[0, 0, 5, 5, 4e9, 1]]}),
                r"a point at 4e\+09, 1, far outside of 12x16",
            ),
            (
                damaged(annotations_1={"segmentation": {"size": [3, 3], "counts": [9]}}),
                r"annotation 1: run lengths of the size \[3, 3\] for an image of 12x16",
            ),
            (
                damaged(annotations_1={"segmentation": {"size": [H, W], "counts": [5, 9]}}),
                r"annotation 1: run lengths of 14 pixels for a mask of 12x16",
            ),
            (
                damaged(annotations_1={"segmentation": {"size": [H, W], "counts": [-1, H * W + 1]}}),
                r"annotation 1: run lengths that are no list of whole numbers from 0 on",
            ),
            (damaged(annotations_1={"segmentation": {"size": [H, W], "counts": "P"}}), r"run lengths that break off"),
            (damaged(annotations_1={"segmentation": {"size": [H, W], "counts": "é"}}), r"the character 'é'"),
            (damaged(annotations_0={"segments_info": []}), r"this is panoptic COCO"),
            (lambda c: c.pop("images"), r"this is no COCO file, which has a list 'images'; say .* data\.format"),
            (lambda c: c.update(annotations={}), r"this is no COCO file, which has a list 'annotations'"),
        ],
    )
    def test_is_named(self, root, content, damage, message):
        damage(content)
        with pytest.raises(ValueError, match=r"coco\.json: .*" + message):
            read(root, content)

    def test_all_missing_images_at_once(self, root, content):
        for k in range(4):
            content["images"].append({"id": k, "file_name": f"gone/{k}.png"})
        with pytest.raises(
            FileNotFoundError, match=r"missing: 4 \(gone/0\.png, gone/1\.png, gone/2\.png, …\).*data\.root"
        ):
            read(root, content)

    @pytest.mark.parametrize("name", ["../../secret.png", "/etc/secret.png", "C:\\secret.png", "a/../../b.png"])
    def test_paths_that_lead_out_of_the_folder(self, root, content, name):
        content["images"][0]["file_name"] = name
        with pytest.raises(ValueError, match=r"lead out of the folder of images: 1 \(.*write paths from data\.root"):
            read(root, content)

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("{", r"this is no JSON \("),
            ("\xff", r"this is no text in UTF-8, as JSON is \("),
            ("[" * 100_000, "lists in lists, deeper than any annotations are"),
            ('{"images": 1' + "0" * 5000 + "}", r"a number in it cannot be read \(Exceeds"),
        ],
        ids=["cut", "bytes", "deep", "digits"],
    )
    def test_no_json(self, root, text, told):
        (root / "coco.json").write_bytes(text.encode("latin-1"))
        with pytest.raises(ValueError, match=rf"coco\.json: {told}.*; export it again"):
            coco.read(root / "coco.json", None)

    def test_too_large(self, root, content, monkeypatch):
        monkeypatch.setattr(files, "MOST_BYTES", 100)
        with pytest.raises(
            ValueError, match=r"coco\.json: .*too much to read at once; .*'data\.path=\[a\.json,b\.json\]'"
        ):
            read(root, content)

    def test_an_archive(self, root):
        (root / "coco.zip").write_bytes(b"")
        with pytest.raises(ValueError, match=r"coco\.zip: unpack this archive"):
            coco.read(root / "coco.zip", None)

    def test_no_file(self, root):
        with pytest.raises(FileNotFoundError, match=r"nothing\.json: there is no such file of annotations"):
            coco.read(root / "nothing.json", None)

    def test_numbers_that_are_not_finite(self, root, content):
        content["annotations"][0]["segmentation"] = [[0, 0, 4, 0, np.nan, 4]]
        with pytest.raises(ValueError, match=r"a point at nan, 4, far outside"):
            read(root, content)
