from __future__ import annotations

import io
import json
import re
import runpy
import sys
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path

import pytest
from rich.console import Console

from mtal.reporting.comparison import report, show
from mtal.reporting.comparison.report import paper_figures

SCRIPT = Path(__file__).parents[3] / "scripts" / "compare.py"
VOID = {"meta", "input", "br", "link", "hr"}


class Page(HTMLParser):
    """Whether every element is closed, and all texts and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.links += [value for key, value in attrs if key in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.links += [value for key, value in attrs if key in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(" ".join(data.split()))


@pytest.fixture(scope="module")
def html(written):
    return (written / "comparison.html").read_text(encoding="utf-8")


def test_the_page_needs_nothing_else(html):
    page = Page(html)
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert not re.findall(r"url\((?!#|data:)", html)
    assert "default-src 'none'" in html


def test_markup_in_a_name_stays_a_name(html):
    assert "<b>" not in html
    assert any("a<b>&_$x$" in word for word in Page(html).words)


def test_conclusion_table_and_left_out_runs_are_there(html):
    words = Page(html).words
    assert any(word.startswith("Joint score against random") for word in words)
    assert {"wins", "loses", "undecided", "baseline"} <= set(words)
    assert "Max,seed=2" in words


def test_the_curves_of_the_chart_are_those_of_the_comparison(compared, html):
    data = json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL).group(1))
    joint = compared.settings[0].joint
    assert data[0]["strategies"] == list(compared.settings[0].strategies)
    assert [score["unit"] for score in data[0]["scores"]][-1].startswith("annotator minutes")
    curve = data[0]["scores"][0]["curves"]["max"]
    assert curve["mean"] == pytest.approx(joint.curves["max"].mean, abs=1e-5)
    assert curve["low"] == pytest.approx(joint.bands["max"][0], abs=1e-5)


def test_identifiers_are_unique(html):
    ids = re.findall(r'<[^>]* id="([^"]*)"', html)
    assert len(set(ids)) == len(ids)


def test_the_terminal_says_who_wins(compared):
    console = Console(file=io.StringIO(), width=160)
    show(compared, console)
    text = console.file.getvalue()
    rows = {line.split()[0]: line for line in text.splitlines() if line.startswith("  ") and line.split()}
    assert "wins" in rows["max"]
    assert "loses" in rows["pareto"]
    assert "Left out (1):" in text
    assert "unfinished: 4 of 5 rounds" in text


def run_script(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_the_script_writes_beside_the_sweep(sweep, monkeypatch, capsys):
    monkeypatch.setattr(report, "paper_figures", lambda comparison: islice(paper_figures(comparison), 1))
    folder = sweep({"random": 0.0, "Max": 0.1}, seeds=1, rounds=1)
    run_script(monkeypatch, folder)
    assert capsys.readouterr().out.splitlines()[-1] == str(folder / "comparison" / "comparison.html")
    assert (folder / "comparison" / "tables" / "joint.tex").is_file()
    assert len(list((folder / "comparison" / "figures").glob("*.png"))) == 1


def test_faults_are_one_line(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match=r"nowhere: there is no such folder"):
        run_script(monkeypatch, tmp_path / "nowhere")


def test_a_place_that_is_none_is_one_line(sweep, tmp_path, monkeypatch):
    (tmp_path / "page.html").write_text("")
    folder = sweep({"random": 0.0}, seeds=1, rounds=1)
    with pytest.raises(SystemExit, match=r"Not a directory: .*page\.html"):
        run_script(monkeypatch, folder, "--out", tmp_path / "page.html")
