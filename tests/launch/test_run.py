import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from miniature import vocalfolds
from miniature.runs import all_runs
from PIL import Image

from mtal.annotation import LabelsPendingError, SimulatedOracle
from mtal.reporting import NoLogger

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = sorted(
    p.stem
    for p in (ROOT / "configs" / "experiment").glob("*.yaml")
    if p.stem != "search" and not p.stem.endswith("_gpu") and not p.stem.startswith("study")
)  # see test_sweep and test_recipes

pytestmark = pytest.mark.filterwarnings("ignore:bleeding. no label so far")


def only_run(runs: Path) -> Path:
    (run,) = all_runs(runs)
    return run


@pytest.fixture(scope="module")
def once(data, cache, tmp_path_factory) -> tuple[str, Path]:
    """One whole run, in a process that says what a person would see, and its folder."""
    root = tmp_path_factory.mktemp("once")
    options = [*vocalfolds.OPTIONS, f"data.root={data}", f"run_root={root / 'runs'}", f"cache={cache}", "name=mini"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "run.py"), *options],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    # bleeding is not annotated here; nothing else may be said, by Lightning least of all
    assert all("bleeding: no label so far" in line for line in done.stderr.splitlines()), done.stderr
    assert {p.name for p in root.iterdir()} == {"runs"}  # nothing is written beside the run root and the cache
    return done.stdout, root / "runs"


@pytest.fixture
def finished(once, tmp_path) -> Path:
    """A copy of the whole run, where ``options`` will look for it."""
    shutil.copytree(once[1], tmp_path / "runs")
    return only_run(tmp_path / "runs")


def other_classes(mask: Path) -> np.ndarray:
    """Tissue and glottis change places."""
    classes = np.asarray(Image.open(mask))
    return np.array([0, 1, 3, 2, 4, 5, 6], dtype=np.uint8)[classes]


def negative(picture: Path) -> np.ndarray:
    return 255 - np.asarray(Image.open(picture))


def written(run: Path) -> dict[Path, bytes]:
    return {f: f.read_bytes() for f in run.rglob("*") if f.is_file()}


