import runpy
import shutil
import sys
from html import escape
from pathlib import Path

import pytest
from composed import once
from miniature import vocalfolds

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "run.py"


@pytest.fixture(autouse=True)
def checked_by_what_is_composed(monkeypatch) -> None:
    """Most command lines of these tests choose the same, and are checked against the same configuration."""
    monkeypatch.setattr("mtal.launch.overrides.compose", once)


@pytest.fixture(autouse=True)
def no_curves(monkeypatch) -> None:
    """Reports are drawn in this process without their curves, which take longer than the runs."""
    monkeypatch.setattr("mtal.reporting.curves.to_svg", lambda figure, label: f"<svg>{escape(label)}</svg>")


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    return vocalfolds.write(tmp_path_factory.mktemp("vocalfolds") / "data")


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def options(data, cache, tmp_path) -> list[str]:
    """A run of a second in ``tmp_path/runs``, which makes its own trainings."""
    shutil.rmtree(cache / "trainings", ignore_errors=True)
    return [*vocalfolds.OPTIONS, f"data.root={data}", f"run_root={tmp_path / 'runs'}", f"cache={cache}", "name=mini"]


@pytest.fixture
def start(monkeypatch, capsys):
    """Call scripts/run.py in this process: exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
        code = 0
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run
