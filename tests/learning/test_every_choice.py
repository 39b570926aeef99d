"""Every choice of every stage of acquisition, composed as the command line does it and run at a tiny size."""

import json
import shutil
from functools import partial

import pandas as pd
import pytest
from composed import acquisition, choices, named, rows, together
from hydra.utils import instantiate
from miniature import surgery

from mtal.acquisition import SHARED, JointSignal, PoolSignal
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.trainer_settings import TrainerSettings

STAGES = ("signals", "sites", "labels", "weights", "fusion")
"""Any choice of one goes with any of another."""
ALONE = [f"acquisition/{group}={choice}" for group in ("normalizer", "selector") for choice in choices(group)]
"""Not every rule of fusion takes the scale of every normaliser, nor every selector that of every rule."""
COMBINATIONS = [
    ("acquisition/signals=all", "acquisition.level=columns", "acquisition/fusion=pareto"),
    ("acquisition/signals=all", "acquisition/fusion@acquisition.signal_fusion=reciprocal_rank"),
    (
        "acquisition/signals=uncertainty",
        "acquisition/fusion@acquisition.signal_fusion=max",
        "acquisition.per_video=true",
    ),
    ("acquisition.gradient=shared", "acquisition/selector=badge"),
    ("acquisition.calibrate=true", "acquisition/weights=headroom"),
    ("acquisition.class_weights=headroom", "acquisition/sites=class_weighted", "acquisition/labels=weighted"),
    ("acquisition.class_weights=inverse_frequency", "acquisition/labels=weighted"),
    ("acquisition.max_per_video=2", "acquisition.max_per_patient=3", "acquisition.minimum_gap_s=1"),
]
COLD_STARTS = ["random", "uniform_in_time", "k_center_greedy", "typiclust"]
RELATION = "acquisition.signals.cross_task_inconsistency.relations=[{frame:tools,label:0,pixel:anatomy,classes:[1]}]"
QUICK = TrainerSettings(steps=1, batch_size=4, accelerator="cpu")


def composed(*overrides):
    return instantiate(acquisition(*overrides))


@pytest.fixture(scope="module")
def begun(dataset, frames, features, tmp_path_factory):
    """A run after round 0, which no choice but the cold start touches."""
    from mtal.learning.run_folder import RunFolder

    path = tmp_path_factory.mktemp("begun") / "run"
    folder = RunFolder(path)
    folder.open({}, {}, dataset.index)
    surgery.make_experiment(dataset, frames, features, loop=LoopSettings(6, 4, 0), trainer=QUICK).run(folder)
    return path


@pytest.fixture
def go_on(begun, experiment, start, tasks, tmp_path):
    """One more round by an acquisition; gives the round's folder."""

    def run(acquisition, **changes):
        path = tmp_path / "run"
        (path / "rounds").mkdir(parents=True)
        shutil.copytree(begun / "rounds" / "00", path / "rounds" / "00")
        if "predicted_loss" in acquisition.batch_needs:
            changes["make_model"] = partial(surgery.make_model, tasks, loss_prediction=True)
        loop = changes.pop("loop", LoopSettings(6, 4, 1, folds=2))
        start(experiment(acquisition=acquisition, trainer=QUICK, loop=loop, **changes), path)
        return path / "rounds" / "01"

    return run


def assert_picked(begun, done, frames=4):
    before, now = (pd.read_parquet(path / "picks.parquet")["frame_id"] for path in (begun / "rounds" / "00", done))
    assert len(now) == frames
    assert len({*before, *now}) == 6 + frames


@pytest.mark.parametrize("row", range(rows(STAGES)), ids=lambda row: named(together(row, STAGES)))
@pytest.mark.filterwarnings("ignore:.*/forgetting:UserWarning")  # nothing can be forgotten before round 2
def test_every_choice_runs(row, begun, go_on, tasks):
    chosen = together(row, STAGES)
    acquisition = composed(*chosen, *([RELATION] if "cross_task" in chosen[0] else []))
    done = go_on(acquisition)
    assert_picked(begun, done)
    if not acquisition.reads_the_pool:
        return
    written = [c for c in pd.read_parquet(done / "scores.parquet") if c not in ("frame_id", "utility")]
    assert written == [f"{task}/{name}" for task, name in acquisition.measurement.columns([t.name for t in tasks])]
    expected = set()
    for name, signal in acquisition.measurement.signals.items():
        joint = isinstance(signal, JointSignal) or (isinstance(signal, PoolSignal) and not signal.per_head)
        expected |= {f"{owner}/{name}" for owner in ([SHARED] if joint else [t.name for t in tasks])}
    assert set(written) == expected


@pytest.mark.parametrize("choice", ALONE)
def test_every_normalizer_and_selector_runs(choice, begun, go_on):
    assert_picked(begun, go_on(composed(choice)))


