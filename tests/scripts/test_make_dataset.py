import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "make_dataset.py"
ARGUMENTS = ["--patients=2", "--test-patients=1", "--seconds=1", "--fps=5", "--size=64", "--workers=1"]


def make_dataset(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["make_dataset.py", *arguments])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_writes_and_tells(tmp_path, monkeypatch, capsys):
    root = tmp_path / "set"
    make_dataset(monkeypatch, f"--root={root}", *ARGUMENTS, f"--contact-sheet={tmp_path / 'sheets'}")
    out = capsys.readouterr().out
    assert (root / "dataset.json").is_file()
    for word in ("video01", "video02", "pool", "test", "grasper", "bleeding", "cystic duct", "2 videos, 2 frames"):
        assert word in out

    sheets = sorted(p.name for p in (tmp_path / "sheets").iterdir())
    assert sheets[0] == "0_Preparation.png"
    with Image.open(tmp_path / "sheets" / sheets[0]) as sheet:
        assert sheet.size == (8 * 128, 5 * 128)
        assert np.asarray(sheet)[:128, :128].mean() > 20  # frames begin at the top left

    with pytest.raises(SystemExit, match="seed=0, now seed=1"):
        make_dataset(monkeypatch, f"--root={root}", *ARGUMENTS, "--seed=1")
