"""A disk that fills while a round or the report is written: a message, nothing half-written believed, exit code 1."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from miniature import vocalfolds
from miniature.runs import all_runs

ROOT = Path(__file__).resolve().parents[2]


def run(folder, data, cache, most_bytes):
    """The miniature's run where no file may grow beyond ``most_bytes``, which is what a full disk does to a file."""
    options = [*vocalfolds.OPTIONS, f"data.root={data}", f"run_root={folder}", f"cache={cache}", "name=mini"]
    limit = (most_bytes, resource.RLIM_INFINITY)
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "run.py"), *options],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def whole(data, cache, tmp_path_factory):
    """A run with room, for the sizes of its files."""
    folder = tmp_path_factory.mktemp("whole")
    done = run(folder, data, cache, resource.RLIM_INFINITY)
    assert done.returncode == 0, done.stderr
    return all_runs(folder)[0]


def told(done):
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
    return line


def test_while_a_round_is_written(whole, data, cache, tmp_path):
    model = whole / "rounds" / "00" / "model.safetensors"
    done = run(tmp_path, data, cache, model.stat().st_size - 1)
    assert done.returncode == 1
    assert "File too large" in told(done)
    (folder,) = tmp_path.glob("mini/*/")
    assert list((folder / "rounds").iterdir()) == []
    assert not (folder / "report.html").exists()
    assert run(tmp_path, data, cache, resource.RLIM_INFINITY).returncode == 0  # the same command goes on
    assert len(list((folder / "rounds").iterdir())) == len(list((whole / "rounds").iterdir()))


def test_while_the_report_is_written(whole, data, cache, tmp_path):
    shutil.copytree(whole.parent, tmp_path / "mini")
    (folder,) = tmp_path.glob("mini/*/")
    size = (folder / "report.html").stat().st_size
    (folder / "report.html").unlink()
    done = run(tmp_path, data, cache, size // 2)
    assert done.returncode == 1
    assert "File too large" in told(done)
    assert not (folder / "report.html").exists()
    assert run(tmp_path, data, cache, resource.RLIM_INFINITY).returncode == 0
    assert (folder / "report.html").stat().st_size > size // 2
