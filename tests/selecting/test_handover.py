import json
import shutil
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
import torch
from joblib import hash as hash_of
from miniature.faulty_pictures import tissue
from PIL import Image

from mtal.annotation import FolderOracle
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.vocalfolds import ANATOMY, BLEEDING, TOOLS
from mtal.selecting import Checkpoint, handover
from mtal.selecting.handover import _time
from mtal.tasks.task import build_tasks

pytestmark = pytest.mark.filterwarnings("ignore:bleeding. no label so far")


@pytest.fixture(scope="module")
def rows(selected) -> pd.DataFrame:
    return pd.read_csv(selected / "frames.csv")


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes()) for p in files}


def test_exactly_the_budget_in_order(selected, rows):
    assert rows["rank"].tolist() == [1, 2, 3, 4, 5]
    assert rows["image"].str[:11].tolist() == [f"images/{rank:03d}_" for rank in range(1, 6)]
    assert not rows.duplicated(["video", "frame"]).any()
    images = sorted(p.name for p in (selected / "images").iterdir())
    assert [f"images/{name}" for name in images] == rows["image"].tolist()
    assert sorted(p.name for p in (selected / "masks" / "anatomy").iterdir()) == images
    assert {p.name for p in selected.iterdir()} == {
        *("frames.csv", "images", "masks", "label_map.json", "overview.html", "README.txt"),
        *("selection.json", "request.json"),
    }


def test_can_be_given_back_to_an_oracle(selected, rows, tmp_path):
    """The folder as it is, put where those of rounds are."""
    shutil.copytree(selected, tmp_path / "desk" / "first")
    table = pd.read_csv(tmp_path / "desk/first/frames.csv", dtype=str, keep_default_na=False)
    table.loc[0, ["label/tools", "label/anatomy", "seconds"]] = [TOOLS.classes[1], "done", "40"]
    table.loc[1, "unusable"] = "x"
    table.to_csv(tmp_path / "desk/first/frames.csv", index=False)
    maps = (TOOLS, BLEEDING, ANATOMY)
    place = {"patient": "p", "split": "pool", "source": "nowhere", **dict.fromkeys(m.task for m in maps)}
    frames = [{**place, **row} for row in rows[["video", "frame", "time_s"]].to_dict("records")]
    oracle = FolderOracle(SurgicalDataset.from_rows("two", frames, maps), tmp_path / "desk")
    with pytest.warns(
        UserWarning, match=r"1 of 1 masks .* exactly as the model drew them \(anatomy of .*/first/images/001"
    ):
        oracle.collect()
    first, second = (f"{r.video}/{r.frame:06d}" for r in rows.iloc[:2].itertuples())
    mask = np.asarray(Image.open(selected / "masks/anatomy" / Path(rows["image"][0]).name))
    labels = oracle.label([first, second], mask.shape)
    assert labels["tools"][0].tolist() == [int(c == TOOLS.classes[1]) for c in TOOLS.classes]
    np.testing.assert_array_equal(labels["anatomy"][0], mask)
    assert oracle.view.unusable == {second}
    assert len(oracle.view.answers) == 2 + 3  # and the rest is still owed


def test_heads_that_are_not_worth_their_cost_are_not_asked_for(make, tmp_path):
    options = ("acquisition/query=worth_its_cost", "acquisition/cost=annotator_seconds", "acquisition/signals=entropy")
    assert make(tmp_path / "some", *options)
    table = pd.read_csv(tmp_path / "some/frames.csv", dtype=str, keep_default_na=False)
    asked = table[[f"label/{task}" for task in ("tools", "bleeding", "anatomy")]] == ""
    assert asked.any(axis=1).all()
    assert not asked.all(axis=None)
    frames = json.loads((tmp_path / "some/request.json").read_text())["frames"]
    assert [len(frame["asked"]) for frame in frames] == asked.sum(axis=1).tolist()


def test_gap(rows):
    times = rows.groupby("video")["time_s"].apply(sorted)
    assert len(times) == 2
    assert all((np.diff(t) >= 2).all() for t in times)


def test_images_are_the_frames_to_the_bit(selected, rows, videos):
    assert set(rows["file"]) == {"anna_1.mp4", "ward/bo.mkv"}
    for row in rows.itertuples():
        frame = decoded(videos / row.file)[row.frame]
        assert np.array_equal(np.asarray(Image.open(selected / row.image)), frame)