class TestRun:
    def test_first_start(self, once):
        out, run = once[0], only_run(once[1])
        assert f"runs/mini/{run.name}\n" in out
        assert "vocalfolds: 16 frames in the pool, 8 held out" in out
        rows = [line.split() for line in out.splitlines() if line.split()[:1] in (["0"], ["1"])]
        assert [r[:2] for r in rows] == [["0", "4"], ["1", "7"]]
        for head in ("tools mAP", "bleeding", "anatomy mIoU", "joint"):
            assert head in out
        assert f"runs/mini/{run.name}/report.html  (open" in out
        assert (run / "report.html").stat().st_size > 10_000
        assert json.loads((run / "tasks.json").read_text())["anatomy"] == {
            "family": "categorical",
            "support": "pixel",
            "classes": ["vocal folds", "other tissue", "glottal space", "pathology"],
            "colors": [[230, 159, 0], [0, 158, 115], [0, 114, 178], [204, 121, 167]],
        }

    def test_second_start_has_nothing_to_do(self, finished, start, options):
        code, out, err = start(*options)
        assert (code, err) == (0, "")
        assert "All 2 rounds are there already." in out
        assert "anatomy mIoU" in out

    def test_nothing_of_a_failed_logger_is_to_be_uploaded(self, finished, start, options, monkeypatch):
        (finished / "wandb" / "offline-run-20260101_1-x").mkdir(parents=True)
        assert "upload it with: wandb sync" in start(*options)[1]
        monkeypatch.setattr(NoLogger, "logged", None)
        assert "W&B:    failed, see the warning" in start(*options)[1]

    def test_a_wrong_logger_is_told_with_the_rest(self, start, options, tmp_path):
        code, _, err = start(*options, "logger=wandb", "logger.mode=onlin", "model.hidden=0", "data.root=nowhere")
        assert code == 1
        assert err.startswith(
            "error: 2 wrong options:\n  model.hidden must be 1 or more, not 0\n  unknown W&B mode 'onl"
        )
        assert not (tmp_path / "runs").exists()

    def test_a_warm_start_with_nothing_to_judge_it_by(self, start, options, tmp_path):
        code, _, err = start(*options, "trainer.until=plateau", "trainer.restart=warm")
        assert code == 1
        assert err.startswith("error: trainer.until=plateau holds out some of the labelled frames where no frame is in")
        assert not list(tmp_path.rglob("rounds"))

    def test_goes_on_after_a_lost_round(self, finished, start, options):
        lost = finished / "rounds" / "01"
        before = (lost / "picks.parquet").read_bytes()
        shutil.rmtree(lost)
        code, out, _ = start(*options)
        assert code == 0
        assert "Resuming: 1 of 2 rounds are there, going on with round 1." in out
        assert (lost / "picks.parquet").read_bytes() == before

    def test_more_rounds_go_on_in_the_same_folder(self, finished, start, options):
        code, out, _ = start(*options, "loop.rounds=2")
        assert code == 0
        assert "Resuming: 2 of 3 rounds" in out
        assert len(pd.read_parquet(finished / "rounds/02/picks.parquet")) == 3

    @pytest.mark.filterwarnings("always:.*the data lie elsewhere")
    def test_goes_on_with_data_that_moved(self, finished, start, options, data, tmp_path):
        moved = shutil.copytree(data, tmp_path / "moved")
        lost = finished / "rounds" / "01"
        before = pd.read_parquet(lost / "picks.parquet")
        shutil.rmtree(lost)
        code, out, err = start(*options, f"data.root={moved}")
        assert code == 0, err
        assert err.startswith(f"warning: {finished}: the data lie elsewhere than when this run began (first ")
        assert "Resuming: 1 of 2 rounds are there" in out
        picks = pd.read_parquet(lost / "picks.parquet")
        pd.testing.assert_frame_equal(picks.drop(columns="file"), before.drop(columns="file"), check_exact=True)
        assert picks["file"].str.contains(str(moved)).all()
        assert pd.read_parquet(finished / "frames.parquet")["source"].str.contains(str(moved)).all()
        code, _, err = start(*options, f"data.root={moved}")
        assert (code, err) == (0, "")

    def test_folders_are_listed_with_their_options(self, finished, start, options, tmp_path):
        start(*options, "seed=3", "loop.rounds=0")
        table = pd.read_csv(tmp_path / "runs/mini/index.csv", dtype=str, keep_default_na=False)
        assert table.columns[0] == "run"
        assert set(table["run"]) == {run.name for run in all_runs(tmp_path / "runs")}
        assert set(table["seed"]) == {"", "3"}
        assert len(table) == 2

    def test_waits_for_labels(self, start, options, monkeypatch, tmp_path):
        ended = []

        def pend(self, frame_ids, size):
            raise LabelsPendingError("label the batch in export.json, then start again")

        monkeypatch.setattr(SimulatedOracle, "label", pend)
        monkeypatch.setattr(NoLogger, "__exit__", lambda self, kind, *rest: ended.append(kind))
        code, out, err = start(*options)
        assert (code, err) == (0, "")
        assert "waiting for labels: label the batch in export.json, then start again" in out
        assert ended == [None]  # a run that waits has not failed
        assert not list((only_run(tmp_path / "runs") / "rounds").iterdir())

    def test_logger_is_told_of_a_failure(self, start, options, monkeypatch):
        ended = []
        monkeypatch.setattr(NoLogger, "__exit__", lambda self, kind, *rest: ended.append(kind))
        monkeypatch.setattr("mtal.learning.trainings.fit_judged", lambda *args, **kwargs: 1 / 0)
        code, _, err = start(*options)
        assert code == 1
        assert err == "error: division by zero\n"
        assert ended == [ZeroDivisionError]

    def test_traceback_where_wanted(self, start, options, monkeypatch):
        monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
        with pytest.raises(FileNotFoundError, match="/nowhere/img: no such folder"):
            start(*options, "data.root=/nowhere")


@pytest.fixture
def table(data, tmp_path) -> Path:
    """A table of the same pictures, with two tools."""
    rows = ["patient,image,tool_grasper,tool_hook"]
    files = sorted((data / "img").rglob("*.jpg"))
    rows += [f"{f.parts[-3]},{f},{k % 2},{k % 3 // 2}" for k, f in enumerate(files)]
    (tmp_path / "frames.csv").write_text("\n".join(rows))
    return tmp_path / "frames.csv"


def test_columns_that_changed_places_are_refused(start, options, table, tmp_path):
    """The classes of a head stand in the order of the columns, and all that a run keeps of them stands by it."""
    ours = [o for o in options if not o.startswith(("data", "tasks"))]
    ours += ["data=table", f"data.path={table}", "data.test_patients=[patient1]", "tasks=tools"]
    assert start(*ours, "loop.rounds=0")[0] == 0
    run = only_run(tmp_path / "runs")
    before = written(run)
    frame = pd.read_csv(table)
    frame[["patient", "image", "tool_hook", "tool_grasper"]].to_csv(table, index=False)
    code, _, err = start(*ours)
    assert code == 1
    told = "tools was bernoulli per frame with grasper, hook and is bernoulli per frame with hook, grasper"
    assert f"tasks.json: the heads of this run mean something else now: {told}. Restore the data" in err
    assert written(run) == before


