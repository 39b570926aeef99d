import json
import logging
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from miniature.faulty_pictures import dark, tissue
from PIL import Image

from mtal.datasets import videos
from mtal.datasets.label_map import IGNORE
from mtal.datasets.recording_files import recording_files
from mtal.datasets.surgery.names import LABEL_MAPS
from mtal.datasets.vocalfolds import ANATOMY, BLEEDING
from mtal.frames.cache import FrameCache
from mtal.frames.hygiene import Hygiene
from mtal.frames.sampler import UniformSampler
from mtal.launch import register
from mtal.learning.experiment import describe_tasks
from mtal.tasks.task import Task

CONFIGS = Path(__file__).parents[2] / "configs"
CASES = Path(__file__).parents[3] / "shared" / "cases"


def record(path, pictures, codec="libx264"):
    """A video of one picture a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=1)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Recordings of three patients, nested, one with a dark frame and one broken."""
    root = tmp_path_factory.mktemp("recordings")
    record(root / "anna_1.mp4", [tissue(0), dark(1), tissue(2)])
    record(root / "ward" / "bo.MKV", [tissue(3), tissue(4)])
    record(root / "ward" / "2" / "carl.avi", [tissue(5)], "mpeg4")
    (root / "ward" / "broken.mp4").write_bytes(b"no video" * 99)
    (root / "ward" / "._bo.mkv").write_bytes(b"left by a copy")
    (root / "notes.txt").write_text("no video either")
    return root


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return tmp_path_factory.mktemp("index")


@pytest.fixture
def load(root, index):
    return lambda **options: videos.load(root, UniformSampler(1.0), Hygiene(), index, **options)


class TestFoldersOfPictures:
    @pytest.fixture
    def index(self, tmp_path):
        return tmp_path / "index"

    @pytest.fixture
    def root(self, tmp_path):
        """A video with a cover beside it, and two folders of pictures, one of them with names without numbers."""
        tmp_path = tmp_path / "root"
        record(tmp_path / "film" / "anna.mp4", [tissue(0), tissue(1)])
        Image.fromarray(tissue(9)).save(tmp_path / "film" / "cover.png")
        for name, files in (("bo", ("f_10.png", "f_11.png", "f_13.png")), ("ward/carl", ("a.png", "b.png"))):
            (tmp_path / name).mkdir(parents=True)
            for seed, file in enumerate(files, start=20):
                Image.fromarray(tissue(seed)).save(tmp_path / name / file)
        return tmp_path

    def test_are_recordings_where_it_is_known_how_fast_they_follow(self, root, index):
        def load():
            return videos.load(root, UniformSampler(2.0), Hygiene(), index, workers=1, rate_hz=2.0).index.table

        table = load()
        ids = ["bo/000010", "bo/000011", "bo/000013", "film/anna/000000", "film/anna/000001"]
        assert table["frame_id"].tolist() == [*ids, "ward/carl/000000", "ward/carl/000001"]
        assert table["time_s"].tolist() == [5, 5.5, 6.5, 0, 1, 0, 0.5]
        frames = FrameCache(index / "cache").get(table, tissue(21).shape[:2], progress=False)
        np.testing.assert_array_equal(frames[[1, 6]], [tissue(21), tissue(21)])
        Image.fromarray(tissue(30)).save(root / "bo" / "f_14.png")
        assert load()["frame_id"].tolist()[3] == "bo/000014"  # looked through anew

    def test_are_left_out_and_told_otherwise(self, root, index, caplog):
        with caplog.at_level(logging.WARNING, logger="mtal"):
            table = videos.load(root, UniformSampler(1.0), Hygiene(), index, workers=1).index.table
        assert set(table["video"]) == {"film/anna"}
        assert "2 folders of pictures left out" in caplog.text.replace(f"({root / 'bo'}, {root / 'ward/carl'}) ", "")
        assert "data.rate_hz=1 takes them as recordings with a picture per second" in caplog.text

    def test_that_are_called_as_a_video(self, root, index):
        (root / "bo").rename(root / "film" / "anna")
        told = rf"{root}/film/anna and {root}/film/anna.mp4 are both called 'film/anna'; rename one"
        with pytest.raises(ValueError, match=told):
            videos.load(root, UniformSampler(1.0), Hygiene(), index, workers=1, rate_hz=1.0)


