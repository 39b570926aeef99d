from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import wandb
from offline_run import Written
from omegaconf import OmegaConf
from PIL import Image

from mtal.reporting import NoLogger, WandbLogger
from mtal.reporting.wandb_logger import run_id

CONFIG = {"name": "demo", "seed": 7, "loop": {"rounds": 2, "batch": 4}, "logger": {"mode": "offline"}}

# W&B leaves its temporary folders to the garbage collector
pytestmark = [
    pytest.mark.usefixtures("no_wandb_account"),
    pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning"),
]


def log(run_dir, rounds, **options):
    with WandbLogger(**options) as logger:
        logger.start(run_dir, CONFIG)
        for number in rounds:
            logger.log_round(run_dir, number)


@pytest.fixture(scope="module")
def written(tmp_path_factory, drawn_run):
    log(drawn_run, [0, 1, 2], group="sweep", tags=("a", "b"))
    return Written(drawn_run)


def test_every_round_with_its_metrics_counts_and_times(written):
    assert sorted(written.history) == [0, 1, 2]
    for number, row in written.history.items():
        assert row["labelled"] == 4 * (number + 1)
        assert row["tools/mAP"] == pytest.approx(0.5 + 0.1 * number)
        assert row["anatomy/IoU/liver"] == pytest.approx(0.5 + 0.1 * number)
        assert row["joint"] == pytest.approx(0.4 + 0.1 * number)
        assert row["class_counts/tools/grasper"] == 4 * (number + 1)
        assert row["class_counts/bleeding/bleeding"] == 0
        assert row["seconds/train"] == 75.0


def test_metrics_without_a_value_are_left_out(written):
    assert not any(key.startswith(("bleeding/", "anatomy/IoU/fat")) for key in written.history[0])


def test_everything_is_drawn_against_the_labelled_frames(written):
    metrics = {(m.name or m.glob_name): m.step_metric for m in written.by_kind["metric"]}
    assert metrics == {"labelled": "", "*": "labelled"}


def test_run_is_named_grouped_tagged_and_configured(written, drawn_run):
    (run,) = written.by_kind["run"]
    assert (run.project, run.run_group, run.display_name, list(run.tags)) == (
        "mtal",
        "sweep",
        "demo · trial",
        ["a", "b"],
    )
    assert run.run_id == run_id(CONFIG, drawn_run)
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert (config["seed"], config["loop"]) == (7, {"rounds": 2, "batch": 4})


def test_table_of_picks(written):
    table = written.table(2)
    assert table["columns"] == [
        *("order", "frame_id", "patient", "video", "frame", "time_s", "reason", "utility"),
        *("label/tools", "label/bleeding"),
        *("score/tools/entropy", "score/anatomy/entropy"),
        *("percentile/tools/entropy", "percentile/anatomy/entropy"),
    ]
    row = dict(zip(table["columns"], table["data"][1], strict=True))
    assert row["frame_id"] == "video01/000225"
    assert row["reason"] == "tools · entropy · 91st percentile"
    assert row["utility"] == pytest.approx(0.8)
    assert (row["label/tools"], row["label/bleeding"]) == ("grasper", "not annotated")
    assert (row["score/anatomy/entropy"], row["percentile/anatomy/entropy"]) == (0.25, 40.0)
    assert written.table(0)["columns"][-1] == "label/bleeding"  # the initial set has no scores


def test_pictures_and_masks_lie_in_the_run_folder(written, drawn_run):
    frames = written.history[1]["picks/frames"]
    assert frames["count"] == 4
    assert frames["captions"][0] == "video01/000100: anatomy · entropy · 98th percentile"
    for name, masks in zip(frames["filenames"], frames["all_masks"], strict=True):
        assert np.asarray(Image.open(written.folder / "files" / name)).shape == (24, 40, 3)
        stored = np.asarray(Image.open(written.folder / "files" / masks["anatomy_label"]["path"]))
        original = Image.open(drawn_run / "rounds" / "01" / "images" / "0000.anatomy.png")
        assert np.array_equal(stored, np.asarray(original))
    labels = [json.loads(item.value_json) for c in written.by_kind["config"] for item in c.update]
    assert '"2": "fat", "255": "not annotated"' in json.dumps(labels)


