import json
import multiprocessing

import numpy as np
import pandas as pd
import pytest
import yaml

from mtal.frames.index import FrameIndex
from mtal.learning.run_folder import RunFolder

CONFIG = {"name": "a", "seed": 1, "loop": {"batch": 4, "rounds": 2}, "logger": {"mode": "offline"}, "weights": {}}
TASKS = {"tools": {"family": "bernoulli", "support": "frame", "classes": ["grasper"], "colors": [[1, 2, 3]]}}


@pytest.fixture
def index(dataset) -> FrameIndex:
    return dataset.index


@pytest.fixture
def folder(tmp_path, index) -> RunFolder:
    made = RunFolder(tmp_path / "run")
    assert made.open(CONFIG, TASKS, index) == 0
    return made


def add_round(folder: RunFolder, number: int, frame_ids: list[str]) -> None:
    with folder.round(number) as path:
        pd.DataFrame({"frame_id": frame_ids}).to_parquet(path / "picks.parquet")
        (path / "metrics.json").write_text(json.dumps({"round": number, "metrics": {"joint": 0.5}}))


class TestRound:
    def test_gets_its_name_when_whole(self, folder):
        with folder.round(0) as path:
            (path / "metrics.json").write_text("{}")
            assert not folder.round_path(0).exists()
            assert folder.complete_rounds() == 0
        assert [p.name for p in folder.rounds.iterdir()] == ["00"]
        assert [p.name for p in folder.round_path(0).iterdir()] == ["metrics.json"]

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
    def test_leaves_nothing_after_an_error(self, folder, error):
        def fail():
            with folder.round(0) as path:
                (path / "picks.parquet").write_text("half")
                raise error

        with pytest.raises(error):
            fail()
        assert not list(folder.rounds.iterdir())

    def test_starts_from_nothing_over_a_leftover(self, folder):
        (folder.rounds / ".00").mkdir()
        (folder.rounds / ".00" / "old").write_text("of a killed run")
        with folder.round(0) as path:
            assert not list(path.iterdir())

    def test_takes_over_what_was_picked(self, folder, index):
        with folder.picking(0) as path:
            (path / "images").mkdir()
            (path / "images" / "0000.jpg").write_text("a picture")
            (path / "picks.parquet").write_text("picks")
        picked = folder.picked_path(0)
        with pytest.raises(InterruptedError), folder.round(0):
            raise InterruptedError
        assert (picked / "images" / "0000.jpg").exists()  # for the next try
        with folder.round(0) as path:
            (path / "picks.parquet").write_text("picks with labels")
        at = folder.round_path(0)
        assert {str(f.relative_to(at)): f.read_text() for f in at.rglob("*") if f.is_file()} == {
            "images/0000.jpg": "a picture",
            "picks.parquet": "picks with labels",
        }
        assert not picked.parent.exists()

    def test_killed_before_what_was_picked_could_be_let_go(self, folder, index):
        add_round(folder, 0, ["v/0"])
        for number in (0, 1):
            with folder.picking(number) as path:
                (path / "picks.parquet").write_text("picks")
        (folder.picked_path(1).parent / ".02").mkdir()
        folder.open(CONFIG, TASKS, index)
        assert [p.name for p in folder.picked_path(1).parent.iterdir()] == ["01"]

    def test_labelled_in_order_of_choice(self, folder):
        assert folder.labelled() == []
        add_round(folder, 0, ["v/3", "v/1"])
        add_round(folder, 1, ["v/2", "a/9"])
        assert folder.labelled() == ["v/3", "v/1", "v/2", "a/9"]

    def test_metrics(self, folder):
        add_round(folder, 0, ["v/3"])
        assert folder.metrics(0) == {"round": 0, "metrics": {"joint": 0.5}}

    def test_counted_without_a_gap(self, folder):
        for number in (0, 1, 3):
            add_round(folder, number, [f"v/{number}"])
        assert folder.complete_rounds() == 2
        assert folder.labelled() == ["v/0", "v/1"]

    def test_more_than_a_hundred(self, folder):
        assert folder.round_path(7).name == "07"
        assert folder.round_path(123).name == "123"


