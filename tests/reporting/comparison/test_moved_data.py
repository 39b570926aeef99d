from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from mtal.reporting.comparison.strategies import sort_runs
from mtal.reporting.run_reader import read_run

TESTED = ["t/0", "t/1"]


@pytest.fixture
def run(tmp_path, configure, write):
    """A run of two rounds on data at a place, with what it keeps of their labels."""

    def make(name, seed=0, root="here", tested="0", learnt="0", change=None, **acquisition):
        config = configure(seed, 1, **acquisition)
        config["data"] = {**config["data"], "root": root, **(change or {})}
        made = read_run(write(tmp_path / name, config, [10, 20], {"tools": [0.4, 0.5]}))
        pd.DataFrame({"frame_id": TESTED, "tools": tested, "look": None}).to_parquet(made.path / "labels.parquet")
        for each in made.rounds:
            digests = pd.DataFrame({"frame_id": each.picks["frame_id"], "tools": learnt})
            digests.to_parquet(each.path / "labels.parquet")
        return made

    return make


def test_data_that_moved_are_the_same_setting(run):
    runs = [run("a"), run("b", 1, "there"), run("c", selector="Random"), run("d", 1, "there", selector="Random")]
    (setting,), left_out = sort_runs(runs, [run("full", root="elsewhere")])
    assert setting.name == "synthetic"
    assert {s.name: s.seeds for s in setting.strategies} == {"badge": (0, 1), "random": (0, 1)}
    assert [full.name for full in setting.full_pool] == ["full"]
    assert not left_out


@pytest.mark.parametrize(
    "other", [{"tested": "1"}, {"learnt": "1"}, {"change": {"fps": 2}}], ids=["tested", "learnt", "option"]
)
def test_other_data_at_another_place_are_another_setting(run, other):
    settings, left_out = sort_runs([run("a"), run("b", root="there", **other)], [])
    assert [len(s.strategies) for s in settings] == [1, 1]
    assert len({s.name for s in settings}) == 2
    assert not left_out


def test_other_frames_at_another_place_are_another_setting(run):
    there = run("b", root="there")
    settings, _ = sort_runs([run("a"), replace(there, frames=there.frames.iloc[1:])], [])
    assert len(settings) == 2


def test_runs_that_keep_no_labels_stay_apart(run):
    there = run("b", root="there")
    (there.path / "labels.parquet").unlink()
    assert len(sort_runs([run("a"), there], [])[0]) == 2
