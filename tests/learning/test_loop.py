import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from miniature import surgery
from PIL import Image
from safetensors.torch import load_file

from mtal.acquisition import Random
from mtal.annotation import LabelsPendingError, SimulatedOracle, Status
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_table import LabelTable
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.trainer_settings import TrainerSettings

POOL = 2 * surgery.PER_PATIENT


class SpyOracle(SimulatedOracle):
    """Keeps what it was asked."""

    def __init__(self, dataset):
        super().__init__(dataset)
        self.asked: list[list[str]] = []

    def label(self, frame_ids, size):
        self.asked.append(list(frame_ids))
        return super().label(frame_ids, size)


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


def picks(run: Path) -> list[list[str]]:
    return [pd.read_parquet(f)["frame_id"].tolist() for f in sorted(run.glob("rounds/*/picks.parquet"))]


def read(run: Path, number: int) -> dict:
    return json.loads((run / "rounds" / f"{number:02d}" / "metrics.json").read_text())


@pytest.fixture(scope="module")
def finished(dataset, frames, features, tmp_path_factory):
    """One whole run, with an oracle that keeps what it was asked."""
    from mtal.learning.run_folder import RunFolder

    path = tmp_path_factory.mktemp("finished") / "run"
    oracle = SpyOracle(dataset)
    told = []
    made = surgery.make_experiment(
        dataset,
        frames,
        features,
        oracle=oracle,
        listeners=[lambda folder, number: told.append((folder, number, read(folder, number)["round"]))],
    )
    folder = RunFolder(path)
    folder.open({}, {}, dataset.index)
    return path, oracle, told, made.run(folder)


