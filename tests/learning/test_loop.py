"""Whole runs: the order of their stages, what they leave on disk, and that they go on from there."""

import itertools
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from miniature.rounds import picks
from PIL import Image

from mtal.annotation import LabelsPendingError, SimulatedOracle
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_table import LabelTable
from mtal.learning.loop_settings import LoopSettings


class SlowOracle(SimulatedOracle):
    """Is not done the first two times that it meets a frame it does not know."""

    def __init__(self, dataset):
        super().__init__(dataset)
        self.known: set[str] = set()
        self.patience = 2

    def label(self, frame_ids, size):
        new = set(frame_ids) - self.known
        if new and self.patience:
            self.patience -= 1
            raise LabelsPendingError(f"{len(new)} frames wait")
        if new:
            self.known |= new
            self.patience = 2
        return super().label(frame_ids, size)


class TestFolder:
    """A round's folder is what reporting reads, so its content is a contract."""

    def test_files(self, finished):
        rounds = finished[0] / "rounds"
        always = {
            "picks.parquet",
            "labels.parquet",
            "metrics.json",
            "timings.json",
            "images",
            "model.safetensors",
            "annotatable.safetensors",
        }
        assert {p.name for p in (rounds / "00").iterdir()} == always
        for number in ("01", "02"):
            assert {p.name for p in (rounds / number).iterdir()} == always | {
                "scores.parquet",
                "embeddings.npy",
                "evidence.json",
            }
        assert {p.name for p in rounds.iterdir()} == {"00", "01", "02"}

    def test_timings(self, finished):
        for number, stages in ((0, set()), (1, {"score", "fuse", "write"})):
            timings = json.loads((finished[0] / f"rounds/0{number}/timings.json").read_text())
            assert set(timings) == stages | {"select", "label", "train", "annotatability", "evaluate"}
            assert all(seconds >= 0 for seconds in timings.values())

    def test_images(self, finished, frames, dataset, targets):
        for number, suffixes in ((0, ("jpg", "anatomy.png")), (1, ("jpg", "anatomy.png", "anatomy.pred.png"))):
            folder = finished[0] / f"rounds/0{number}/images"
            chosen = picks(finished[0])[number]
            assert {p.name for p in folder.iterdir()} == {
                f"{k:04d}.{suffix}" for k in range(len(chosen)) for suffix in suffixes
            }
            for k, frame in enumerate(chosen):
                at = dataset.index.frame_ids.index(frame)
                mask = np.asarray(Image.open(folder / f"{k:04d}.anatomy.png"))
                np.testing.assert_array_equal(mask, targets["anatomy"][at])
                with Image.open(folder / f"{k:04d}.jpg") as picture:
                    assert np.abs(np.asarray(picture).astype(int) - frames[at][0]).mean() < 12

    def test_listeners_hear_of_complete_rounds(self, finished):
        assert finished[2] == [(finished[0], r, r) for r in range(3)]


class TestSeed:
    def test_same_seed_same_picks(self, finished, experiment, start, tmp_path):
        start(experiment(), tmp_path)
        assert picks(tmp_path) == picks(finished[0])
        for number in range(3):
            name = f"rounds/0{number}/model.safetensors"
            assert (tmp_path / name).read_bytes() == (finished[0] / name).read_bytes()

    def test_other_seed_other_picks(self, finished, experiment, start, tmp_path):
        start(experiment(seed=4, loop=LoopSettings(initial=6, batch=4, rounds=0)), tmp_path)
        assert set(picks(tmp_path)[0]) != set(picks(finished[0])[0])

    def test_a_longer_run_begins_like_a_shorter_one(self, finished, experiment, start, tmp_path):
        start(experiment(loop=LoopSettings(initial=6, batch=4, rounds=1)), tmp_path)
        assert picks(tmp_path) == picks(finished[0])[:2]
        start(experiment(loop=LoopSettings(initial=6, batch=4, rounds=2)), tmp_path)
        assert picks(tmp_path) == picks(finished[0])


