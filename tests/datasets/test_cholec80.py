import shutil
from functools import partial

import numpy as np
import pytest
from miniature import cholecystectomy, film
from miniature.squares import H, W
from PIL import Image

from mtal.datasets import cholec80
from mtal.frames.cache import FrameCache

load = partial(cholec80.load, test_videos=["video12"])


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    return cholecystectomy.write_cholec80(tmp_path_factory.mktemp("cholec") / "cholec80")


@pytest.fixture
def root(written, tmp_path):
    return shutil.copytree(written, tmp_path / "cholec80")


@pytest.fixture
def images(tmp_path):
    """Frames extracted by hand: number n is native frame n - 1."""
    for video, count in cholecystectomy.FRAMES.items():
        (tmp_path / "jpg" / video).mkdir(parents=True)
        for k, picture in enumerate(film.numbered(count, (H, W))):
            Image.fromarray(picture).save(tmp_path / "jpg" / video / f"{video}_{k + 1:06d}.jpg")
    return tmp_path / "jpg"


class TestLabels:
    def test_frames_and_labels(self, written):
        dataset = load(written)
        table = dataset.index.table
        ids = ["video01/000000", "video01/000025", "video01/000050", "video12/000000", "video12/000025"]
        assert table["frame_id"].tolist() == ids
        assert table["time_s"].tolist() == [0.0, 1.0, 2.0, 0.0, 1.0]
        assert table["split"].tolist() == ["pool"] * 3 + ["test"] * 2
        assert dataset.labels.targets("tools", ids).tolist() == [
            [1, 0, 1, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 1],
            [0, 1, 0, 0, 0, 1, 0],
            [0, 0, 1, 1, 0, 0, 0],
            [1, 0, 0, 0, 1, 0, 0],
        ]
        # Preparation until frame 9, Calot until 39, cleaning after; clipping until 4, retraction after
        assert dataset.labels.targets("phase", ids).tolist() == [0, 1, 5, 2, 6]
        assert dataset.label_map("phase").classes[5] == "cleaning and coagulation"
        assert dataset.label_map("phase").exclusive

    @pytest.mark.parametrize("separator", [",", ", ", ";"])
    def test_other_separators(self, root, separator):
        before = load(root)
        for path in (*root.glob("tool_annotations/*"), *root.glob("phase_annotations/*")):
            path.write_text("\ufeff" + separator.join(path.read_text().split("\t")), "utf-8")
        after = load(root)
        for task in ("tools", "phase"):
            ids = before.index.frame_ids
            np.testing.assert_array_equal(after.labels.targets(task, ids), before.labels.targets(task, ids))

    def test_half_a_frame_a_second(self, written):
        assert load(written, rate_hz=0.5).index.frame_ids == ["video01/000000", "video01/000050", "video12/000000"]

    @pytest.mark.parametrize("kind", ["video", "jpg"])
    def test_the_right_pictures(self, written, images, tmp_path, kind):
        table = load(written, images if kind == "jpg" else None).index.table
        pictures = FrameCache(tmp_path / "cache").get(table, (H, W))
        grays = pictures[np.arange(5)].mean(axis=(1, 2, 3))
        np.testing.assert_allclose(grays, [20 + 37 * k % 200 for k in (0, 25, 50, 0, 25)], atol=2)

    def test_images_that_were_extracted_once_a_second(self, root, tmp_path):
        """Number n would be taken for native frame n − 1, with the labels of another moment."""
        header, *_ = (root / "tool_annotations/video01-tool.txt").read_text().splitlines()
        for video in cholecystectomy.FRAMES:
            rows = [header, *(f"{25 * k}\t" + "\t".join("0" * 7) for k in range(60))]
            (root / f"tool_annotations/{video}-tool.txt").write_text("\n".join(rows))
            (tmp_path / "second" / video).mkdir(parents=True)
            for k, picture in enumerate(film.numbered(60, (H, W))):
                Image.fromarray(picture).save(tmp_path / "second" / video / f"{k + 1:04d}.jpg")
        with pytest.raises(ValueError, match=r"60 images, and 60 rows .* seem to be extracted once a"):
            load(root, tmp_path / "second")

    def test_default_split(self):
        assert cholec80.TEST_VIDEOS[0] == "video41"
        assert cholec80.TEST_VIDEOS[-1] == "video80"


