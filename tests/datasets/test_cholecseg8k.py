import re
import shutil
import warnings
from functools import partial

import numpy as np
import pytest
from miniature import cholecystectomy, film
from miniature.squares import H, W, shrink
from PIL import Image

from mtal.datasets import cholecseg8k
from mtal.datasets.label_map import IGNORE
from mtal.frames.cache import FrameCache

load = partial(cholecseg8k.load, test_videos=["video12"])


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("cholec")
    cholecystectomy.write_cholec80(root / "cholec80")
    cholecystectomy.write_cholecseg8k(root / "seg8k")
    return root


@pytest.fixture
def root(written, tmp_path):
    return shutil.copytree(written, tmp_path / "data")


class TestLabels:
    def test_frames(self, written):
        table = load(written / "seg8k", written / "cholec80").index.table
        assert table["frame_id"].tolist() == [
            "video01/000024",
            "video01/000025",
            "video01/000026",
            "video12/000010",
            "video12/000011",
        ]
        assert table["patient"].tolist() == ["video01"] * 3 + ["video12"] * 2
        assert table["split"].tolist() == ["pool"] * 3 + ["test"] * 2
        np.testing.assert_allclose(table["time_s"], [0.96, 1.0, 1.04, 0.4, 0.44])  # frame / 25

    def test_tools_of_cholec80(self, written):
        dataset = load(written / "seg8k", written / "cholec80")
        tools = dataset.labels.targets("tools", dataset.index.frame_ids)
        # frame 24 takes row 0, frames 25 and 26 take row 25; both frames of video12 take row 0
        assert tools.tolist() == [
            [1, 0, 1, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 1],
            [0, 0, 0, 0, 0, 0, 1],
            [0, 0, 1, 1, 0, 0, 0],
            [0, 0, 1, 1, 0, 0, 0],
        ]
        assert dataset.label_map("tools").classes[6] == "specimen bag"

    def test_phase_of_cholec80(self, written):
        dataset = load(written / "seg8k", written / "cholec80")
        # calot triangle dissection in frames 10 to 39 of video01, retraction from frame 5 on in video12
        assert dataset.labels.targets("phase", dataset.index.frame_ids).tolist() == [1, 1, 1, 6, 6]
        assert [m.task for m in load(written / "seg8k").label_maps] == ["tools", "bleeding", "anatomy"]

    def test_tools_of_the_masks(self, written):
        dataset = load(written / "seg8k")
        assert dataset.label_map("tools").classes == ("grasper", "L-hook")
        tools = dataset.labels.targets("tools", dataset.index.frame_ids)
        assert tools.tolist() == [[1, 1], [0, 0], [0, 0], [0, 1], [0, 1]]

    def test_tools_of_the_masks_beside_cholec80(self, written):
        dataset = load(written / "seg8k", written / "cholec80", tools="masks", tool_area=1 / 12)
        # more than a twelfth: only the two squares of hook in frame 10 of video12
        assert dataset.labels.targets("tools", dataset.index.frame_ids).tolist() == [[0, 0]] * 3 + [[0, 1], [0, 0]]

    @pytest.mark.parametrize(("area", "expected"), [(0.001, [1, 0, 1, 0, 0]), (1 / 12, [0, 0, 1, 0, 0])])
    def test_bleeding_above_an_area(self, written, area, expected):
        dataset = load(written / "seg8k", blood_area=area)
        assert dataset.labels.targets("bleeding", dataset.index.frame_ids)[:, 0].tolist() == expected

    def test_anatomy(self, written):
        dataset = load(written / "seg8k")
        first, second, third = dataset.labels.targets("anatomy", dataset.index.frame_ids[:3], (H, W))
        assert dataset.label_map("anatomy").classes == (
            "abdominal wall",
            "liver",
            "gastrointestinal tract",
            "fat",
            "connective tissue",
            "cystic duct",
            "gallbladder",
            "hepatic vein",
            "liver ligament",
        )
        i = IGNORE  # borders, the black rim, tools and blood
        assert shrink(first) == [[i, i, i, i], [0, 1, 1, 2], [i, 6, i, i]]
        assert shrink(second) == [[i, i, i, i], [0, 1, 3, 2], [5, 6, 4, 7]]
        assert shrink(third) == [[8, 8, 8, 8], [1, 1, 1, 1], [i, i, i, i]]

    def test_one_frame_a_second(self, written):
        # ticks 0 s and 1 s: frame 25 is the nearest to 1 s, frame 10 (0.4 s) to 0 s
        assert load(written / "seg8k", rate_hz=1.0).index.frame_ids == ["video01/000025", "video12/000010"]

    def test_other_frame_rates(self, root):
        header = "Frame Grasper Bipolar Hook Scissors Clipper Irrigator SpecimenBag\n"
        folder = root / "cholec80/tool_annotations"
        (folder / "video01-tool.txt").write_text(f"{header}20 1 0 1 0 0 0 0\n25 0 0 0 0 0 1 0\n")
        (folder / "video12-tool.txt").write_text(f"{header}10 0 0 1 0 0 0 0\n")
        dataset = load(root / "seg8k", root / "cholec80", fps=5)
        tools = dataset.labels.targets("tools", ["video01/000024", "video01/000025"])
        assert tools.tolist() == [[1, 0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 0]]
        assert dataset.index.table["time_s"].iloc[0] == pytest.approx(24 / 5)