def test_pictures_are_named_one_by_one(make, tmp_path):
    """Of each its folder alone was told."""
    case = tmp_path / "cases" / "case1"
    case.mkdir(parents=True)
    for number in (3, 7, 20):
        Image.fromarray(tissue(number)).save(case / f"left_{number}.png")
    assert make(tmp_path / "some", "data.rate_hz=1", "acquisition/selector=random", videos=case.parent, budget=3)
    rows = pd.read_csv(tmp_path / "some/frames.csv")
    assert sorted(rows["file"]) == ["case1/left_20.png", "case1/left_3.png", "case1/left_7.png"]
    for row in rows.itertuples():
        shown = [np.asarray(Image.open(p)) for p in (tmp_path / "some" / row.image, case.parent / row.file)]
        assert np.array_equal(*shown)


def test_masks_are_what_the_model_says(selected, rows, videos, run):
    """Of the frame at full size, against a forward pass put together here."""
    checkpoint = Checkpoint.read(run)
    frames = {file: decoded(videos / file) for file in set(rows["file"])}
    model = checkpoint.model(build_tasks((TOOLS, BLEEDING, ANATOMY), checkpoint.config.tasks.heads)).eval()
    for row in rows.itertuples():
        picture = frames[row.file][row.frame]
        small = np.asarray(Image.fromarray(picture).resize((64, 64), Image.Resampling.BILINEAR))
        with torch.inference_mode():
            logits = model(torch.from_numpy(small.copy()).permute(2, 0, 1)[None]).heads["anatomy"].logits
        expected = torch.nn.functional.interpolate(logits, picture.shape[:2], mode="bilinear").argmax(1)[0].numpy()
        mask = np.asarray(Image.open(selected / "masks" / "anatomy" / Path(row.image).name))
        assert mask.shape == picture.shape[:2]
        assert (mask == expected).mean() > 0.99  # features are cached in half precision


def test_what_gray_means(selected):
    assert json.loads((selected / "label_map.json").read_text()) == {
        "anatomy": {"0": "vocal folds", "1": "other tissue", "2": "glottal space", "3": "pathology"}
        | {"255": "not annotated"}
    }


def test_reasons_and_predictions(rows):
    """Neither is of the head that never had a label."""
    share = r"(any other frame|\d+ % of the frames)"
    reason = rf"(tools|anatomy): gradient length higher than in {share}, and unlike the other picks"
    distance = r": \d+ % of the distance to the nearest is of (?:tools|anatomy)"
    assert rows["reason"].str.fullmatch(rf"{reason}({distance})?").all()
    assert rows["reason"].str.contains(distance).tolist() == [False, True, True, True, True]  # none is before the first
    assert not any("bleeding" in c for c in rows.columns if c.startswith("score/"))
    assert set(rows["predicted/bleeding"]) == {"not learnt: no label so far"}
    shares = rows["predicted/anatomy"].str.findall(r"(\d+) %").map(lambda found: sum(map(int, found)))
    assert shares.between(97, 102).all()


def test_what_became_of_the_videos(selected):
    about = json.loads((selected / "selection.json").read_text())
    assert about["dropped"] == {"near_black": 1}
    assert [bad["file"] for bad in about["quarantined"]] == ["broken.mp4"]
    assert [(v["file"], v["sampled"], v["kept"]) for v in about["videos"]] == [
        ("anna_1.mp4", 9, 8),
        ("ward/bo.mkv", 6, 6),
    ]
    readme = (selected / "README.txt").read_text()
    for words in ("5 FRAMES TO LABEL", "5 frames from 2 of 2 videos", "1 near black", "broken.mp4: not a video"):
        assert words in readme
    assert "2 = glottal space" in readme
    assert "Write x under unusable if the image is good for nothing" in " ".join(readme.split())


def test_second_time_does_nothing(selected, make, cache):
    before = contents(selected)
    left = cache / "scored" / hash_of(str(selected.resolve()))
    left.mkdir(parents=True)  # by a call that was killed when all was written
    assert make(selected, "acquisition.minimum_gap_s=2") is False
    assert contents(selected) == before
    assert not left.exists()


