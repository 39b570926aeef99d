from __future__ import annotations

import json
import runpy
import sys
import warnings
from pathlib import Path

import pytest
import wandb

from mtal.reporting import read_run

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # wandb-workspaces is written in the style of pydantic 1
    from wandb_workspaces.workspaces import Workspace

    from mtal.reporting.dashboard import dashboard, specification

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "make_dashboard.py"


@pytest.fixture
def start(monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", [SCRIPT.name, *map(str, arguments)])
        runpy.run_path(str(SCRIPT), run_name="__main__")

    return run


def without_ids(content):
    """W&B draws the names of panels at random."""
    if isinstance(content, dict):
        return {key: without_ids(value) for key, value in content.items() if key not in ("__id__", "id")}
    return [without_ids(item) for item in content] if isinstance(content, list) else content


def test_dry_run_prints_the_workspace_and_sends_nothing(drawn_run, start, capsys, monkeypatch):
    monkeypatch.setattr(wandb, "Api", lambda: pytest.fail("the server was asked"))
    start(drawn_run, "--dry-run", "--entity", "someone")
    printed = json.loads(capsys.readouterr().out)
    made = specification(dashboard([read_run(drawn_run)], "someone", "mtal", "trial"))
    assert without_ids(printed) == json.loads(json.dumps(without_ids(made)))


def test_a_run_that_failed_early_is_left_out(drawn_run, start, capsys, tmp_path):
    failed = tmp_path / "early"
    failed.mkdir()
    (failed / "failed.txt").write_text("ValueError: no")
    start(drawn_run, failed, "--dry-run")
    told = capsys.readouterr()
    assert json.loads(told.out)
    assert "early: left out, it ended before its first round" in told.err


def test_saves_the_workspace(drawn_run, start, monkeypatch, capsys):
    saved = []
    monkeypatch.setattr(Workspace, "save", lambda self: saved.append(self) or self)
    monkeypatch.setattr(Workspace, "url", "https://wandb.ai/team/surgery?nw=x")
    start(drawn_run, "--project", "surgery", "--entity", "team", "--name", "Which rule wins")
    ((entity, project, name),) = [(w.entity, w.project, w.name) for w in saved]
    assert (entity, project, name) == ("team", "surgery", "Which rule wins")
    assert capsys.readouterr().out == "https://wandb.ai/team/surgery?nw=x\n"


def test_without_a_server(drawn_run, start, monkeypatch):
    def fail(self):
        raise wandb.errors.CommError("no such host")

    monkeypatch.setattr(Workspace, "save", fail)
    with pytest.raises(SystemExit, match=r"could not save the workspace: no such host; .*--dry-run"):
        start(drawn_run, "--entity", "team")


def test_before_the_first_round(make_run, start):
    with pytest.raises(SystemExit, match="no round is complete yet"):
        start(make_run("early", rounds=0), "--dry-run")