class TestOpen:
    def test_writes_what_a_reader_needs(self, folder, index):
        assert yaml.safe_load((folder.path / "config.yaml").read_text()) == CONFIG
        assert json.loads((folder.path / "tasks.json").read_text()) == TASKS
        pd.testing.assert_frame_equal(pd.read_parquet(folder.path / "frames.parquet"), index.select(index.frame_ids))

    def test_no_temporary_file_stays(self, folder):
        assert {p.name for p in folder.path.iterdir()} == {"config.yaml", "tasks.json", "frames.parquet", "rounds"}

    def test_leftovers_of_a_killed_run_are_removed(self, folder, index):
        add_round(folder, 0, ["v/0"])
        (folder.rounds / ".01" / "images").mkdir(parents=True)
        (folder.rounds / ".01" / "images" / "0000.jpg").write_text("half")
        (folder.rounds / ".DS_Store").write_text("a file manager was here")
        assert folder.open(CONFIG, TASKS, index) == 1
        assert {p.name for p in folder.rounds.iterdir()} == {"00", ".DS_Store"}

    @pytest.mark.parametrize(
        "change",
        [
            {"loop": {"batch": 4, "rounds": 9}},
            {"logger": {"mode": "online", "project": "other"}},
            {"logger": None},
            {"cache": "elsewhere"},
            {"run_root": "elsewhere"},
            {"data": {"root": "elsewhere", "workers": 3}},
            {"loop": {"batch": 4, "rounds": 2, "stop": {"val_flat_rounds": 2}}},
        ],
    )
    def test_goes_on_where_nothing_that_matters_changed(self, folder, index, change):
        add_round(folder, 0, ["v/0"])
        assert folder.open({**CONFIG, **change}, TASKS, index) == 1
        assert yaml.safe_load((folder.path / "config.yaml").read_text()) == {**CONFIG, **change}

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"seed": 2}, r"seed: 1 then, 2 now"),
            ({"loop": {"batch": 5, "rounds": 2}}, r"loop\.batch: 4 then, 5 now"),
            ({"weights": {"tools": 2.0}}, r"weights\.tools: 'absent' then, 2\.0 now"),
            ({"extra": 0}, r"extra: 'absent' then, 0 now"),
            ({"data": {"split": "patient"}}, r"data\.split: 'absent' then, 'patient' now"),
            ({"loggers": 0}, r"loggers: 'absent' then, 0 now"),
        ],
    )
    def test_another_config_is_refused(self, folder, index, change, named):
        before = (folder.path / "config.yaml").read_bytes()
        with pytest.raises(ValueError, match=rf"run holds a run of a different config \(.*{named}.*\).*name=…"):
            folder.open({**CONFIG, **change}, TASKS, index)
        assert (folder.path / "config.yaml").read_bytes() == before

    def test_a_key_that_is_gone_is_refused(self, folder, index):
        config = {key: value for key, value in CONFIG.items() if key != "seed"}
        with pytest.raises(ValueError, match="seed: 1 then, 'absent' now"):
            folder.open(config, TASKS, index)

    def test_many_changes_are_not_all_listed(self, folder, index):
        with pytest.raises(ValueError, match=r"k0: .* k4: .* and 3 more"):
            folder.open({**CONFIG, **{f"k{i}": i for i in range(8)}}, TASKS, index)

    def test_other_frames_are_refused(self, folder, index):
        add_round(folder, 0, ["v/0"])
        fewer = FrameIndex(index.table.iloc[1:])
        gone = (
            r"frames\.parquet lists other frames than the data set does now.*\(1 gone, the first is 'video_a/000000'\)"
        )
        refused(folder, fewer, gone)
        later = FrameIndex(index.table.assign(time_s=index.table["time_s"] + np.float64(1e-9)))
        refused(folder, later, "the data changed since this run .times, patients or splits differ")

    def test_same_frames_in_another_order_go_on(self, folder, index):
        add_round(folder, 0, ["v/0"])
        shuffled = FrameIndex(index.table.sample(frac=1, random_state=0))
        assert folder.open(CONFIG, TASKS, shuffled) == 1

    def test_data_may_be_mended_before_the_first_round_is_there(self, folder, index):
        fewer = FrameIndex(index.table.iloc[1:])
        assert folder.open(CONFIG, {}, fewer) == 0
        assert len(pd.read_parquet(folder.path / "frames.parquet")) == len(fewer)
        assert json.loads((folder.path / "tasks.json").read_text()) == {}