def test_picks_are_kept_as_artifacts(written):
    kept = [a for a in written.by_kind["artifact"] if a.type == "picks"]
    assert [set(a.aliases) for a in kept] == [{"latest", f"round-0{r}"} for r in range(3)]
    assert [[e.path for e in a.manifest.contents] for a in kept] == [["picks.parquet"]] * 3


def test_files_of_tables_are_staged_in_the_run_folder(written, drawn_run):
    tables = [a for a in written.by_kind["artifact"] if a.type == "run_table"]
    assert len(tables) == 3
    staged = [Path(e.local_path) for a in tables for e in a.manifest.contents]
    assert all(path.is_relative_to(drawn_run) and path.is_file() for path in staged)


def test_console_is_not_captured(written):
    assert not written.by_kind["output"]
    assert not written.by_kind["output_raw"]


def test_offline_resume_tells_the_whole_story_again(run_dir, add_round):
    log(run_dir, [0, 1, 2])
    add_round(run_dir, 3)
    with WandbLogger() as logger:
        logger.start(run_dir, CONFIG)
        add_round(run_dir, 4)
        logger.log_round(run_dir, 4)
    assert len(list((run_dir / "wandb").glob("offline-run-*"))) == 2
    assert {step: row["labelled"] for step, row in Written(run_dir).history.items()} == {
        0: 4,
        1: 8,
        2: 12,
        3: 16,
        4: 20,
    }


def test_folders_named_after_long_options(make_run):
    folder = make_run("fusion=mean,signals=" + "x" * 120, rounds=1)
    log(folder, [0])
    written = Written(folder)
    assert sorted(written.history) == [0]
    assert written.by_kind["run"][0].display_name == f"demo · {folder.name}"[:128]


def test_silent(run_dir, capfd):
    log(run_dir, [0])
    assert capfd.readouterr() == ("", "")


def test_missing_pictures_and_predictions_are_no_fault(run_dir):
    images = run_dir / "rounds" / "01" / "images"
    (images / "0000.anatomy.pred.png").unlink()
    (images / "0001.jpg").unlink()
    log(run_dir, [0, 1, 2])
    assert Written(run_dir).history[1]["picks/frames"]["count"] == 3


def test_a_round_that_is_not_complete_is_our_fault_and_raises(run_dir):
    with WandbLogger() as logger:
        logger.start(run_dir, CONFIG)
        with pytest.raises(FileNotFoundError, match="round 3 is not complete"):
            logger.log_round(run_dir, 3)


class FakeRun:
    """Stands for a run that is online."""

    id = "x"
    url = "https://wandb.example/x"

    def __init__(self, step, failing=()):
        self.step = step
        self.logged = []
        self.failing = failing
        self.exit_code = None

    def define_metric(self, *args, **kwargs):
        pass

    def log(self, payload, step, commit):
        if step in self.failing:
            raise OSError(28, "No space left on device")
        assert commit
        self.logged.append(step)

    def log_artifact(self, *args, **kwargs):
        pass

    def finish(self, exit_code):
        self.exit_code = exit_code


def online(monkeypatch, run):
    asked = {}
    monkeypatch.setattr(wandb, "setup", lambda settings: None)
    monkeypatch.setattr(wandb, "init", lambda **options: asked.update(options) or run)
    return asked


def test_online_resume_skips_what_is_there(run_dir, add_round, monkeypatch):
    run = FakeRun(step=2)
    asked = online(monkeypatch, run)
    with WandbLogger(mode="online") as logger:
        logger.start(run_dir, CONFIG)
        assert run.logged == [2]
        add_round(run_dir, 3)
        logger.log_round(run_dir, 3)
        logger.log_round(run_dir, 3)  # told twice, logged once
    assert run.logged == [2, 3]
    assert (asked["mode"], asked["resume"], asked["id"]) == ("online", "allow", run_id(CONFIG, run_dir))
    assert (asked["settings"].console, asked["settings"].silent) == ("off", True)
    assert run.exit_code == 0


