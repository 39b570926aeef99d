from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pytest
from PIL import Image

from mtal.reporting import main_metric, read_run
from mtal.reporting.run_reader import MAIN_METRICS, read_mask, read_round
from mtal.tasks.metrics import MAIN
from mtal.tasks.metrics import main_metric as measured_by


def test_reads_what_was_written(run_dir):
    run = read_run(run_dir)
    assert run.name == "trial"
    assert run.config["loop"] == {"initial": 4, "batch": 4, "rounds": 2}
    assert list(run.tasks) == ["tools", "bleeding", "anatomy"]
    assert run.tasks["anatomy"].colors[1] == (255, 160, 165)
    assert [task.name for task in run.pixel_tasks()] == ["anatomy"]
    assert [task.name for task in run.frame_tasks()] == ["tools", "bleeding"]
    assert len(run.frames) == 17
    assert [r.number for r in run.rounds] == [0, 1, 2]
    last = run.rounds[-1]
    assert (last.labelled, last.picked) == (12, 4)
    assert last.metrics["tools/mAP"] == pytest.approx(0.7)
    assert last.class_counts["anatomy"] == {"liver": 12, "gallbladder": 2, "fat": 0}
    assert last.timings["train"] == 75.0
    assert last.picks["frame_id"].tolist() == [f"video01/{25 * k:06d}" for k in (8, 9, 10, 11)]


def test_null_metrics_become_nan(run_dir):
    assert math.isnan(read_run(run_dir).rounds[0].metrics["bleeding/AP"])


def test_images_are_found_where_they_exist(run_dir):
    first, second, _ = read_run(run_dir).rounds
    assert first.image(3) == first.path / "images" / "0003.jpg"
    assert first.image(4) is None
    assert first.label_mask(0, "anatomy") == first.path / "images" / "0000.anatomy.png"
    assert first.predicted_mask(0, "anatomy") is None
    assert second.predicted_mask(0, "anatomy") == second.path / "images" / "0000.anatomy.pred.png"


@pytest.mark.parametrize(
    ("family", "pixels", "expected"),
    [
        ("categorical", [[0, 1], [2, 255]], [[0, 1], [2, 255]]),
        ("bernoulli", [[0], [1], [255]], [[[0]], [[1]], [[255]]]),
        ("categorical", [[3, 1]], r"m\.png: the mask holds the value 3, but there are only 3 classes"),
        ("bernoulli", [[0], [1], [2]], r"m\.png: the mask holds the value 2, but each is there \(1\) or not \(0\)"),
        ("bernoulli", [[0], [1]], r"m\.png: the mask has 2 rows, which are no 3 layers of one height"),
    ],
)
def test_masks(tmp_path, family, pixels, expected):
    Image.fromarray(np.array(pixels, dtype=np.uint8)).save(tmp_path / "m.png")
    if isinstance(expected, list):
        assert read_mask(tmp_path / "m.png", family, ("a", "b", "c")).tolist() == expected
    else:
        with pytest.raises(ValueError, match=expected):
            read_mask(tmp_path / "m.png", family, ("a", "b", "c"))


def test_rounds_are_ordered_by_number_and_unfinished_ones_are_left_out(run_dir):
    rounds = run_dir / "rounds"
    shutil.copytree(rounds / "01", rounds / "100")
    record = json.loads((rounds / "100" / "metrics.json").read_text()) | {"round": 100}
    (rounds / "100" / "metrics.json").write_text(json.dumps(record))
    (rounds / ".03").mkdir()
    (rounds / "4").mkdir()
    assert [r.number for r in read_run(run_dir).rounds] == [0, 1, 2, 100]


def test_one_round_alone(run_dir):
    assert read_round(run_dir, 1).labelled == 8


@pytest.mark.parametrize("missing", ["config.yaml", "tasks.json", "frames.parquet"])
def test_a_folder_that_is_not_a_run(run_dir, missing):
    (run_dir / missing).unlink()
    with pytest.raises(FileNotFoundError, match=rf"trial is not a run folder: it has no {missing};"):
        read_run(run_dir)


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a run folder"):
        read_run(tmp_path / "nowhere")


def test_broken_json_names_the_file(run_dir):
    (run_dir / "rounds" / "01" / "metrics.json").write_text('{"round": 1')
    with pytest.raises(ValueError, match=r"01/metrics\.json: expected a JSON object"):
        read_run(run_dir)


def test_a_missing_key_is_named(run_dir):
    (run_dir / "rounds" / "01" / "metrics.json").write_text('{"round": 1, "labelled": 8, "picked": 4, "metrics": {}}')
    with pytest.raises(ValueError, match=r"metrics\.json: the keys class_counts are missing"):
        read_run(run_dir)


def test_a_task_without_colours_is_named(run_dir, tasks):
    del tasks["bleeding"]["colors"]
    (run_dir / "tasks.json").write_text(json.dumps(tasks))
    with pytest.raises(ValueError, match=r"tasks\.json: task 'bleeding'"):
        read_run(run_dir)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["t/AUROC", "t/AP", "t/mAP"], "t/mAP"),
        (["t/AUROC", "t/AP"], "t/AP"),
        (["t/Dice", "t/mIoU"], "t/mIoU"),
        (["t/AP/hook", "other/mAP"], None),
    ],
)
def test_main_metric(keys, expected):
    assert main_metric("t", dict.fromkeys(keys, 0.5)) == expected


def test_a_head_is_summed_up_by_what_it_was_measured_by():
    """Run folders are read without the packages that wrote them, so the order of metrics stands twice."""
    assert MAIN_METRICS == MAIN
    assert main_metric("a", {"a/mIoU": 0.1, "a/AP": 0.2}) == measured_by("a", ["a/mIoU", "a/AP"]) == "a/AP"