TOOLS = {"family": "bernoulli", "support": "frame", "classes": ["grasper", "hook"], "colors": [[0, 0, 0], [1, 1, 1]]}
ANATOMY = {"family": "categorical", "support": "pixel", "classes": ["wall", "liver"], "colors": [[2, 2, 2], [3, 3, 3]]}


class TestHeads:
    """Weights, masks and labels are kept by the number of the class, so the names must stay what they were."""

    @pytest.fixture
    def begun(self, tmp_path, index) -> RunFolder:
        made = RunFolder(tmp_path / "run")
        made.open(CONFIG, {"tools": TOOLS, "anatomy": ANATOMY}, index)
        add_round(made, 0, ["v/0"])
        return made

    @pytest.mark.parametrize(
        ("tools", "told"),
        [
            ({"classes": ["hook", "grasper"]}, "with grasper, hook and is bernoulli per frame with hook, grasper"),
            ({"classes": ["grasper", "clip"]}, "tools was .* with grasper, hook and is .* with grasper, clip"),
            ({"family": "categorical"}, "tools was bernoulli per frame .* and is categorical per frame"),
        ],
    )
    def test_other_classes_are_refused(self, begun, index, tools, told):
        refused(begun, index, told, {"tools": TOOLS | tools, "anatomy": ANATOMY})

    def test_all_are_told(self, begun, index):
        now = {"tools": TOOLS | {"classes": ["hook", "grasper"]}, "phase": TOOLS}
        refused(begun, index, r"tools was .*; anatomy was .* and is no head; phase was no head and is", now)

    def test_colours_are_no_matter(self, begun, index):
        now = {"tools": TOOLS | {"colors": [[9, 9, 9], [8, 8, 8]]}, "anatomy": ANATOMY}
        assert begun.open(CONFIG, now, index) == 1
        assert json.loads((begun.path / "tasks.json").read_text()) == now


class Prints:
    """Of two held-out frames and of whatever was picked."""

    def __init__(self, tools="aa", look=0, learnt="bb", **encoder):
        self.encoder = {"name": "resnet18", "mean": [0.5, 0.5, 0.5], "channels": "rgb", "weights": "0a"} | encoder
        marks = [np.full(48, look, dtype=np.uint8), None]
        self._held_out = pd.DataFrame({"frame_id": ["t/0", "t/1"], "tools": [tools, ""], "look": marks})
        self.learnt = learnt

    def held_out(self):
        return self._held_out

    def digests(self, frame_ids, asked=None):
        return pd.DataFrame({"frame_id": frame_ids, "tools": self.learnt})


