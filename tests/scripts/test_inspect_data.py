import os
import re
import runpy
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from miniature import cholecystectomy
from PIL import Image

from mtal.datasets.label_map import LabelMap

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "inspect_data.py"


@pytest.fixture
def inspect(tmp_path, monkeypatch, capsys):
    """Call the script; what it prints and complains of."""
    cholecystectomy.write_cholec80(tmp_path / "cholec80")
    cholecystectomy.write_cholecseg8k(tmp_path / "seg8k")

    def run(*arguments):
        options = ["data=cholecseg8k", f"run_root={tmp_path / 'runs'}", *arguments]
        monkeypatch.setattr(sys, "argv", ["inspect_data.py", *options])
        runpy.run_path(str(SCRIPT), run_name="__main__")
        return capsys.readouterr()

    return run


def test_prints_and_writes(inspect, tmp_path):
    options = (f"data.root={tmp_path / 'seg8k'}", f"data.cholec80={tmp_path / 'cholec80'}")
    said = inspect(*options, "data.test_videos=[video12]")
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert "pool 3 1 1" in lines
    assert "test 2 1 1" in lines
    assert "8 bleeding 2 66.7 1 0 0.0 0" in lines  # in frames 24 and 26 of video01
    assert re.search(r"warning: .*bleeding/bleeding.*: all positives are of one patient \(video01\)", said.out)
    folder = tmp_path / "runs" / "inspect" / "cholecseg8k"
    assert {p.name for p in folder.iterdir()} == {
        *("report.txt", "splits.csv", "classes.csv", "together.csv", "samples.png")
    }
    with Image.open(folder / "samples.png") as sheet:
        assert sheet.width > 1000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["data.root=nowhere"], "error: nowhere: no video here; the root of CholecSeg8k holds"),
        (
            [],
            "error: data.root: no value was given; add data.root=… to the command line",
        ),
    ],
)
def test_faults_are_one_line(inspect, capsys, options, message):
    with pytest.raises(SystemExit, match="1"):
        inspect(*options)
    said = capsys.readouterr().err
    assert said.startswith(message)
    assert said.count("\n") == 1


@pytest.mark.parametrize("asked", ["-h", "--help"])
def test_help(inspect, asked):
    assert inspect(asked).out.startswith("Look at a data set before learning from it")


def test_misspelt_options(inspect, capsys):
    with pytest.raises(SystemExit) as end:
        inspect("data.roof=x")
    assert end.value.code == 2
    assert "did you mean 'data.root'" in capsys.readouterr().err


def test_stopped_on_the_way(inspect, tmp_path, monkeypatch, capsys):
    stop = lambda *_: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
    monkeypatch.setattr("mtal.reporting.label_sheet.write_label_sheet", stop)
    with pytest.raises(SystemExit) as end:
        inspect(f"data.root={tmp_path / 'seg8k'}", "data.test_videos=[video12]", "tasks=anatomy")
    assert end.value.code == 143
    assert capsys.readouterr().err.splitlines()[-1] == "stopped by SIGTERM: the same command begins again"


@pytest.mark.parametrize(
    ("label", "words"),
    [([0, 255], "none of those annotated"), ([255, 1], "hook"), ([0, 0], "none"), ([255, 255], "not annotated")],
)
def test_none_is_said_of_the_classes_that_somebody_looked_for(label, words):
    tools = LabelMap("tools", "frame", False, ("grasper", "hook"), ((0, 0, 1), (0, 0, 2)))
    dataset = SimpleNamespace(labels=SimpleNamespace(targets=lambda task, frame_ids: np.array([label])))
    assert runpy.run_path(str(SCRIPT))["said"](dataset, tools, "video/000000") == words
