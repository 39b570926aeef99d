import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "select_frames.py"


def start(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    return end.value.code


def test_help(monkeypatch):
    assert "videos=DIR checkpoint=runs/demo/default budget=200" in start(monkeypatch, "--help")


def test_arguments_are_passed_on(monkeypatch, tmp_path, capsys):
    options = [f"videos={tmp_path}", f"checkpoint={tmp_path / 'nowhere'}", "budget=2"]
    assert start(monkeypatch, *options) == 1
    assert capsys.readouterr().err.endswith("as in checkpoint=runs/demo/default\n")
    assert start(monkeypatch, *options, "acquisition.minimum_gap=2") == 2
    assert "did you mean 'acquisition.minimum_gap_s'" in capsys.readouterr().err
