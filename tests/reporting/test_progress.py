import math
import re
import shutil

import pytest

from mtal.annotation import Request, Status
from mtal.learning.run_folder import RunFolder
from mtal.reporting import write_report
from mtal.reporting.progress import read_progress

from .conftest import write_run

OWED = {"tools": ["v/1", "v/2"], "anatomy": ["v/2"], "phase": []}


@pytest.fixture
def path(tmp_path):
    return write_run(tmp_path / "run", rounds=1)


def waiting(path, **more) -> None:
    status = Status(**{"frames": 4, "done": 2, "owed": OWED, "where": "/desk/<01>", "by": {"anna": 3, "": 1}, **more})
    RunFolder(path).note_waiting(Request("01", None, [], None), status)  # of the request only its name is read


def words(path) -> str:
    html = write_report(path).read_text(encoding="utf-8")
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", html, flags=re.DOTALL).split())


def test_what_the_terminal_says_is_on_the_page(path):
    waiting(path, seconds=600.0)
    text = words(path)
    assert "Waiting for labels Round 1: 2 of 4 frames are done, and the rest is about 10 min of work. As of 2" in text
    assert "Owed tools of 2 frames, anatomy of 1 frame Answered anna 3 frames, somebody without a name 1 frame" in text
    assert "Where /desk/&lt;01&gt;" in text
    assert "Key figures" in (path / "report.html").read_text()


def test_before_the_first_round_it_is_all_there_is(path):
    shutil.rmtree(path / "rounds/00")
    with pytest.raises(ValueError, match="no round is complete yet, so there is nothing to report"):
        write_report(path)
    waiting(path, by={})
    assert math.isnan(read_progress(path).seconds)
    text = words(path)
    assert "no round is complete yet" in text
    assert "2 of 4 frames are done. As of" in text
    assert "Answered" not in text


def test_is_gone_once_nothing_is_owed(path):
    waiting(path)
    waiting(path, done=4, owed={"tools": []})
    assert read_progress(path) is None
    assert "Waiting for labels" not in words(path)