def edit(name, old, new):
    def change(root):
        path = root / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


PHASES = "phase_annotations/video01-phase.txt"


class TestDamage:
    @pytest.mark.parametrize(
        ("damage", "error", "message"),
        [
            (lambda r: (r / PHASES).unlink(), FileNotFoundError, r"video01-phase\.txt: the annotation is missing"),
            (lambda r: (r / "videos/video12.mp4").unlink(), FileNotFoundError, r"video12\.mp4: .*data\.images=DIR"),
            (
                edit(PHASES, "Frame\tPhase", "Phase\tFrame"),
                ValueError,
                r"phase\.txt: the columns are Phase Frame; they",
            ),
            (edit(PHASES, "9\tPrep", "9\tBrep"), ValueError, r"phase\.txt, line 11: unknown phase 'Breparation'"),
            (edit(PHASES, "0\tPrep", "1\tPrep"), ValueError, r"phase\.txt, line 2: frame 0 is missing; phases are"),
            (edit(PHASES, "\n9\t", "\n8\t"), ValueError, r"phase\.txt, line 11: frame 8 stands twice"),
            (
                edit(PHASES, "\n9\t", "\nx\t"),
                ValueError,
                r"phase\.txt, line 11: 'x.tPreparation' is no row of Frame Phase",
            ),
            (
                lambda r: (r / PHASES).write_text("\n".join((r / PHASES).read_text().splitlines()[:31])),
                ValueError,
                r"video01-phase\.txt: no row for frame 50",
            ),
            (
                lambda r: (r / PHASES).write_text((r / PHASES).read_text(), "utf-16"),
                ValueError,
                r"video01-phase\.txt: this is no text in UTF-8 \(.*; save it as such",
            ),
            (lambda r: shutil.rmtree(r / "tool_annotations"), FileNotFoundError, "the root of Cholec80 holds"),
        ],
    )
    def test_is_named(self, root, damage, error, message):
        damage(root)
        with pytest.raises(error, match=message):
            load(root)

    def test_all_at_once(self, root):
        """Of both files of labels, of all videos, each gap once."""
        edit(PHASES, "9\tPrep", "9\tBrep")(root)
        path = root / PHASES
        path.write_text("".join(line for line in path.read_text().splitlines(True) if line[:3] != "12\t"))
        edit("tool_annotations/video01-tool.txt", "\n25\t", "\n26\t")(root)
        (root / "videos/video12.mp4").unlink()
        with pytest.raises(ValueError, match=r"^4 faults:") as told:
            load(root)
        lines = "\n".join(map(str, told.value.refused))
        for one in (
            "tool.txt, line 3: frame 26 is no",
            "line 11: unknown phase",
            "line 14: frame 12 is",
            "video12.mp4",
        ):
            assert one in lines

    def test_rows_beyond_the_video(self, root):
        film.write(root / "videos/video01.mp4", film.numbered(40, (H, W)))
        with pytest.warns(UserWarning, match=r"video01-tool\.txt: 1 rows have no frame in .*video01\.mp4, .* frame 50"):
            dataset = load(root)
        assert dataset.index.frame_ids[:3] == ["video01/000000", "video01/000025", "video12/000000"]

    def test_images_that_count_from_zero(self, written, images):
        first = images / "video01" / "video01_000001.jpg"
        first.rename(first.with_name("video01_000000.jpg"))
        with pytest.raises(ValueError, match=r"000000\.jpg: its number lies before the first, 1"):
            load(written, images)

    def test_patient_in_two_splits(self, written):
        with pytest.raises(ValueError, match=r"cholec80: 'video12' is in data\.test_videos and in data\.val_videos"):
            load(written, val_videos=["video12"])