class TestHeldOut:
    def test_by_patient(self, load):
        table = load(test_patients=["ward"]).index.table
        assert set(zip(table["patient"], table["split"], strict=True)) == {("anna_1", "pool"), ("ward", "test")}

    def test_who_is_not_there(self, load):
        with pytest.raises(
            ValueError, match=r"videos: data\.test_patients names 'anna', which is not there, did you mean"
        ):
            load(test_patients=["anna"])


class TestHeads:
    def test_are_declared(self, load):
        heads = {
            "tools": {"classes": ["hook"]},
            "organs": {"support": "pixel", "classes": ["liver", "fat"], "rest": "x"},
        }
        maps = {m.task: m for m in load(heads=heads).label_maps}
        assert (maps["tools"].support, maps["tools"].exclusive, maps["tools"].classes) == ("frame", False, ("hook",))
        assert maps["organs"].classes == ("x", "liver", "fat")

    def test_need_classes(self, load):
        with pytest.raises(ValueError, match=r"data\.heads\.tools has no classes; name them"):
            load(heads={"tools": {}})

    def test_are_those_of_the_model_or_declared(self, load, tmp_path):
        with pytest.raises(ValueError, match=r"data\.tasks and data\.heads both say what is to be labelled"):
            load(heads={"tools": {"classes": ["hook"]}}, tasks=tmp_path)


class TestLoad:
    def test_frames(self, load, root, index, caplog):
        with caplog.at_level(logging.WARNING, logger="mtal"):
            table = load().index.table
        ids = ["anna_1/000000", "anna_1/000002", "ward/2/carl/000000", "ward/bo/000000", "ward/bo/000001"]
        assert table["frame_id"].tolist() == ids
        assert set(table["split"]) == {"pool"}
        assert table["time_s"].tolist() == [0, 2, 0, 0, 1]
        assert table["source"].tolist()[2:4] == [str(root / "ward/2/carl.avi"), str(root / "ward/bo.MKV")]
        assert "broken.mp4: not a video" in caplog.text
        assert f"1 file ({root}/notes.txt) left out, being no video by name" in caplog.text
        (told,) = index.iterdir()
        assert pd.read_parquet(told / "dropped.parquet")[["frame_id", "reason"]].to_numpy().tolist() == [
            ["anna_1/000001", "near_black"]
        ]

    def test_frames_can_be_read(self, load, tmp_path):
        frames = FrameCache(tmp_path).get(load().index.table, (240, 320))
        difference = np.abs(frames[[1]][0].astype(int) - tissue(2))
        assert difference.mean() < 6

    def test_no_label_is_there(self, load):
        dataset = load()
        assert dataset.label_maps == LABEL_MAPS
        for label_map in LABEL_MAPS:
            targets = dataset.labels.targets(label_map.task, dataset.index.frame_ids, size=(8, 8))
            assert targets.shape[0] == 5
            assert (targets == IGNORE).all()

    @pytest.mark.parametrize(
        ("pattern", "patients"),
        [
            (r"[^/]+", ["anna_1", "anna_1", "ward", "ward", "ward"]),
            (r"([a-z]+)(_\d)?$", ["anna", "anna", "carl", "bo", "bo"]),
        ],
    )
    def test_patients(self, load, pattern, patients):
        assert load(patient_pattern=pattern).index.table["patient"].tolist() == patients

    def test_twins_keep_their_suffix(self, tmp_path):
        for name in ("a.mp4", "a.mkv", "b.mp4"):
            record(tmp_path / "in" / name, [tissue(0)])
        table = videos.load(tmp_path / "in", UniformSampler(1), Hygiene(), tmp_path / "index").index.table
        assert table["video"].tolist() == ["a.mkv", "a.mp4", "b"]


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not there")
def test_the_case_of_other_suffixes():
    found = recording_files(CASES / "other_suffixes").videos
    suffixes = sorted(path.suffix for path in found.values())
    assert suffixes == [".3gp", ".asf", ".flv", ".m2ts", ".mp4", ".vob", ".wmv"]