@pytest.mark.parametrize("overrides", COMBINATIONS, ids=" ".join)
@pytest.mark.filterwarnings("ignore:no frame is", "ignore:no candidate", "ignore:the cap")
def test_combinations_run(overrides, begun, go_on):
    assert_picked(begun, go_on(composed(*overrides)))


@pytest.mark.parametrize("selector", COLD_STARTS)
def test_cold_starts(selector, experiment, start, tmp_path):
    acquisition = composed(f"acquisition/selector@acquisition.cold_start={selector}")
    start(experiment(acquisition=acquisition, trainer=QUICK, loop=LoopSettings(6, 4, 0)), tmp_path)
    assert pd.read_parquet(tmp_path / "rounds/00/picks.parquet")["frame_id"].nunique() == 6


def test_budget_in_seconds(begun, go_on):
    acquisition = composed("acquisition/cost=annotator_seconds")
    done = go_on(acquisition, loop=LoopSettings(6, 4, 1, batch_seconds=200.0))
    chosen = pd.read_parquet(done / "picks.parquet")["frame_id"]
    cost = pd.read_parquet(done / "scores.parquet").set_index("frame_id")["cost_s"]
    left = cost.drop(chosen)
    assert cost[chosen].sum() <= 200 < cost[chosen].sum() + left.min()


@pytest.mark.parametrize("selector", ["random", "uniform_in_time"])
def test_budget_in_seconds_of_a_selector_that_reads_no_model(selector, begun, go_on):
    """Such picks had no cost, and the whole pool was labelled."""
    dear = ("acquisition/cost=annotator_seconds", "+acquisition.cost.label_s.tools=9")
    done = go_on(composed(f"acquisition/selector={selector}", *dear), loop=LoopSettings(6, 4, 1, batch_seconds=200.0))
    cost = pd.read_parquet(done / "picks.parquet")["cost_s"]
    assert not (done / "scores.parquet").exists()
    assert cost.min() >= 5 + 5 + 60  # the placeholders of three heads
    assert cost.sum() <= 200 < cost.sum() + 5 + 5 + 60 + 3 * 9


def test_frozen_statistics_read_the_first_scores(begun, go_on, experiment, start):
    acquisition = composed("acquisition.frozen_statistics=true", "acquisition/normalizer=z_score")
    first = go_on(acquisition)
    start(experiment(acquisition=acquisition, trainer=QUICK, loop=LoopSettings(6, 4, 2)), first.parents[1])
    now = pd.read_parquet(first.parent / "02" / "scores.parquet")
    before = pd.read_parquet(first / "scores.parquet")
    columns = [c for c in now if "/" in c]
    expected = ((now[columns] - before[columns].mean()) / before[columns].std(ddof=0)).mean(axis=1)
    pd.testing.assert_series_equal(now["utility"], expected, check_names=False)


def test_evidence_is_kept_and_read_again(begun, go_on, experiment, start, tasks):
    acquisition = composed("acquisition/weights=learning_curve_slope")
    first = go_on(acquisition)
    start(experiment(acquisition=acquisition, trainer=QUICK, loop=LoopSettings(6, 4, 2, folds=2)), first.parents[1])
    contents = [json.loads((first.parent / r / "evidence.json").read_text()) for r in ("01", "02")]
    assert [c["labelled"] for c in contents] == [6, 10]
    assert all(sum(c["weights"].values()) == pytest.approx(len(tasks)) for c in contents)
    assert contents[0]["weights"] == {t.name: 1.0 for t in tasks}  # one round has no slope
    assert contents[1]["weights"] != contents[0]["weights"]


def test_the_say_that_is_kept_is_the_one_that_held(begun, go_on):
    """A bandit credits heads by it: one that was fixed to nothing had no turn."""
    first = go_on(composed("+acquisition.head_weights.tools=0", "+acquisition.head_weights.anatomy=2"))
    assert json.loads((first / "evidence.json").read_text())["weights"] == {
        "tools": 0.0,
        "bleeding": 1.0,
        "anatomy": 2.0,
    }


@pytest.mark.filterwarnings("ignore:.*/forgetting:UserWarning")
def test_forgetting_sees_the_rounds_before(begun, go_on, experiment, start):
    acquisition = composed("acquisition/signals=forgetting")
    first = go_on(acquisition)
    start(experiment(acquisition=acquisition, trainer=QUICK, loop=LoopSettings(6, 4, 2)), first.parents[1])
    scores = [pd.read_parquet(first.parent / r / "scores.parquet") for r in ("01", "02")]
    assert (scores[0].filter(like="/forgetting") == 0).all(axis=None)
    assert (scores[1].filter(like="/forgetting") > 0).any(axis=None)
