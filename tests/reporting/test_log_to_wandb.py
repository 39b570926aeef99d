"""The script, and the command that uploads what it wrote."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from offline_run import Written

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "log_to_wandb.py"

pytestmark = pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")


@pytest.fixture
def start(monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", [SCRIPT.name, *map(str, arguments)])
        runpy.run_path(str(SCRIPT), run_name="__main__")

    return run


def test_runs_of_a_sweep_are_logged_and_can_be_uploaded(make_run, start, tmp_path, capsys):
    folders = [make_run(f"sweep/seed={seed}", rounds=2) for seed in range(2)]
    start(tmp_path / "sweep", "--project", "surgery")
    start(folders[0])  # again: only its newest file is to be uploaded
    assert capsys.readouterr().out.splitlines() == [str(f.resolve()) for f in (*folders, folders[0])]
    for folder in folders:
        written = Written(folder)
        assert sorted(written.history) == [0, 1]
        newest = (folder / "wandb" / "latest-run").resolve()
        assert newest == written.folder.resolve()
    assert Written(folders[1]).by_kind["run"][0].project == "surgery"
    # the command of the README, up to the upload
    command = [str(Path(sys.executable).parent / "wandb"), "sync", "--dry-run"]
    newest = sorted(map(str, (tmp_path / "sweep").glob("*/wandb/latest-run")))
    told = subprocess.run([*command, *newest], capture_output=True, text=True, check=True, cwd=tmp_path).stderr
    assert "Would sync 2 run(s)" in told
    assert told.count("latest-run/run-") == 2


def test_a_run_that_failed_early_stops_no_other(make_run, start, tmp_path, capsys):
    make_run("sweep/b", rounds=1)
    (tmp_path / "sweep" / "a").mkdir()
    (tmp_path / "sweep" / "a" / "failed.txt").write_text("ValueError: no")
    start(tmp_path / "sweep")
    told = capsys.readouterr()
    assert told.out.splitlines() == [str(tmp_path / "sweep" / "b")]
    assert f"{tmp_path}/sweep/a: not logged, it ended before its first round" in told.err


def test_no_run(start, tmp_path):
    with pytest.raises(SystemExit, match="there is no run in it"):
        start(tmp_path)


def test_a_damaged_run_is_named(make_run, start):
    folder = make_run("broken", rounds=1)
    shutil.rmtree(folder / "rounds" / "00" / "images")
    (folder / "rounds" / "00" / "metrics.json").write_text("{")
    with pytest.raises(SystemExit, match=r"metrics\.json"):
        start(folder)
