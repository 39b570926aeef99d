"""What the cost model learns of annotators who worked at known speeds."""

import io
import json
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from miniature import surgery
from miniature.scripted import ScriptedOracle

from mtal.acquisition import MeasuredCost, TopK
from mtal.acquisition.costs import predicted_boundary, predicted_classes
from mtal.annotation import Answer, LabelsPendingError, LabelStore, Said
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.learning import choosing, loop
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.measured import as_output, learn_cost, recall_cost, sittings
from mtal.learning.run_folder import RunFolder
from mtal.tasks.task import Task

TOOLS = LabelMap("tools", "frame", False, ("grasper", "hook", "clip"), ((0, 0, 1), (0, 0, 2), (0, 0, 3)))
ANATOMY = LabelMap("anatomy", "pixel", True, ("wall", "liver", "fat"), ((1, 0, 0), (2, 0, 0), (3, 0, 0)))
TASKS = [Task(TOOLS), Task(ANATOMY)]
GENERATOR = np.random.default_rng(0)


def drawn(k: int) -> np.ndarray:
    mask = np.zeros((40, 60), np.uint8)
    mask[:, k % 60 :] = k % 3
    mask[: k % 30, :20] = (k // 3) % 3
    return mask


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    """One who works at 2 s + 3 s a tool, and 10 s + 5 s a class + 4 s a side of outline, with a break now and then."""
    store = LabelStore(tmp_path_factory.mktemp("labels"), [TOOLS, ANATOMY])
    answers = []
    for k in range(120):
        tools, mask = (GENERATOR.random(3) < 0.5).astype(np.uint8), drawn(k)
        outlined = as_output(TASKS[1], mask)
        each = {
            "tools": 2 + 3.0 * tools.sum(),
            "anatomy": 10 + 5 * float(predicted_classes(outlined)) + 4 * float(predicted_boundary(outlined)),
        }
        if k % 40 in (7, 12):
            each = dict.fromkeys(each, 3000.0)
        if k % 2:  # both in one sitting, of which only the whole is known
            each = dict.fromkeys(each, sum(each.values()) / 2)
        for (task, seconds), label in zip(each.items(), (tools, mask), strict=True):
            time = f"2031-05-17T09:{k // 2:02d}:{k % 2:02d}" + (task if k % 2 == 0 else "")
            answers.append(Answer(f"v/{k:06d}", task, Said.LABELLED, label, "anna", seconds, time=time))
    answers.append(Answer("v/000200", "tools", Said.NOT_ANNOTATED, annotator="anna", seconds=50.0, time="z"))
    store.add(answers)
    return store.view()


def test_speeds_per_head_class_and_outline_are_recovered_within_ten_percent(view):
    cost = MeasuredCost()
    cost.learn(*sittings(view, TASKS))
    assert cost.look_s < 0.5
    assert cost.frame_s["tools"] + cost.look_s == pytest.approx(2, rel=0.1)
    assert cost.frame_s["anatomy"] + cost.look_s == pytest.approx(10, rel=0.1)
    found = [cost.label_s["tools"], cost.class_s["anatomy"], cost.boundary_s["anatomy"]]
    assert found == pytest.approx([3, 5, 4], rel=0.1)


def test_a_sitting_is_what_was_answered_at_once_and_breaks_are_left_out(view):
    did, seconds = sittings(view, TASKS)
    both = did["frame_s", "tools"] * did["frame_s", "anatomy"]
    assert both.sum() == 60 - 3
    assert len(seconds) == 57 + 2 * 57
    assert max(seconds) < 200


def test_a_correction_is_no_sitting(tmp_path):
    """It takes a few seconds, and would make masks look cheap."""
    store = LabelStore(tmp_path, [TOOLS, ANATOMY])
    mask = np.zeros((8, 8), np.uint8)
    first = [
        Answer(f"v/{k}", "anatomy", Said.LABELLED, mask, "anna", 60.0, time=f"2031-05-17T09:{k:02d}:00")
        for k in range(6)
    ]
    store.add(first)
    store.add([replace(a, label=mask + 1, seconds=5.0, time=a.time.replace("T09", "T10")) for a in first[:3]])
    _, seconds = sittings(store.view(), TASKS)
    assert seconds.tolist() == [60.0] * 6


def test_where_nobody_is_asked_nothing_is_measured():
    assert sittings(None, TASKS)[0] == {}


def test_that_cvat_measures_nothing_is_told_with_the_way_out(view, tmp_path):
    store, cost = LabelStore(tmp_path, [TOOLS, ANATOMY]), MeasuredCost()
    label = np.array([1, 0, 0], dtype=np.uint8)
    store.add([Answer(f"v/{k:06d}", "tools", Said.LABELLED, label, "anna", tool="cvat") for k in range(30)])
    acquisition = surgery.make_acquisition(cost=cost, selector=TopK())
    with pytest.warns(UserWarning, match=r"\(nothing; 20 .*CVAT's exports do not say .* 30 answers .*label_studio"):
        learn_cost(acquisition, store.view(), TASKS, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learn_cost(surgery.make_acquisition(cost=MeasuredCost(), selector=TopK()), view, TASKS, tmp_path)


@pytest.mark.parametrize("family", ["categorical", "bernoulli"])
def test_a_label_as_an_output_is_what_was_drawn(family):
    mask = np.array([[0, 0, 2], [0, IGNORE, 2]], np.uint8)
    task = Task(LabelMap("a", "pixel", family == "categorical", ("x", "y", "z"), ((1, 0, 0), (2, 0, 0), (3, 0, 0))))
    label = mask if family == "categorical" else np.where(mask == IGNORE, IGNORE, mask == np.arange(3)[:, None, None])
    head = as_output(task, label.astype(np.uint8))
    assert head.grid == (2, 3)
    assert head.mask.tolist() == [[True, True, True, True, False, True]]
    assert predicted_classes(head).item() == 2
    assert predicted_boundary(head).item() == 0.5  # 0 beside 2 in one of two rows
    large = as_output(task, np.kron(label, np.ones((200, 300), np.uint8)).astype(np.uint8))
    assert large.grid is not None
    assert max(large.grid) <= 256
    assert predicted_boundary(large).item() == pytest.approx(0.5, abs=0.01)
    assert torch.equal(head.probs.sum(dim=2) > 0, head.mask)


SECONDS = {"tools": 4.0, "bleeding": 2.0, "anatomy": 30.0}


@pytest.fixture(scope="module")
def timed(dataset, frames, features, tmp_path_factory):
    """Three rounds with somebody who needs 36 s for a frame, in each of which there are 150 s; and how it began."""
    root = tmp_path_factory.mktemp("timed")
    folder = RunFolder(root / "run")
    made = surgery.make_experiment(
        dataset,
        frames,
        features,
        oracle=ScriptedOracle(dataset, root / "labels", SECONDS),
        acquisition=surgery.make_acquisition(cost=MeasuredCost(), selector=TopK()),
        loop=LoopSettings(20, 4, 2, batch_seconds=150.0),
    )
    with folder.lock():
        folder.open({}, {}, dataset.index)
        made.run(folder)
    return folder


def test_a_round_spends_minutes_as_they_were_measured(timed):
    """By the placeholders a frame is 70 s, so that two would be picked; by the clock it is 36 s."""
    for number in (1, 2):
        picks = pd.read_parquet(timed.round_path(number) / "picks.parquet")
        assert len(picks) == 4
        assert picks["cost_s"].tolist() == pytest.approx([36] * 4, rel=0.05)
        assert picks["took_s"].tolist() == [36] * 4
        assert picks["annotators"].tolist() == [1] * 4
        speeds = json.loads((timed.round_path(number) / "cost.json").read_text())
        assert speeds["frame_s"]["anatomy"] == pytest.approx(30, rel=0.1)
    first = pd.read_parquet(timed.round_path(0) / "picks.parquet")
    assert first["took_s"].tolist() == [36] * 20
    assert not (timed.round_path(0) / "cost.json").exists()


def test_what_was_measured_when_a_round_was_picked_belongs_to_the_round(
    dataset, frames, features, timed, tmp_path, monkeypatch
):
    """What comes in between, at another speed, changes no pick and no cost of a round that has picked."""
    oracle = ScriptedOracle(dataset, tmp_path / "labels", SECONDS, owed=20)
    made = surgery.make_experiment(
        dataset,
        frames,
        features,
        oracle=oracle,
        acquisition=surgery.make_acquisition(cost=MeasuredCost(), selector=TopK()),
        loop=LoopSettings(20, 4, 1, batch_seconds=150.0),
    )
    folder = RunFolder(tmp_path / "run")
    with folder.lock():
        folder.open({}, {}, dataset.index)
        with pytest.raises(LabelsPendingError):
            made.run(folder)
        oracle.owed = 0
        with monkeypatch.context() as patch:
            patch.setattr(choosing, "learn_cost", interrupted_after_picking(patch))
            with pytest.raises(KeyboardInterrupt):
                made.run(folder)
        waiting = folder.picked_path(1)
        picked, cost = (waiting / "picks.parquet").read_bytes(), (waiting / "cost.json").read_bytes()
        pool = [f for f in dataset.index.split("pool").frame_ids if f not in folder.labelled()]
        label = np.zeros(3, np.uint8)
        oracle.add([Answer(f, "tools", Said.LABELLED, label, "ben", 400.0) for f in pool])
        made.run(folder)
    assert json.loads((folder.round_path(1) / "cost.json").read_bytes()) == json.loads(cost)
    again = pd.read_parquet(folder.round_path(1) / "picks.parquet")
    assert again["frame_id"].tolist() == pd.read_parquet(io.BytesIO(picked))["frame_id"].tolist()
    assert again["frame_id"].tolist() == pd.read_parquet(timed.round_path(1) / "picks.parquet")["frame_id"].tolist()


def interrupted_after_picking(patch):
    """Fits the cost as ever, and lets the program be interrupted once the picks are there."""

    def learn(*arguments):
        def stop(*_):
            raise KeyboardInterrupt

        learn_cost(*arguments)
        patch.setattr(loop, "settle", stop)

    return learn


def test_what_a_round_went_by_is_recalled_for_other_recordings(timed, tmp_path):
    acquisition = surgery.make_acquisition(cost=MeasuredCost())
    recall_cost(acquisition, tmp_path)  # which has measured nothing
    assert acquisition.limits.cost.frame_s == {}
    recall_cost(acquisition, timed.round_path(2))
    assert acquisition.limits.cost.frame_s["anatomy"] == pytest.approx(30, rel=0.1)


def test_where_nobody_is_asked_the_placeholders_are_spent(experiment, start, tmp_path):
    acquisition = surgery.make_acquisition(cost=MeasuredCost(), selector=TopK())
    made = experiment(acquisition=acquisition, loop=LoopSettings(4, 4, 2, batch_seconds=150.0))
    with pytest.warns(UserWarning, match="too few answers were timed") as told:
        start(made, tmp_path)
    assert len(told) == 1
    assert len(pd.read_parquet(tmp_path / "rounds/02/picks.parquet")) == 2
