"""Which classes frames show, from labels and heads to the candidates of a selector; and labels that stay hidden."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from miniature import surgery

from mtal.acquisition import HiddenLabelBound, JointCover
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.learning import presence
from mtal.learning.hidden_labels import HiddenLabels, hidden_labels
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.out_of_fold import OutOfFold
from mtal.learning.picks import class_counts
from mtal.learning.presence import labelled_presence, shown_by, shows
from mtal.tasks.posterior import HeadOutput
from mtal.tasks.task import Task

TOOLS = Task(LabelMap("tools", "frame", False, ("hook", "clip"), ((0, 0, 0), (1, 1, 1))))
ORGANS = Task(LabelMap("organs", "pixel", True, ("wall", "liver"), ((0, 0, 0), (1, 1, 1))))
LABELS = {
    "tools": np.array([[1, 0], [0, IGNORE], [IGNORE, IGNORE]], dtype=np.uint8),
    "organs": np.array([[[0, 1]], [[0, IGNORE]], [[IGNORE, IGNORE]]], dtype=np.uint8),
}


def test_shows_what_is_labelled_and_not_what_nobody_said():
    np.testing.assert_equal(shows(TOOLS, LABELS["tools"]), [[1, 0], [0, np.nan], [np.nan, np.nan]])
    np.testing.assert_equal(shows(ORGANS, LABELS["organs"]), [[1, 1], [1, 0], [np.nan, np.nan]])


def test_sums_are_the_counts_of_classes(tasks, targets):
    counts = class_counts(tasks, targets)
    for task in tasks:
        assert np.nansum(shows(task, targets[task.name]), axis=0).tolist() == list(counts[task.name].values())


def test_without_cross_validation_nothing_is_told_apart():
    learnt = labelled_presence([TOOLS, ORGANS], LABELS, None, {})
    assert learnt.trust == 0
    assert {task: h.tolist() for task, h in learnt.headroom.items()} == {"tools": [1, 1], "organs": [1, 1]}
    head = HeadOutput("bernoulli", torch.tensor([[[0.9, 0.1]], [[0.2, 0.7]]]))
    organs = HeadOutput("categorical", torch.tensor([[[0.9, 0.1]], [[0.2, 0.8]]]))
    askable = {"organs": np.array([True, False])}
    shown = shown_by(
        [TOOLS, ORGANS],
        learnt,
        {"tools": head, "organs": organs},
        np.ones((2, 3), dtype=np.float32),
        np.array([4, 5]),
        np.array([4, 4, 6]),
        askable,
    )
    # hook in 1 of 2 labelled frames, clip in 0 of 1; walls in 2 of 2, liver in 1 of 2: (k + ½)/(n + 1)
    assert shown.expected["tools"] == pytest.approx(np.array([[0.5, 0.25]] * 2))
    np.testing.assert_allclose(shown.expected["organs"], [[2.5 / 3, 0.5], [np.nan, np.nan]])
    assert shown.absence == {"tools"}


def test_headroom_and_lines_are_those_out_of_fold():
    probs = torch.tensor([[[0.9, 0.5]], [[0.8, 0.5]], [[0.2, 0.5]], [[0.1, 0.5]]], dtype=torch.float64)
    labels = np.array([[1, 0], [1, 0], [0, 0], [0, 1]], dtype=np.uint8)
    validated = OutOfFold(
        {"tools": {"hook": 0.8}},
        {"tools": HeadOutput("bernoulli", probs)},
        {"tools": torch.from_numpy(labels)[:, None]},
    )
    learnt = labelled_presence([TOOLS], {"tools": labels}, validated, {})
    assert learnt.headroom["tools"] == pytest.approx([0.2, 1.0])
    assert learnt.lines["tools"](np.array([[0.9, 0.5], [0.1, 0.5]]))[:, 0] == pytest.approx([1, 0], abs=0.02)
    assert learnt.lines["tools"].slope[1] == 0


def test_a_run_by_the_joint_rule(experiment, start, tmp_path):
    acquisition = surgery.make_acquisition(selector=JointCover())
    start(experiment(acquisition=acquisition, loop=LoopSettings(6, 4, 1, folds=2)), tmp_path)
    picks = pd.read_parquet(tmp_path / "rounds/01/picks.parquet")
    assert picks["reason_because"].str.match(r"most for (tools|bleeding|anatomy): .*, labelled in \d+ frames").all()
    assert 0 <= json.loads((tmp_path / "rounds/01/evidence.json").read_text())["trust"] <= 1


def test_scores_that_are_not_trusted_are_no_reason(experiment, start, tmp_path, monkeypatch):
    """With no trust in them the rule is the same whatever they are, and no head, signal or percentile is named."""
    acquisition = surgery.make_acquisition(selector=JointCover())
    read = {}
    for trust in (0.0, 0.5):
        monkeypatch.setattr(presence, "trust", lambda *args, trust=trust: trust)
        start(experiment(acquisition=acquisition, loop=LoopSettings(6, 4, 1, folds=2)), tmp_path / f"{trust}")
        picks = pd.read_parquet(tmp_path / f"{trust}" / "rounds/01/picks.parquet")
        assert picks["reason_because"].str.startswith("most for ").all()
        read[trust] = picks["reason_task"].notna()
    assert not read[0.0].any()
    assert read[0.5].all()


class TestHiddenLabels:
    def test_a_bound_reads_them_in_a_simulation(self, experiment, start, tmp_path, dataset, tasks):
        acquisition = surgery.make_acquisition(selector=HiddenLabelBound())
        start(experiment(acquisition=acquisition, loop=LoopSettings(6, 4, 1, folds=2)), tmp_path)
        picks = pd.read_parquet(tmp_path / "rounds/01/picks.parquet")
        assert picks["frame_id"].nunique() == 4
        assert picks["reason_task"].isna().all()  # no score was read

    def test_nobody_else_gets_them(self, experiment):
        assert experiment()._choosing._picker._hidden is None

    def test_people_are_never_asked_beside_them(self, dataset, tasks):
        acquisition = surgery.make_acquisition(selector=HiddenLabelBound())
        people = SimpleNamespace(asks_people=True)
        with pytest.raises(ValueError, match="HiddenLabelBound reads labels that nobody has given yet"):
            hidden_labels(acquisition, people, dataset, tasks, (64, 64))

    def test_no_frame_of_the_test_is_read(self, dataset, tasks):
        hidden = HiddenLabels(dataset, tasks, (64, 64))
        table = dataset.index.table
        held_out = table.loc[table["split"] == "test", "frame_id"].tolist()
        with pytest.raises(ValueError, match="2 frames are not of the pool, such as video_c"):
            hidden([table["frame_id"].iloc[0], *held_out[:2]])

    def test_they_are_the_labels_and_read_once(self, dataset, tasks, targets, monkeypatch):
        hidden = HiddenLabels(dataset, tasks, (64, 64))
        ids = dataset.index.table["frame_id"].tolist()[:3]
        found = hidden(ids)
        for task in tasks:
            np.testing.assert_equal(found[task.name], shows(task, targets[task.name][:3]))
        monkeypatch.setattr(type(dataset.labels), "targets", None)
        np.testing.assert_equal(hidden(ids[::-1])["anatomy"], found["anatomy"][::-1])