def test_same_picks_again(selected, make, tmp_path):
    assert make(tmp_path / "again", "acquisition.minimum_gap_s=2")
    for file in ("frames.csv", "selection.json", "README.txt", "overview.html"):
        assert (tmp_path / "again" / file).read_bytes() == (selected / file).read_bytes()


def test_another_trainer_is_another_selection(selected, make, tmp_path):
    """Out-of-fold models are trained by it; selections that do not tell theirs are taken as they are."""
    with pytest.raises(ValueError, match=r"another selection \(trainer.learning_rate: .* then, 0.5 now\)"):
        make(selected, "acquisition.minimum_gap_s=2", "trainer.learning_rate=0.5")
    old = shutil.copytree(selected, tmp_path / "old")
    about = json.loads((old / "selection.json").read_text())
    del about["asked"]["trainer"]
    (old / "selection.json").write_text(json.dumps(about))
    assert make(old, "acquisition.minimum_gap_s=2") is False


def test_another_selection_is_not_overwritten(selected, make):
    with pytest.raises(ValueError, match=r"holds another selection \(budget: 5 then, 4 now\); give this one its own"):
        make(selected, "acquisition.minimum_gap_s=2", budget=4)


def test_new_videos_are_another_selection(selected, make, videos, tmp_path):
    shutil.copytree(videos, tmp_path / "more")
    shutil.copy(videos / "anna_1.mp4", tmp_path / "more" / "carl.mp4")
    with pytest.raises(ValueError, match=r"videos\.carl: 'absent' then, \d+ now"):
        make(selected, "acquisition.minimum_gap_s=2", videos=tmp_path / "more")


def test_other_folders_are_not_overwritten(make, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match="mine is there already and is no selection"):
        make(tmp_path / "mine")


def test_nothing_half_done_is_left(make, tmp_path, monkeypatch):
    def fail(_):
        raise OSError("the disk is full")

    monkeypatch.setattr(handover, "write_overview", fail)
    with pytest.raises(OSError, match="the disk is full"):
        make(tmp_path / "half")
    with pytest.raises(OSError, match="the disk is full"):
        make(tmp_path / "selections" / "half")
    assert not list(tmp_path.iterdir())


def test_the_lock_of_a_call_that_was_killed_says_nothing(make, tmp_path):
    (tmp_path / ".next.lock").touch()
    assert make(tmp_path / "next")
    assert [p.name for p in tmp_path.iterdir()] == ["next"]
    assert not list((tmp_path / "next").rglob(".*"))


def test_a_second_call_at_the_same_time_is_refused(make, tmp_path, monkeypatch):
    """Both would score to one place."""

    def pick(*_):
        monkeypatch.undo()
        with pytest.raises(
            RuntimeError, match=r"one is in use by another process; wait for it, or give this .* name=$"
        ):
            make(tmp_path / "one", budget=4)
        raise InterruptedError

    monkeypatch.setattr("mtal.selecting.selection.Picker.pick", pick)
    with pytest.raises(InterruptedError):
        make(tmp_path / "one")


def test_what_it_has_scored_is_kept_while_it_runs(make, cache, tmp_path, monkeypatch):
    """The cache is kept small by all processes that use it."""
    used = set()

    def stop(*_):
        used.update(*(json.loads(lease.read_text()) for lease in (cache / ".leases").glob("*.json")))
        raise InterruptedError

    monkeypatch.setattr("mtal.selecting.selection.Picker.pick", stop)
    with pytest.raises(InterruptedError):
        make(tmp_path / "stopped")
    assert f"scored/{hash_of(str((tmp_path / 'stopped').resolve()))}" in used


def test_tables_of_the_pool_are_written_to_the_cache(make, cache, tmp_path, monkeypatch):
    """A million frames are gigabytes, for which the folder of passing files is often too small."""

    def stop(picker, model, asked):
        assert cache / "scored" in asked.path.parents
        raise InterruptedError

    monkeypatch.setattr("mtal.selecting.selection.Picker.pick", stop)
    with pytest.raises(InterruptedError):
        make(tmp_path / "stopped")


@pytest.mark.parametrize(
    ("seconds", "time"),
    [(0, "0:00:00.000"), (59.9999, "0:00:59.999"), (60, "0:01:00.000"), (3725.04, "1:02:05.040"), (0.3, "0:00:00.300")],
)
def test_time(seconds, time):
    assert _time(seconds) == time
