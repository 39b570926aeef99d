"""Held-out frames scored at the resolution of their labels, by patient and by event."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from miniature import surgery
from torch.nn.functional import interpolate

from mtal.datasets.label_map import IGNORE
from mtal.datasets.masks import OwnSizeMasks
from mtal.learning.evaluation import EvaluationSettings, measure, record
from mtal.tasks.metrics import PoolMetrics


@pytest.fixture(scope="module")
def model(tasks):
    return surgery.make_model(tasks)


@pytest.fixture(scope="module")
def held_out(dataset):
    """Rows of the frame index, and their positions."""
    table = dataset.index.table
    at = np.flatnonzero(table["split"] == "test")
    return table.iloc[at], at


def big(dataset, frame_id):
    """A mask of its own size, not a multiple of the input's."""
    mask = dataset.labels.mask("anatomy", frame_id)
    number = int(frame_id[-1])
    return None if number == 3 else mask.repeat(2, axis=0).repeat(3, axis=1)[: 100 + number]


@pytest.fixture(scope="module")
def measured(model, dataset, features, tasks, held_out):
    rows, at = held_out
    ids = rows["frame_id"].tolist()
    targets = {t.name: dataset.labels.targets(t.name, ids) for t in tasks if t.support == "frame"}
    targets["anatomy"] = OwnSizeMasks(lambda row: big(dataset, ids[row]), len(ids))
    patients = ["p", "q"] * (len(ids) // 2)
    return measure(model, tasks, features, at, targets, torch.device("cpu"), batch_size=5, patients=patients)


def test_masks_are_scored_at_their_own_size(measured, model, dataset, features, held_out):
    rows, at = held_out
    hit, truth, said = np.zeros((3, 3))
    with torch.inference_mode():
        logits = model.eval()(features.batch(at)).heads["anatomy"].logits.double()
    for of_frame, frame_id in zip(logits, rows["frame_id"], strict=True):
        mask = big(dataset, frame_id)
        if mask is not None:
            answer = interpolate(of_frame[None], mask.shape, mode="bilinear")[0].argmax(dim=0).numpy()
            for c in range(3):
                hit[c] += ((answer == c) & (mask == c)).sum()
                truth[c] += (mask == c).sum()
                said[c] += ((answer == c) & (mask != IGNORE)).sum()
    expected = hit / (truth + said - hit)
    found = measured.compute()
    for name, iou in zip(surgery.ANATOMY.classes, expected, strict=True):
        assert found[f"anatomy/IoU/{name}"] == pytest.approx(iou, abs=1e-4)  # float32 decides a pixel here and there


def test_record_is_of_patients_and_events(measured, held_out):
    told = json.loads(json.dumps(record(measured, held_out[0])))
    of_patients = told["by_patient"]["anatomy"]
    assert of_patients["metric"] == "mIoU"
    values = of_patients["patients"]
    assert set(values) == {"p", "q"}
    assert of_patients["mean"] == pytest.approx(sum(values.values()) / 2)
    assert of_patients["worst"] == min(values.values())
    assert told["by_patient"]["bleeding"]["metric"] == "AP"
    events = told["events"]["bleeding"]  # one frame per second
    assert events["found"] + events["missed"] > 0
    assert events["seconds"] == surgery.PER_PATIENT - 1
    assert "tools" not in told["events"]


def test_what_cannot_be_had_is_none(tasks):
    metrics = PoolMetrics(tasks[1:2])
    metrics.update({"bleeding": torch.zeros(2, 1)}, {"bleeding": torch.full((2, 1), IGNORE)}, ["p", "p"])
    told = record(metrics, pd.DataFrame({"video": ["v", "v"], "time_s": [0.0, 30.0]}))
    assert told["metrics"]["bleeding/AP"] is None
    assert told["by_patient"]["bleeding"] == {"metric": "AP", "mean": None, "worst": None, "patients": {"p": None}}
    assert told["events"] == {}


def test_a_round_keeps_it_and_reads_masks_at_the_size_asked(experiment, tmp_path, start):
    made = {
        resolution: experiment(evaluation=EvaluationSettings(resolution), loop=surgery.LoopSettings(6, 4, 0))
        for resolution in ("labels", "input")
    }
    assert isinstance(made["labels"].held_out_frames.targets("test")["anatomy"], OwnSizeMasks)
    for resolution, one in made.items():
        start(one, tmp_path / resolution)
    by_labels, by_input = (json.loads((tmp_path / r / "rounds/00/metrics.json").read_text()) for r in made)
    assert by_labels == by_input  # masks of the miniature are of the size of the input
    assert list(by_labels["by_patient"]["tools"]["patients"]) == ["c"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"resolution": "label"}, "evaluation.resolution must be labels or input, not 'label', did you mean 'labels'"),
        ({"surface_pixels": -1.0}, "evaluation.surface_pixels must be a number of pixels of at least 0"),
        ({"hausdorff": 95}, "evaluation.hausdorff must be true or false, not 95"),
    ],
)
def test_settings_that_mean_nothing_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        EvaluationSettings(**options)


def test_all_settings_that_mean_nothing_are_told_at_once():
    with pytest.raises(ValueError, match=r"^2 wrong options:\n.*resolution must.*\n.*hausdorff must.*$"):
        EvaluationSettings(resolution="label", hausdorff=1)