class TestResume:
    def test_a_lost_round_comes_back_the_same(self, finished, experiment, start, tmp_path):
        run = tmp_path / "run"
        shutil.copytree(finished[0], run)
        shutil.rmtree(run / "rounds" / "02")
        (run / "config.yaml").unlink()  # the fixture's is another's
        start(experiment(), run)
        for name in ("picks.parquet", "scores.parquet", "metrics.json", "model.safetensors"):
            assert (run / "rounds/02" / name).read_bytes() == (finished[0] / "rounds/02" / name).read_bytes()

    def test_nothing_left_to_do(self, finished, experiment, start, tmp_path, monkeypatch):
        run = tmp_path / "run"
        shutil.copytree(finished[0], run)
        (run / "config.yaml").unlink()
        monkeypatch.setattr("mtal.learning.trainings.fit_judged", lambda *args, **kwargs: pytest.fail("trained again"))
        assert start(experiment(), run) == finished[3]


class TestPendingLabels:
    def test_goes_on_as_if_it_had_never_waited(self, finished, experiment, start, dataset, tmp_path):
        oracle = SlowOracle(dataset)
        waits, complete = 0, []
        while True:
            try:
                metrics = start(experiment(oracle=oracle), tmp_path)
                break
            except LabelsPendingError:
                waits += 1
                complete.append(sorted(p.name for p in (tmp_path / "rounds").iterdir()))
        assert waits == 6  # two for each round
        assert complete == [[], [], ["00"], ["00"], ["00", "01"], ["00", "01"]]
        assert picks(tmp_path) == picks(finished[0])
        assert metrics == finished[3]


class TestPickedAskedAnswered:
    """Each is done once, wherever the run is ended in between."""

    def test_picks_stand_before_anybody_is_asked_and_are_not_picked_again(
        self, finished, experiment, start, dataset, tmp_path, monkeypatch
    ):
        class Killed(SimulatedOracle):
            def ask(self, request):
                on_disk = pd.read_parquet(tmp_path / "picked" / request.name / "picks.parquet")
                assert on_disk["frame_id"].tolist() == request.frame_ids
                raise InterruptedError(request.id)

        ids = []
        for number in range(3):
            for _ in range(2):
                with pytest.raises(InterruptedError) as end:
                    start(experiment(oracle=Killed(dataset), loop=LoopSettings(6, 4, number)), tmp_path)
                ids.append(str(end.value))
                monkeypatch.setattr("mtal.learning.picking.Picker.pick", lambda *_: pytest.fail("picked again"))
            assert ids[-1] == ids[-2]
            metrics = start(experiment(loop=LoopSettings(6, 4, number)), tmp_path)
            monkeypatch.undo()
        assert len(set(ids)) == 3
        assert picks(tmp_path) == picks(finished[0])
        assert metrics == finished[3]
        assert not (tmp_path / "picked").exists()


class TestOracle:
    def test_asked_for_all_tasks_of_all_labelled_frames_together(self, finished):
        rounds = picks(finished[0])
        everything = list(itertools.accumulate(rounds, lambda a, b: a + b))
        assert all(picked in finished[1].asked for picked in rounds)
        assert all(a in rounds or a in everything for a in finished[1].asked)

    def test_labels_of_the_pool_come_from_the_oracle_only(self, finished, experiment, start, dataset, tmp_path):
        asked = set()
        targets = dataset.labels.targets

        class Watched(LabelTable):
            def __init__(self):
                self.__dict__.update(dataset.labels.__dict__)

            def targets(self, task, frame_ids, size=None):
                asked.update(frame_ids)
                return targets(task, frame_ids, size)

        watched = SurgicalDataset(dataset.name, dataset.index, dataset.label_maps, Watched())
        made = experiment(dataset=watched, oracle=SimulatedOracle(dataset), loop=LoopSettings(6, 4, 1))
        start(made, tmp_path)
        assert asked == set(dataset.index.split("test").frame_ids)
        assert picks(tmp_path) == picks(finished[0])[:2]
