from __future__ import annotations

import pytest

from mtal.reporting.comparison.found_runs import ReadOnce, find_runs, is_full_pool, read_finished

HEADS = {"tools": [0.4, 0.5, 0.6]}


@pytest.fixture
def run(tmp_path, configure, write):
    return lambda name, **options: write(tmp_path / name, configure(rounds=2), [10, 20, 30], HEADS, **options)


def test_runs_are_found_at_any_depth_and_once(tmp_path, run):
    paths = [run("sweep/a"), run("sweep/deeper/b"), run("other/c")]
    (paths[0] / ".hydra").mkdir()
    (paths[0] / ".hydra" / "config.yaml").write_text("seed: 0")
    assert find_runs([tmp_path / "sweep", tmp_path / "other" / "c", paths[0]]) == paths


@pytest.mark.parametrize(("make", "words"), [(False, "no such folder"), (True, "no run in it")])
def test_a_folder_without_runs_is_refused(tmp_path, make, words):
    folder = tmp_path / "empty"
    if make:
        folder.mkdir()
    with pytest.raises(FileNotFoundError, match=rf"empty: there is {words}"):
        find_runs([folder])


def test_what_is_not_finished_is_said(tmp_path, run):
    (tmp_path / "sweep" / "z_crashed").mkdir(parents=True)
    (tmp_path / "sweep" / "z_crashed" / "failed.txt").write_text("ValueError: no")
    run("sweep/a_whole")
    run("sweep/b_stopped", complete=2)
    run("sweep/c_started", complete=0)
    broken = run("sweep/d_broken")
    (broken / "rounds" / "01" / "metrics.json").write_text("{")
    runs, left_out = read_finished(find_runs([tmp_path / "sweep"]))
    assert [r.name for r in runs] == ["a_whole"]
    assert [out.path.name for out in left_out] == ["b_stopped", "c_started", "d_broken", "z_crashed"]
    reasons = [out.reason for out in left_out]
    assert reasons[0].startswith("unfinished: 2 of 3 rounds")
    assert reasons[1] == "no round is complete yet"
    assert "metrics.json" in reasons[2]
    assert reasons[3] == "it ended before its first round"


def test_a_run_that_emptied_its_pool_is_finished(tmp_path, configure, write):
    write(tmp_path / "all", configure(rounds=9), [200, 400], {"tools": [0.4, 0.5]})
    runs, left_out = read_finished([tmp_path / "all"])
    assert len(runs) == 1
    assert not left_out
    assert not is_full_pool(runs[0])


def test_runs_that_comparisons_share_are_read_once(tmp_path, run, monkeypatch):
    whole, stopped = run("sweep/a_whole"), run("sweep/b_stopped", complete=2)
    read = ReadOnce()
    first = read([whole, stopped])
    assert [r.path for r in first[0]] == [whole]
    assert [out.path for out in first[1]] == [stopped]
    monkeypatch.delattr("mtal.reporting.comparison.found_runs.read_run")
    assert read([stopped, whole]) == first
    assert read([stopped]) == ([], first[1])
