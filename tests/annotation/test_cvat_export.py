import json
import os
import stat
from pathlib import Path
from zipfile import ZipInfo

import numpy as np
import pytest
from miniature import three_frames
from miniature.cvat_annotator import give_back, png, tag, xml, zipped
from miniature.three_frames import ANATOMY, DRAWN, FILES, SIZE, A, B, C, states

from mtal.annotation import CvatOracle
from mtal.datasets.label_map import IGNORE

ONE = (three_frames.TOOLS, ANATOMY)
LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nanatomy/wall:150,0,0::\nanatomy/liver:200,0,0::\n"


@pytest.fixture
def oracle(dataset, tmp_path) -> CvatOracle:
    return CvatOracle(dataset, tmp_path / "desk")


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
        new = {p.name for p in tmp_path.rglob("*") if p not in before}
        assert new <= {"read.json", ".reading.lock"}

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
            (
                {"annotations.xml": '<!DOCTYPE a [<!ENTITY b "c">]><annotations>&b;</annotations>'},
                "XML declares entities",
            ),
        ],
    )
    def test_what_is_no_export(self, oracle, asked, files, told):
        path = zipped(asked, files)
        with pytest.raises(ValueError, match=rf"^{path}(, \w+\.\w+)?: .*{told}"):  # not where it was unpacked
            oracle.collect()

    def test_what_is_no_zip(self, oracle, asked):
        (asked / "given_back/job.zip").write_bytes(b"PK no")
        with pytest.raises(ValueError, match=r"job\.zip: this is no zip, whatever its name says; give the file that"):
            oracle.collect()

    def test_heads_that_were_others_when_asked(self, oracle, asked):
        about = json.loads((asked / "request.json").read_text())
        about["tasks"]["tools"]["classes"] = ["grasper", "clipper"]
        (asked / "request.json").write_text(json.dumps(about))
        with pytest.raises(ValueError, match="tools was asked for as grasper, clipper, and is grasper, hook now"):
            oracle.collect()