class TestPictures:
    """Frame k is told by its gray value 20 + 37 k mod 200."""

    @pytest.mark.parametrize("kind", ["video", "image", "mask only"])
    def test_the_right_frames(self, root, tmp_path, kind):
        if kind == "mask only":
            for path in root.glob("seg8k/*/*/*_endo.png"):
                path.unlink()
        dataset = load(root / "seg8k", None if kind == "image" else root / "cholec80")
        assert all((".mp4" in s) == (kind != "image") for s in dataset.index.table["source"])
        pictures = FrameCache(tmp_path / "cache").get(dataset.index.table, (H, W))
        grays = pictures[np.arange(5)].mean(axis=(1, 2, 3))
        np.testing.assert_allclose(grays, [20 + 37 * k % 200 for k in (24, 25, 26, 10, 11)], atol=2)

    def test_images_on_request(self, written):
        table = load(written / "seg8k", written / "cholec80", frames="images").index.table
        assert not table["source"].str.contains("mp4").any()


def seg8k(root, name):
    return root / "seg8k" / name.partition("_")[0] / name


def unknown_gray(root):
    mask = seg8k(root, "video12_00010") / "frame_11_endo_watershed_mask.png"
    gray = np.full((H, W), 21, dtype=np.uint8)
    gray[3, 4] = 77
    Image.fromarray(gray).save(mask)


def other_size(root):
    Image.fromarray(np.full((H, W + 1), 21, np.uint8)).save(
        seg8k(root, "video12_00010") / "frame_11_endo_watershed_mask.png"
    )


def missing(name):
    return lambda root: (seg8k(root, "video01_00024") / name).unlink()


def frame_in_two_clips(root):
    twin = seg8k(root, "video01_00026")
    twin.mkdir()
    for path in seg8k(root, "video01_00024").glob("frame_26_*"):
        shutil.copy(path, twin)


def shifted_by_one(root):
    for folder in (seg8k(root, "video01_00024"), seg8k(root, "video12_00010")):
        for path in sorted(folder.iterdir(), reverse=True):
            number = int(path.name.split("_")[1])
            path.rename(folder / path.name.replace(f"frame_{number}_", f"frame_{number + 1}_"))


def shifted_with_its_folder(root):
    shifted_by_one(root)
    for name in ("video01_00024", "video12_00010"):
        folder = seg8k(root, name)
        folder.rename(folder.with_name(f"{name[:-5]}{int(name[-5:]) + 1:05d}"))


def tool_file(old, new):
    def change(root):
        path = root / "cholec80/tool_annotations/video01-tool.txt"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return change


def swapped_columns(root):
    """Grasper and bipolar, in all rows but not in the header, hook and scissors as well."""
    for path in (root / "cholec80/tool_annotations").iterdir():
        header, *rows = path.read_text().splitlines()
        cells = [row.split("\t") for row in rows]
        path.write_text(
            "\n".join([header, *("\t".join([c[0], *(c[i] for i in (2, 1, 4, 3, 5, 6, 7))]) for c in cells)])
        )


def short_film(root):
    film.write(root / "cholec80/videos/video01.mp4", film.numbered(26, (H, W)))


def gap(root):
    for path in seg8k(root, "video01_00024").glob("frame_25_*"):
        path.rename(path.with_name(path.name.replace("25", "27")))


def no_film(root):
    (root / "cholec80/videos/video12.mp4").unlink()


