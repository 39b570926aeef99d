import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "make_dataset.py"
ARGUMENTS = ["--patients=2", "--test-patients=1", "--seconds=1", "--fps=5", "--size=64", "--workers=1"]


def make_dataset(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["make_dataset.py", *arguments])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_writes_and_tells(tmp_path, monkeypatch, capsys):
    root = tmp_path / "set"
    make_dataset(monkeypatch, f"--root={root}", *ARGUMENTS)
    out = capsys.readouterr().out
    assert (root / "dataset.json").is_file()
    for word in ("patient01", "patient02", "pool", "test", "grasper", "bleeding", "cystic_duct", "2 videos, 2 frames"):
        assert word in out

    with pytest.raises(SystemExit, match="seed=0, now seed=1"):
        make_dataset(monkeypatch, f"--root={root}", *ARGUMENTS, "--seed=1")