class TestContent:
    @pytest.fixture
    def begun(self, tmp_path, index) -> RunFolder:
        made = RunFolder(tmp_path / "run")
        made.open(CONFIG, TASKS, index, Prints())
        add_round(made, 0, ["v/0", "v/1"])
        Prints().digests(["v/0", "v/1"]).to_parquet(made.round_path(0) / "labels.parquet")
        return made

    def test_the_same_goes_on(self, begun, index):
        assert begun.open(CONFIG, TASKS, index, Prints()) == 1

    @pytest.mark.parametrize(
        ("prints", "told"),
        [
            (Prints(tools="cc"), r"labels that the run is tested on .*: tools in 1 of 2 frames \(first 't/0'\)\."),
            (Prints(tools=""), "labels that the run is tested on have changed since: tools in 1 of 2 frames"),
            (Prints(learnt="dd"), r"that the run has learnt from .*: tools in 2 of 2 frames \(first 'v/0'\).*name=…"),
            (
                Prints(weights="0b"),
                r"encoder\.json: the encoder .* now: weights: '0a' then, '0b' now\. Restore its file",
            ),
            (
                Prints(channels="bgr", mean=[0.5, 0.5, 0.4]),
                "channels: 'rgb' then, 'bgr' now; mean: .*0.4] now. Restore",
            ),
            (Prints(look=9), r"the pictures are others .*: 1 of 1 compared \(first 't/0'\)"),
        ],
    )
    def test_other_labels_and_pictures_are_refused(self, begun, index, prints, told):
        refused(begun, index, told, TASKS, prints)

    def test_another_decoder_is_no_other_picture(self, begun, index):
        assert begun.open(CONFIG, TASKS, index, Prints(look=2)) == 1

    def test_a_run_of_an_earlier_version_goes_on(self, begun, index):
        (begun.path / "labels.parquet").unlink()
        (begun.round_path(0) / "labels.parquet").unlink()
        (begun.path / "encoder.json").unlink()
        assert begun.open(CONFIG, TASKS, index, Prints(tools="new", learnt="new", weights="new")) == 1
        refused(begun, index, "labels that the run is tested on", TASKS, Prints(weights="new"))

    def test_other_encoder_is_refused_before_anything_is_encoded(self, begun):
        with pytest.raises(ValueError, match=r"weights: '0a' then, '0c' now"):
            begun.refuse_other_encoder(Prints(weights="0c").encoder)
        begun.refuse_other_encoder(Prints().encoder)

    def test_moved_data_go_on_and_are_told(self, begun, index):
        elsewhere = FrameIndex(index.table.assign(source=[f"/new{s}" for s in index.table["source"]]))
        with pytest.warns(UserWarning, match="run: the data lie elsewhere .*first .*, now /new"):
            assert begun.open({**CONFIG, "data": {"root": "/new"}}, TASKS, elsewhere, Prints()) == 1
        plain = elsewhere.select(elsewhere.frame_ids)
        pd.testing.assert_frame_equal(pd.read_parquet(begun.path / "frames.parquet"), plain)

    def test_moved_and_changed(self, begun, index):
        elsewhere = FrameIndex(index.table.assign(source=[f"/new{s}" for s in index.table["source"]]))
        refused(begun, elsewhere, "the pictures are others", TASKS, Prints(look=9))


def refused(folder: RunFolder, index: FrameIndex, told: str, tasks=TASKS, prints=None) -> None:
    """Nothing in the folder has changed when it is opened in vain."""
    before = {f: f.read_bytes() for f in folder.path.rglob("*") if f.is_file()}
    with pytest.raises(ValueError, match=told):
        folder.open(CONFIG, tasks, index, prints)
    assert {f: f.read_bytes() for f in folder.path.rglob("*") if f.is_file()} == before


def _try_lock(path, answers) -> None:
    try:
        with RunFolder(path).lock():
            answers.put("got it")
    except RuntimeError as error:
        answers.put(str(error))


class TestLock:
    def ask(self, path) -> str:
        context = multiprocessing.get_context("fork")
        answers = context.Queue()
        process = context.Process(target=_try_lock, args=(path, answers))
        process.start()
        answer = answers.get(timeout=30)
        process.join()
        return answer

    def test_a_second_process_is_refused_while_it_lasts(self, tmp_path):
        path = tmp_path / "run"
        with RunFolder(path).lock():
            answer = self.ask(path)
        assert "is in use by another process; wait for it, or give this run another name=" in answer
        assert str(path) in answer
        assert self.ask(path) == "got it"

    def test_other_folders_are_free(self, tmp_path):
        with RunFolder(tmp_path / "a").lock():
            assert self.ask(tmp_path / "b") == "got it"