class TestBudget:
    def test_exact_each_round_and_no_frame_twice(self, finished):
        rounds = picks(finished[0])
        assert [len(r) for r in rounds] == [6, 4, 4]
        assert len(set(itertools.chain(*rounds))) == 14

    def test_only_frames_of_the_pool(self, finished, dataset):
        pool = set(dataset.index.split("pool").frame_ids)
        assert set(itertools.chain(*picks(finished[0]))) <= pool
        scored = pd.read_parquet(finished[0] / "rounds" / "02" / "scores.parquet")["frame_id"]
        assert set(scored) == pool - set(itertools.chain(*picks(finished[0])[:2]))

    def test_oracle_is_never_asked_for_test_frames(self, finished, dataset):
        asked = set(itertools.chain(*finished[1].asked))
        assert asked == set(itertools.chain(*picks(finished[0])))
        assert not asked & set(dataset.index.split("test").frame_ids)

    def test_larger_than_the_pool(self, experiment):
        with pytest.raises(ValueError, match=re.escape("= 20 + 3 x 5 = 35 frames, but the pool has 32")):
            experiment(loop=LoopSettings(initial=20, batch=5, rounds=3))

    def test_whole_pool_in_rounds(self, experiment, start, tmp_path):
        quick = TrainerSettings(steps=1, batch_size=2, accelerator="cpu")
        start(experiment(loop=LoopSettings(initial=20, batch=6, rounds=2), trainer=quick), tmp_path)
        assert len(set(itertools.chain(*picks(tmp_path)))) == POOL

    def test_initial_all(self, experiment, start, tmp_path, dataset):
        quick = TrainerSettings(steps=1, batch_size=2, accelerator="cpu")
        start(experiment(loop=LoopSettings(initial="all", batch=4, rounds=0), trainer=quick), tmp_path)
        assert sorted(picks(tmp_path)[0]) == dataset.index.split("pool").frame_ids

    def test_all_leaves_nothing_for_more_rounds(self, experiment):
        with pytest.raises(ValueError, match=r"= 32 \+ 1 x 4 = 36 frames, but the pool has 32"):
            experiment(loop=LoopSettings(initial="all", batch=4, rounds=1))

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"initial": 0}, "loop.initial must be a number of frames or 'all', not 0"),
            ({"initial": "some"}, "or 'all', not 'some'"),
            ({"initial": True}, "or 'all', not True"),
            ({"batch": 0}, "loop.batch must be ≥ 1"),
            ({"rounds": -1}, "loop.rounds ≥ 0, not 24 and -1"),
        ],
    )
    def test_wrong_numbers(self, wrong, message):
        with pytest.raises(ValueError, match=message):
            LoopSettings(**wrong)


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

    def test_picks(self, finished, tasks):
        names = [f"{what}/{t.name}/entropy" for t in tasks for what in ("score", "percentile")]
        plain = ["order", "frame_id", "patient", "video", "frame", "time_s", "file", "utility"]
        reason = ["reason_task", "reason_signal", "reason_percentile", "reason_because"]
        labels = ["asked/tools", "asked/bleeding", "asked/anatomy", "label/tools", "label/bleeding"]
        first, second = (pd.read_parquet(finished[0] / f"rounds/0{r}/picks.parquet") for r in (0, 1))
        assert list(first) == [*plain, *reason, *labels]
        assert list(second) == [*plain, *reason, *names, *labels]
        assert first["utility"].isna().all()
        assert second["order"].tolist() == [0, 1, 2, 3]
        assert second[[n for n in names if "percentile" in n]].to_numpy().max() <= 100

    def test_scores_agree_with_picks(self, finished):
        scores = pd.read_parquet(finished[0] / "rounds/01/scores.parquet").set_index("frame_id")
        picked = pd.read_parquet(finished[0] / "rounds/01/picks.parquet").set_index("frame_id")
        assert list(scores) == ["tools/entropy", "bleeding/entropy", "anatomy/entropy", "utility"]
        assert len(scores) == POOL - 6
        for column in ("tools/entropy", "bleeding/entropy", "anatomy/entropy"):
            assert scores.loc[picked.index, column].tolist() == picked[f"score/{column}"].tolist()
            # percentile by hand: share of the other frames that score lower, ties counting half
            for frame, value in picked[f"percentile/{column}"].items():
                mine, all_ = scores.loc[frame, column], scores[column]
                below = (all_ < mine).sum() + ((all_ == mine).sum() - 1) / 2
                assert value == pytest.approx(100 * below / (len(all_) - 1))
        assert scores.loc[picked.index, "utility"].tolist() == picked["utility"].tolist()

    def test_utility_is_the_mean_percentile(self, finished):
        """Percentile ranks, averaged over three heads of one signal each."""
        scores = pd.read_parquet(finished[0] / "rounds/02/scores.parquet")
        ranks = scores[["tools/entropy", "bleeding/entropy", "anatomy/entropy"]].rank().sub(1).div(len(scores) - 1)
        np.testing.assert_allclose(scores["utility"], ranks.mean(axis=1), atol=1e-12)

    def test_embeddings(self, finished, features, dataset):
        scores = pd.read_parquet(finished[0] / "rounds/01/scores.parquet")
        at = [dataset.index.frame_ids.index(f) for f in scores["frame_id"]]
        expected = features.batch(np.array(at))[-1].mean(dim=(2, 3)).numpy()
        stored = np.load(finished[0] / "rounds/01/embeddings.npy")
        np.testing.assert_allclose(stored, expected, rtol=2e-3, atol=1e-3)

    def test_metrics(self, finished, dataset, targets):
        for number, labelled, picked in ((0, 6, 6), (1, 10, 4), (2, 14, 4)):
            summary = read(finished[0], number)
            assert (summary["round"], summary["labelled"], summary["picked"]) == (number, labelled, picked)
            assert {"tools/mAP", "bleeding/AP", "bleeding/AUROC", "bleeding/sensitivity"} <= set(summary["metrics"])
            main = [summary["metrics"][k] for k in ("tools/mAP", "bleeding/AP", "anatomy/mIoU")]
            assert summary["metrics"]["joint"] == pytest.approx(np.mean(main))
        known = [dataset.index.frame_ids.index(f) for f in itertools.chain(*picks(finished[0]))]
        assert summary["class_counts"]["bleeding"]["bleeding"] == int(targets["bleeding"][known].sum())
        assert list(summary["class_counts"]["tools"].values()) == targets["tools"][known].sum(axis=0).tolist()
        assert finished[3] == summary["metrics"]

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

    def test_model_holds_what_was_trained(self, finished, tasks):
        state = load_file(finished[0] / "rounds/00/model.safetensors")
        assert set(state) == set(surgery.make_model(tasks).trained_state())
        assert not any(name.startswith("encoder.") for name in state)

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

    def test_what_is_owed_ends_the_run_or_is_waited_for(self, finished, experiment, start, dataset, tmp_path):
        class Person(SimulatedOracle):
            asked, looks = None, 0

            def ask(self, request):
                self.asked = request

            def collect(self):
                self.looks += 1

            def status(self, request):
                owed = request.frame_ids if self.looks < 3 else []
                return Status(len(request.frame_ids), 6 - len(owed), {"tools": owed}, "the folder x", seconds=90.0)

        oracle, loop = Person(dataset), LoopSettings(6, 4, 0)
        first = picks(finished[0])[0]
        told = (
            r"round 0: 0 of 6 frames are done. Owed, about 2 min of work: "
            rf"tools of 6 \(first {', '.join(first[:3])}, …\). "
            "Answer in the folder x, then give the same command again"
        )
        with pytest.raises(LabelsPendingError, match=told):
            start(experiment(oracle=oracle, loop=loop), tmp_path)
        assert oracle.asked.frame_ids == first
        assert oracle.asked.asked.all()
        assert oracle.asked.guess is None  # nothing is learnt so far
        oracle.poll_s = 0.001
        start(experiment(oracle=oracle, loop=loop), tmp_path)
        assert oracle.looks == 3

    def test_annotators_are_shown_what_the_model_of_the_round_before_believes(
        self, experiment, start, dataset, tmp_path
    ):
        class Shown(SimulatedOracle):
            def ask(self, request):
                if request.guess:
                    guesses.append(request.guess(1, (64, 64))["anatomy"])

        guesses = []
        start(experiment(oracle=Shown(dataset), loop=LoopSettings(6, 4, 1)), tmp_path)
        believed = np.asarray(Image.open(tmp_path / "rounds/01/images/0001.anatomy.pred.png"))
        assert (guesses[0] == believed).mean() > 0.99  # sums in another order


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


class TestRandom:
    def test_needs_no_scoring(self, experiment, start, tmp_path, monkeypatch):
        monkeypatch.setattr("mtal.learning.picking.score_pool", lambda *args: pytest.fail("scored for nothing"))
        random = surgery.make_acquisition(selector=Random())
        start(experiment(acquisition=random, loop=LoopSettings(6, 4, 1)), tmp_path)
        assert not (tmp_path / "rounds/01/scores.parquet").exists()
        assert pd.read_parquet(tmp_path / "rounds/01/picks.parquet")["utility"].isna().all()

    def test_starts_as_every_other_selector_does(self, finished, experiment, start, tmp_path):
        random = surgery.make_acquisition(selector=Random())
        start(experiment(acquisition=random, loop=LoopSettings(6, 4, 0)), tmp_path)
        assert picks(tmp_path)[0] == picks(finished[0])[0]