class TestFaults:
    """Each ends with exit code 1 or 2 and one clear line."""

    def refused(self, said: tuple[int, str, str], code: int, *parts: str) -> None:
        assert said[0] == code, said
        assert said[2].startswith("error: ")
        assert said[2].count("\n") == 1
        for part in parts:
            assert part in said[2]

    @pytest.fixture
    def broken(self, data, tmp_path) -> Path:
        return shutil.copytree(data, tmp_path / "broken")

    def test_places_not_given(self, start, options):
        without = [o for o in options if not o.startswith("data.root")]
        told = "data.root, oracle.root: no value was given; add data.root=… oracle.root=… to the command line"
        self.refused(start(*without, "oracle=folder"), 1, told)

    def test_a_run_that_is_refused_logs_no_more(self, start, options, tmp_path):
        """Its folder is gone, and what others log in this process would be an error."""
        assert start(*options, "loop.batch=0")[0] == 1
        logging.getLogger("mtal").warning("of somebody else")
        assert not (tmp_path / "runs").exists()

    def test_root_is_missing(self, start, options):
        self.refused(start(*options, "data.root=/nowhere"), 1, "/nowhere/img: no such folder")

    def test_root_is_empty(self, start, options, tmp_path):
        for folder in ("img", "annot"):
            (tmp_path / "empty" / folder).mkdir(parents=True)
        self.refused(start(*options, f"data.root={tmp_path / 'empty'}"), 1, "no sequence here")

    def test_mask_of_another_size(self, start, options, broken):
        mask = broken / "annot/patient2/seq5/0003.png"
        Image.fromarray(np.ones((vocalfolds.H, vocalfolds.W + 1), dtype=np.uint8)).save(mask)
        self.refused(start(*options, f"data.root={broken}"), 1, str(mask), "48x65", "48x64")

    def test_unknown_gray(self, start, options, broken):
        mask = broken / "annot/patient1/seq1/0002.png"
        Image.fromarray(np.full((vocalfolds.H, vocalfolds.W), 9, dtype=np.uint8)).save(mask)
        self.refused(start(*options, f"data.root={broken}"), 1, str(mask), "gray value 9")

    def test_budget_larger_than_the_pool(self, start, options):
        self.refused(start(*options, "loop.rounds=5"), 1, "4 + 5 x 3 = 19 frames, but the pool has 16")

    def test_folder_of_another_run(self, finished, start, options):
        before = written(finished.parent)
        self.refused(
            start(*options, "seed=8", f"hydra.run.dir='{finished}'"), 1, "seed: 0 then, 8 now", "Give the new run"
        )
        assert written(finished.parent) == before

    def test_config_that_was_edited(self, finished, start, options):
        config = finished / "config.yaml"
        config.write_text(config.read_text().replace("batch_size: 4", "batch_size: 5"))
        self.refused(start(*options), 1, "trainer.batch_size: 5 then, 4 now")

    def test_an_option_that_is_none_any_more(self, finished, start, options):
        config = finished / "config.yaml"
        config.write_text(config.read_text().replace("batch_size: 4", "batch_size: 4\n  flip: true"))
        told = "holds a run with options that this version of mtal does not have (trainer.flip=True). Go on with the"
        self.refused(start(*options), 1, f"{finished.name} {told}", "or start a new run with name=…")

    @pytest.mark.parametrize(
        ("changed", "told"),
        [
            ("annot/patient1/seq1/0002.png", "labels that the run is tested on have changed since: anatomy in 1 of 8"),
            ("annot/patient2", "labels that the run has learnt from have changed since: anatomy in 7 of 7 frames"),
            ("img/patient1", "the pictures are others than those that this run began with: 8 of 8 compared"),
        ],
    )
    def test_other_content_under_the_same_names(self, finished, start, options, broken, changed, told):
        """In data that lie elsewhere, which alone would be no fault."""
        place = broken / changed
        for file in [place] if place.is_file() else place.rglob("*.*"):
            Image.fromarray(255 - np.asarray(Image.open(file))[:] if "img" in changed else other_classes(file)).save(
                file
            )
        before = {f: f.read_bytes() for f in finished.rglob("*") if f.is_file()}
        self.refused(
            start(*options, f"data.root={broken}"), 1, told, "Restore the data, or start a new run with name=…"
        )
        assert {f: f.read_bytes() for f in finished.rglob("*") if f.is_file()} == before

    def test_other_frames(self, finished, start, options, data, tmp_path):
        frames = finished / "frames.parquet"
        pd.read_parquet(frames).iloc[1:].to_parquet(frames, index=False)
        self.refused(start(*options), 1, "frames.parquet lists other frames")

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ("trainer.steps=many", "trainer.steps must be a whole number of at least 1, not 'many'"),
            ("trainer.steps=0", "trainer.steps must be a whole number"),
            ("trainer.restart=hot", "trainer.restart must be cold or warm"),
            (
                "trainer.layer_decay=0.75",
                "trainer.layer_decay=0.75 is of an encoder that learns, and this",
            ),
            (
                "trainer.layer_decay=0.75 encoder.frozen=false",
                "trainer.layer_decay=0.75 is for the layers of a plain ViT, and",
            ),
            ("+trainer.stepz=3", "stepz"),
            ("tasks.weighting=none", "tasks.weighting must be fixed or uncertainty, not 'none'"),
            ("loop.initial=few", "loop.initial must be a number of frames or 'all', not 'few'"),
            ("encoder.name=resnet9000", "unknown encoder 'resnet9000'"),
            ("encoder.weights=/nowhere.pth", "/nowhere.pth"),
            ("acquisition.minimum_gap_s=-1", "minimum_gap_s must be 0 seconds or more"),
            ("+acquisition.head_weights.tool=2", "head_weights names 'tool'"),
            ("frames.image_size=[50,64]", "divisible by 32, not 50x64"),
            ("model.decoder=dpt", "model.decoder=fpn or unet"),
            ("data.split=frame", "unknown split 'frame'"),
            ("seed=-1", "seed"),
        ],
    )
    def test_wrong_values(self, start, options, wrong, told, tmp_path):
        self.refused(start(*options, *wrong.split()), 1, told)
        assert not (tmp_path / "runs").exists()  # whatever is refused leaves nothing

    def test_nothing_of_others_goes(self, finished, start, options, tmp_path):
        """A run is refused beside one that is there, in a folder of its own and in an empty one that is given."""
        before, folders = written(finished.parent), sorted(finished.parent.iterdir())
        self.refused(start(*options, "trainer.steps=0"), 1, "trainer.steps must be")
        given = tmp_path / "given"
        given.mkdir()
        self.refused(start(*options, "seed=-1", f"hydra.run.dir='{given}'"), 1, "seed")
        assert list(given.iterdir()) == []
        assert (written(finished.parent), sorted(finished.parent.iterdir())) == (before, folders)

    def test_misspelt(self, start, options):
        self.refused(start(*options, "loop.round=3"), 2, "did you mean 'loop.rounds'?")

    def test_gpu_that_is_not_there(self, start, options, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        self.refused(start(*options, "trainer.accelerator=gpu"), 1, "no GPU is found")


SWEEPS = {
    "single_vs_joint": "strategy=random,headroom_mean",
    "fusion_sweep": "acquisition/fusion=mean,pareto",
    "unlabelled": "trainer.pseudo_labels.weight=0,1",
    "cold_start": "acquisition/selector@acquisition.cold_start=random,k_center_greedy",
}
"""Two of the jobs of each experiment that is a sweep."""

ONE_OF = {name: ["trainer.propagation.weight=1"] if name == "unlabelled" else [] for name in SWEEPS}


@pytest.mark.filterwarnings("ignore:the vocal-fold frames are split by sequence")
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs(name, start, options, tmp_path):
    """At a tiny size; those on synthetic surgery get the miniature instead, since drawing takes long."""
    sizes = [o for o in options if not o.startswith(("loop.", "name="))]
    budget = [] if name == "full_pool" else ["loop.initial=3", "loop.batch=2", "loop.rounds=1", "loop.fold_steps=2"]
    jobs = [SWEEPS[name], *ONE_OF[name], "seed=0", "hydra/launcher=basic"] if name in SWEEPS else []
    code, _, err = start(f"experiment={name}", *sizes, *budget, *jobs, "data.split=patient")
    assert code == 0, err
    runs = all_runs(tmp_path / "runs" / name)
    assert len(runs) == (2 if name in SWEEPS else 1)
    for run in runs:
        rounds = sorted(run.glob("rounds/*/picks.parquet"))
        expected = [vocalfolds.POOL] if name == "full_pool" else [3, 2]
        assert [len(pd.read_parquet(f)) for f in rounds] == expected


@pytest.mark.slow
def test_a_study_tests_on_each_fold_of_patients(start, options, tmp_path):
    sizes = [o for o in options if not o.startswith(("loop.", "name=", "data="))]
    budget = ["loop.initial=4", "loop.batch=2", "loop.rounds=1", "loop.fold_steps=2"]
    length = ["trainer.most_steps=2", "trainer.measure_every=1"]
    swept = ["strategy=joint_cover", "seed=0", "loop.fold=0,1"]
    code, _, err = start("experiment=study_vocalfolds", *sizes, *budget, *length, *swept)
    assert code == 0, err
    tables = [pd.read_parquet(run / "frames.parquet") for run in all_runs(tmp_path / "runs" / "study_vocalfolds")]
    tested = [set(table.loc[table["split"] == "test", "patient"]) for table in tables]
    assert len(tested) == 2
    assert all(tested)
    assert not tested[0] & tested[1]
    assert tested[0] | tested[1] == set(tables[0]["patient"])
