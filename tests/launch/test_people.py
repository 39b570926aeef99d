"""One command a round."""

import pandas as pd
import pytest
from miniature import recordings
from miniature.runs import all_runs


@pytest.fixture
def options(tmp_path, cache) -> list[str]:
    data, desk = recordings.write(tmp_path / "data"), tmp_path / "desk"
    places = [f"data.root={data}", f"run_root={tmp_path / 'runs'}", f"cache={cache}", f"oracle.root={desk}"]
    return [*recordings.OPTIONS, *places, "oracle=folder", "name=mini", "loop.rounds=0"]


@pytest.mark.slow
def test_asks_ends_in_peace_and_goes_on(start, options, tmp_path):
    code, out, err = start(*options)
    assert (code, err) == (0, "")
    assert "waiting for labels: the held-out frames: 0 of 5 frames are done. Owed: tools of 5 (first carl/0000" in out
    (test,) = (tmp_path / "desk").glob("held_out_*")
    assert f"Answer in {test}, then give the same command again" in out
    (run,) = all_runs(tmp_path / "runs")
    assert "The held-out frames: 0 of 5 frames are done" in (run / "report.html").read_text()
    recordings.fill_in(test)
    code, out, err = start(*options)
    assert (code, err) == (0, "")
    assert "waiting for labels: round 0: 0 of 4 frames are done" in out
    (first,) = (tmp_path / "desk").glob("00_*")
    recordings.fill_in(first, slice(0, 3))
    code, out, err = start(*options)
    assert (code, err) == (0, "")
    assert "round 0: 3 of 4 frames are done (5 by somebody without a name" not in out
    assert "round 0: 3 of 4 frames are done (3 by somebody without a name). Owed: tools of 1" in out
    table = pd.read_csv(first / "frames.csv", dtype=str, keep_default_na=False, sep=";")
    table.loc[3, "label/tools"] = "scissors"
    table.to_csv(first / "frames.csv", index=False)
    code, out, err = start(*options)
    assert code == 1
    assert "'scissors' is no class of tools; write grasper, hook, none or ?" in err
    recordings.fill_in(first)
    code, out, err = start(*options)
    assert (code, err) == (0, "")
    assert "Waiting for labels" not in (run / "report.html").read_text()
    recordings.fill_in(first, tasks=())
    table = pd.read_csv(first / "frames.csv", dtype=str, keep_default_na=False, sep=";")
    table["label/tools"] = "none"
    table.to_csv(first / "frames.csv", index=False)
    code, out, err = start(*[o for o in options if o != "loop.rounds=0"], "loop.rounds=1")
    assert code == 0
    assert "waiting for labels: round 1: 0 of 3 frames are done" in out


def test_held_out_frames_that_other_data_would_change(start, options, tmp_path):
    start(*options)
    (tmp_path / "data" / "bo.mp4").rename(tmp_path / "data" / "bob.mp4")
    code, _, err = start(*options)
    assert code == 1
    assert "lists other frames than the data set does now: the data changed since this run" in err


def test_more_test_frames_than_there_are(start, options):
    code, _, err = start(*options, "loop.test_frames=15")
    assert code == 1
    assert "loop.test_frames=15, but 14 frames are held out; lower it, or hold out more patients" in err


def test_heads_that_are_corrected_after_a_refusal_are_no_other_heads(start, options):
    """What was refused has asked nobody, so nothing is there that could mean something else."""
    code, _, err = start(*options, "data.test_patients=[]", recordings.HEADS.replace("grasper", "graspr"))
    assert code == 1
    assert "needs frames to learn from and to test on: see data.test_patients" in err
    code, out, err = start(*options)
    assert (code, err) == (0, "")
    assert "waiting for labels: the held-out frames: 0 of 5 frames are done" in out
