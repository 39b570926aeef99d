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
    file, sweep = Path("wandb", "latest-run"), tmp_path / "sweep"
    assert capsys.readouterr().out.splitlines() == [
        *(f"{f.resolve()}: 2 rounds written to {f.resolve() / file}" for f in folders),
        f"upload with: wandb sync {sweep}/*/wandb/latest-run",
    ]
    start(folders[0])  # in another project, so only its newest file is to be uploaded
    assert capsys.readouterr().out.splitlines()[1:] == [f"upload with: wandb sync {folders[0]}/wandb/latest-run"]
    assert len(list((folders[0] / "wandb").glob("offline-run-*"))) == 2
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


def test_what_is_logged_already_is_not_logged_again(make_run, add_round, start, capsys):
    folder = make_run("sweep/a b", rounds=1)
    start(folder)
    capsys.readouterr()
    start(folder)
    told, upload = capsys.readouterr().out.splitlines()
    assert told.startswith(f"{folder.resolve()}: 1 round logged before; to write the file again, take ")
    assert upload == f"upload with: wandb sync '{folder}'/wandb/latest-run"
    assert len(list((folder / "wandb").glob("offline-run-*"))) == 1
    first = Written(folder).by_kind["run"][0].run_id
    add_round(folder, 1)
    start(folder)  # there is more to tell, of the same run
    assert sorted(Written(folder).history) == [0, 1]
    assert Written(folder).by_kind["run"][0].run_id == first
    assert len(list((folder / "wandb").glob("offline-run-*"))) == 2


@pytest.mark.filterwarnings("ignore:W&B could not start")
def test_a_run_that_was_not_logged_is_not_said_to_be(make_run, start, monkeypatch, capsys):
    folder = make_run("a", rounds=1)

    def full(*_, **__):
        raise OSError("no room")

    monkeypatch.setattr("wandb.init", full)
    start(folder)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == f"{folder.resolve()}: not logged, see the warning\n"


def test_a_run_that_failed_early_stops_no_other(make_run, start, tmp_path, capsys):
    make_run("sweep/b", rounds=1)
    (tmp_path / "sweep" / "a").mkdir()
    (tmp_path / "sweep" / "a" / "failed.txt").write_text("ValueError: no")
    start(tmp_path / "sweep")
    told = capsys.readouterr()
    assert told.out.splitlines()[0].startswith(f"{tmp_path / 'sweep' / 'b'}: 1 round written to ")
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