def test_one_logger_for_two_runs(run_dir, add_round, monkeypatch, tmp_path):
    other = shutil.copytree(run_dir, tmp_path / "other")
    add_round(other, 3)
    logger = WandbLogger(mode="online")
    for folder, rounds in ((run_dir, [0, 1, 2]), (other, [0, 1, 2, 3])):
        run = FakeRun(step=0)
        online(monkeypatch, run)
        logger.start(folder, CONFIG)
        logger.finish()
        assert run.logged == rounds


def test_a_failed_experiment_is_marked_as_failed(run_dir, monkeypatch):
    run = FakeRun(step=0)
    online(monkeypatch, run)

    def experiment():
        with WandbLogger(mode="online") as logger:
            logger.start(run_dir, CONFIG)
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        experiment()
    assert run.exit_code == 1


def test_disabled_writes_nothing(run_dir):
    log(run_dir, [0], mode="disabled")
    assert not (run_dir / "wandb").exists()


def test_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"unknown W&B mode 'onlin'.*online, offline, disabled"):
        WandbLogger(mode="onlin")


def test_environment_is_left_as_it_was(run_dir, monkeypatch):
    log(run_dir, [])
    assert "WANDB_DATA_DIR" not in os.environ
    monkeypatch.setenv("WANDB_DATA_DIR", str(run_dir / "elsewhere"))
    log(run_dir, [])
    assert os.environ["WANDB_DATA_DIR"] == str(run_dir / "elsewhere")


class TestRunId:
    @pytest.fixture
    def of(self, tmp_path):
        """The id of a run in a folder of that place, where it was logged before ids were kept."""

        def of(config, place, logged=True):
            (tmp_path / place).mkdir(parents=True)
            if logged:
                (tmp_path / place / "wandb" / "offline-run-20200101_000000-0").mkdir(parents=True)
            return run_id(config, tmp_path / place)

        return of

    def test_it_goes_with_the_folder(self, of, tmp_path):
        one = of(CONFIG, "a", logged=False)
        assert run_id(CONFIG | {"logger": {"mode": "online"}}, tmp_path / "a") == one
        (tmp_path / "a").rename(tmp_path / "moved")
        (tmp_path / "moved" / "wandb" / "offline-run-20200101_000000-0").mkdir(parents=True)
        assert run_id(CONFIG, tmp_path / "moved") == one

    def test_two_runs_of_one_name_and_options_are_two(self, of):
        """W&B would pass over the rounds of the second, as those of a run that it has."""
        assert of(CONFIG, "here/a", logged=False) != of(CONFIG, "there/a", logged=False)

    def test_what_was_logged_before_ids_were_kept_keeps_its_own(self, of):
        one = of(CONFIG, "1/a")
        assert of(CONFIG | {"logger": {"mode": "online"}}, "2/a") == one
        assert of(CONFIG | {"loop": {"rounds": 9, "batch": 4}}, "3/a") == one
        assert of(CONFIG | {"cache": "x", "run_root": "y"}, "4/a") == one
        there, moved = ({"data": {"root": root, "split": "patient"}} for root in ("there", "moved"))
        assert of(CONFIG | there, "5/a") == of(CONFIG | moved, "6/a")
        assert of(CONFIG | {"loop": CONFIG["loop"] | {"stop": {"val_flat_rounds": 3}}}, "7/a") == one
        assert of(CONFIG | {"seed": 8}, "8/a") != one
        assert of(CONFIG | {"loop": {"rounds": 2, "batch": 5}}, "9/a") != one
        assert of(CONFIG, "1/b") != one


@pytest.mark.parametrize("logger", ["wandb", "none"])
def test_configs_name_what_exists(logger, monkeypatch, run_dir):
    from hydra.utils import instantiate

    file = Path(__file__).parents[2] / "configs" / "logger" / f"{logger}.yaml"
    made = instantiate(OmegaConf.load(file))
    assert isinstance(made, WandbLogger if logger == "wandb" else NoLogger)
    if logger == "wandb":
        assert made.mode == "offline"
        monkeypatch.setenv("WANDB_MODE", "disabled")
        assert instantiate(OmegaConf.load(file)).mode == "disabled"


def test_no_logger_does_nothing(run_dir):
    with NoLogger() as logger:
        logger.start(run_dir, CONFIG)
        logger.log_round(run_dir, 0)
    assert not (run_dir / "wandb").exists()