class TestTasks:
    def test_of_a_run(self, load, tmp_path):
        tasks = describe_tasks([Task(BLEEDING), Task(ANATOMY)])
        (tmp_path / "tasks.json").write_text(json.dumps(tasks))
        dataset = load(tasks=str(tmp_path))
        assert describe_tasks([Task(m) for m in dataset.label_maps]) == tasks
        assert (dataset.labels.targets("anatomy", dataset.index.frame_ids, size=(4, 4)) == IGNORE).all()

    def test_label_maps(self, load):
        assert load(tasks=[BLEEDING]).label_maps == (BLEEDING,)

    def test_no_run(self, load, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"tasks\.json: no such file; data\.tasks is the folder of a run"):
            load(tasks=tmp_path)


class TestErrors:
    def refuse(self, error, match, root, index, hygiene=None, **options):
        with pytest.raises(error, match=match):
            videos.load(root, UniformSampler(1), hygiene or Hygiene(), index, **options)

    def test_missing_root(self, tmp_path, index):
        self.refuse(FileNotFoundError, "nowhere: no such folder", tmp_path / "nowhere", index)

    def test_no_videos(self, tmp_path, index):
        (tmp_path / "a.txt").touch()
        self.refuse(FileNotFoundError, r"no videos here \(.264, .*; 1 file \(.*a\.txt\) left out", tmp_path, index)

    def test_several_are_told_at_once(self, tmp_path, index):
        for name in "abcd":
            (tmp_path / f"{name}.mp4").write_bytes(b"text")
        self.refuse(ValueError, r"no video can be read; the first: .*a\.mp4: .*b\.mp4: .*c\.mp4: ", tmp_path, index)
        self.refuse(
            ValueError, r"(?s)4 faults:.*video 'a'.*video 'c' .*video 'd' ", tmp_path, index, patient_pattern=r"^\d"
        )

    def test_on_truncated(self, root, index):
        self.refuse(
            ValueError, "data.on_truncated must be one of raise, keep, not 'kep'", root, index, on_truncated="kep"
        )

    def test_nothing_can_be_read(self, tmp_path, index):
        (tmp_path / "a.mp4").write_bytes(b"text")
        self.refuse(ValueError, r"no video can be read; the first: .*a\.mp4: not a video", tmp_path, index)

    def test_everything_is_dropped(self, tmp_path, index):
        record(tmp_path / "a.mp4", [dark(0), dark(1)])
        self.refuse(ValueError, r"all 2 frames are dropped; see .*dropped\.png", tmp_path, index)

    def test_patterns(self, root, index):
        self.refuse(ValueError, r"video 'ward/2/carl' does not match", root, index, patient_pattern=r"^\w+$")
        self.refuse(ValueError, r"patient_pattern='\(' is no regular expression", root, index, patient_pattern="(")


@pytest.mark.parametrize("sampler", sorted(p.stem for p in (CONFIGS / "data" / "sampler").glob("*.yaml")))
@pytest.mark.parametrize("hygiene", sorted(p.stem for p in (CONFIGS / "data" / "hygiene").glob("*.yaml")))
def test_every_choice(root, index, sampler, hygiene):
    register()
    options = ["data=videos", f"data/sampler={sampler}", f"data/hygiene={hygiene}", f"data.root={root}"]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("config", overrides=[*options, f"data.index={index}"])
    if (sampler, hygiene) == ("uniform", "default"):
        assert instantiate(config.data.hygiene) == Hygiene()  # the defaults of both are the same
        assert len(instantiate(config.data).index) == 5
    else:
        assert callable(instantiate(config.data.sampler).sample)
        assert instantiate(config.data.hygiene).window == 8