class TestDamage:
    @pytest.mark.parametrize(
        ("damage", "error", "message"),
        [
            (unknown_gray, ValueError, r"frame_11_endo_watershed_mask\.png: gray value 77 stands for no class"),
            (other_size, ValueError, r"frame_11_endo_watershed_mask\.png: the mask is 12x17 but its frame is 12x16"),
            (
                missing("frame_25_endo_watershed_mask.png"),
                FileNotFoundError,
                r"frame_25_endo_watershed_mask\.png: the mask is missing",
            ),
            (frame_in_two_clips, ValueError, r"video01_00026.*mask\.png: frame 26 is in video01_00024 too"),
            (shifted_with_its_folder, ValueError, r"frame_25_endo\.png: this is frame 24 of .*mp4.* shifted by 1"),
            (
                tool_file("Grasper\tBipolar", "Bipolar\tGrasper"),
                ValueError,
                r"video01-tool\.txt: the columns are Frame Bipolar Grasper .* must be Frame Grasper Bipolar",
            ),
            (
                tool_file("\n25\t", "\n26\t"),
                ValueError,
                r"video01-tool\.txt, line 3: frame 26 is no multiple of 25.*shifted",
            ),
            (tool_file("\n50\t", "\n25\t"), ValueError, r"video01-tool\.txt, line 4: frame 25 stands twice"),
            (tool_file("\t1\n", "\t2\n"), ValueError, r"video01-tool\.txt, line 3: the labels are .* 2; each"),
            (tool_file("\t1\n", "\n"), ValueError, r"video01-tool\.txt, line 3: .* is no row of Frame Grasper"),
            (tool_file("\n25\t", "\n75\t"), ValueError, r"video01-tool\.txt: no row for frame 25, of which .*frame_25"),
            (
                lambda r: (r / "cholec80/phase_annotations/video12-phase.txt").write_text("Frame\tPhase\n"),
                ValueError,
                r"video12-phase\.txt: no row for frame 10, which has .*frame_10",
            ),
            (short_film, ValueError, r"frame_26_endo_watershed_mask\.png: .*video01\.mp4 ends before this frame"),
        ],
    )
    def test_is_named(self, root, damage, error, message):
        damage(root)
        with pytest.raises(error, match=message):
            load(root / "seg8k", root / "cholec80")

    @pytest.mark.parametrize(
        ("damage", "messages"),
        [
            (
                swapped_columns,
                ["grasper where column Bipolar .* columns swapped", "hook where column Scissors .* swapped"],
            ),
            (
                shifted_by_one,
                [r"video01_00024: the folder says .* 24, but .* frame 25;", r"video12_00010: .* 10, but .* frame 11;"],
            ),
            (gap, [r"video01_00024: no files of the frames between 24 and 26"]),
        ],
    )
    def test_is_warned_of(self, root, damage, messages):
        damage(root)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            load(root / "seg8k", root / "cholec80", frames="images")
        for message in messages:
            assert any(re.search(message, str(warning.message)) for warning in told)

    def test_all_at_once(self, root):
        missing("frame_25_endo_watershed_mask.png")(root)
        (root / "seg8k/video12/odd").mkdir()
        with pytest.raises(ValueError, match=r"(?s)^2 faults:.*frame_25_endo_watershed_mask.*odd: the folder must be"):
            load(root / "seg8k", root / "cholec80")

    def test_rows_missing_at_once(self, root):
        tool_file("\n25\t", "\n75\t")(root)
        (root / "cholec80/tool_annotations/video12-tool.txt").unlink()
        with pytest.raises(ValueError, match=r"(?s)^\d faults:.*video01-tool\.txt: no row for frame 25") as told:
            load(root / "seg8k", root / "cholec80")
        assert any("video12-tool.txt: the annotation" in str(one) for one in told.value.refused)

    def test_missing_image_without_a_video(self, root):
        missing("frame_25_endo.png")(root)
        no_film(root)
        load(root / "seg8k", root / "cholec80")  # video01 is there
        with pytest.raises(FileNotFoundError, match=r"frame_25_endo\.png: the image is missing.* data\.cholec80=DIR"):
            load(root / "seg8k")

    def test_missing_video_on_request(self, root):
        no_film(root)
        with pytest.raises(FileNotFoundError, match=r"video12\.mp4: the video is missing.*data\.frames=images"):
            load(root / "seg8k", root / "cholec80", frames="videos")

    def test_missing_tools(self, root):
        (root / "cholec80/tool_annotations/video12-tool.txt").unlink()
        with pytest.raises(FileNotFoundError, match=r"video12-tool\.txt: the annotation is missing"):
            load(root / "seg8k", root / "cholec80")

    def test_nothing_there(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no video here; the root of CholecSeg8k holds"):
            load(tmp_path)

    def test_cholec80_is_needed(self, written):
        with pytest.raises(ValueError, match=r"data\.cholec80=DIR"):
            load(written / "seg8k", tools="cholec80")

    @pytest.mark.parametrize(
        ("splits", "message"),
        [
            ({"test_videos": ["video12"], "val_videos": ["video12"]}, "'video12' is in data.test_videos and in"),
            ({"test_videos": ["video21"]}, "data.test_videos names 'video21', .* did you mean .video"),
            ({"test_videos": ["video01", "video12"]}, "all videos are held out"),
        ],
    )
    def test_splits(self, written, splits, message):
        with pytest.raises(ValueError, match=message):
            cholecseg8k.load(written / "seg8k", **splits)
