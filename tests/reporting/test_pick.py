from __future__ import annotations

import json

import pandas as pd
import pytest
from omegaconf import OmegaConf

from mtal.reporting import read_run, write_report
from mtal.reporting.pick import ordinal, picks_of


def test_reasons(run_dir):
    run = read_run(run_dir)
    assert [pick.reason for pick in picks_of(run, 0)] == ["initial set"] * 4
    anatomy, tools = "anatomy · entropy · 98th percentile", "tools · entropy · 91st percentile"
    assert [pick.reason for pick in picks_of(run, 2)] == [anatomy, tools, anatomy, tools]


def test_scores_keep_head_signal_value_and_percentile(run_dir):
    pick = picks_of(read_run(run_dir), 1)[1]
    assert [(s.task, s.signal, s.value, s.percentile) for s in pick.scores] == [
        ("tools", "entropy", 0.49, 91.2),
        ("anatomy", "entropy", 0.25, 40.0),
    ]
    assert pick.utility == pytest.approx(0.8)


def test_file_of_a_pick_is_shown_by_its_name(run_dir):
    """Runs of before kept none."""
    assert {pick.file for pick in picks_of(read_run(run_dir), 1)} == {""}
    path = run_dir / "rounds" / "01" / "picks.parquet"
    pd.read_parquet(path).assign(file="/home/someone/pictures/0007.png").to_parquet(path)
    assert {pick.file for pick in picks_of(read_run(run_dir), 1)} == {"0007.png"}
    page = write_report(run_dir).read_text()
    assert page.count(" · 0007.png</div>") == 4
    assert "someone" not in page


def test_labels_tell_absent_from_not_annotated(run_dir):
    path = run_dir / "rounds" / "01" / "picks.parquet"
    picks = pd.read_parquet(path)
    picks["label/tools"] = [[1, 1], [0, 0], [255, 1], [255, 255]]
    picks.to_parquet(path)
    shown = [pick.labels for pick in picks_of(read_run(run_dir), 1)]
    assert [labels["tools"] for labels in shown] == [("grasper", "hook"), (), ("hook",), None]
    assert [labels["bleeding"] for labels in shown] == [None] * 4


def test_none_is_said_of_the_classes_that_somebody_looked_for(run_dir):
    path = run_dir / "rounds" / "01" / "picks.parquet"
    picks = pd.read_parquet(path)
    picks["label/tools"] = [[0, 255], [255, 1], [0, 0], [255, 255]]
    picks.to_parquet(path)
    shown = picks_of(read_run(run_dir), 1)
    said = [pick.in_words("tools", pick.labels["tools"]) for pick in shown]
    assert said == ["none of those annotated", "hook", "none", "not annotated"]
    page = write_report(run_dir).read_text()
    assert page.count('<span class="chip off">tools: none of those annotated</span>') == 1
    assert page.count('<span class="chip off">no tools</span>') == 1


def test_labels_tell_not_asked_from_not_annotated(run_dir):
    """Nobody is asked for what nobody can answer either, which is not a choice."""
    path = run_dir / "rounds" / "01" / "picks.parquet"
    picks = pd.read_parquet(path)
    picks["label/tools"] = [[1, 1], [255, 255], [255, 255], [0, 0]]
    picks = picks.assign(**{"asked/tools": [True, True, False, True], "asked/anatomy": [False, True, True, True]})
    picks.to_parquet(path)
    for query, missing in (("AllHeads", "not annotated"), ("WorthItsCost", "not asked")):
        config = OmegaConf.load(run_dir / "config.yaml")
        OmegaConf.update(config, "acquisition.query", {"_target_": f"mtal.acquisition.{query}"}, force_add=True)
        OmegaConf.save(config, run_dir / "config.yaml")
        shown = picks_of(read_run(run_dir), 1)
        said = [pick.in_words("tools", pick.labels["tools"]) for pick in shown]
        assert said == ["grasper, hook", "not annotated", missing, "none"]
        page = write_report(run_dir).read_text()
        assert (page.count('<span class="chip off">tools not asked</span>') == 1) is (missing == "not asked")
        assert (page.count('<span class="chip off">anatomy not asked</span>') == 1) is (missing == "not asked")


@pytest.mark.parametrize("column", [[2, 0, 255, 1], [[2], [0], [255], [1]]], ids=["numbers", "lists of one number"])
def test_a_head_with_one_class_per_frame(run_dir, tasks, column):
    tasks["phase"] = {
        "family": "categorical",
        "support": "frame",
        "classes": ["preparation", "dissection", "closure"],
        "colors": [[0, 0, 0], [1, 1, 1], [2, 2, 2]],
    }
    (run_dir / "tasks.json").write_text(json.dumps(tasks))
    path = run_dir / "rounds" / "01" / "picks.parquet"
    pd.read_parquet(path).assign(**{"label/phase": column}).to_parquet(path)
    shown = [pick.labels["phase"] for pick in picks_of(read_run(run_dir), 1)]
    assert shown == [("closure",), ("preparation",), None, ("dissection",)]


def test_a_selector_without_scores(run_dir):
    path = run_dir / "rounds" / "02" / "picks.parquet"
    picks = pd.read_parquet(path)
    picks = picks.drop(columns=[c for c in picks if c.startswith(("score/", "percentile/"))])
    picks[["reason_task", "reason_signal"]] = None
    picks.to_parquet(path)
    pick = picks_of(read_run(run_dir), 2)[0]
    assert pick.reason == "picked without scores"
    assert pick.scores == ()


def test_what_else_decided(run_dir):
    for number, words in (("00", "chance"), ("01", "unlike the other picks"), ("02", "far in time")):
        path = run_dir / "rounds" / number / "picks.parquet"
        picks = pd.read_parquet(path).assign(reason_because=words)
        if number == "02":
            picks["reason_task"] = None
        picks.to_parquet(path)
    run = read_run(run_dir)
    assert [picks_of(run, number)[0].reason for number in range(3)] == [
        "initial set · chance",
        "anatomy · entropy · 98th percentile · unlike the other picks",
        "far in time",
    ]


@pytest.mark.parametrize(
    ("percentile", "expected"),
    [(0.0, "0th"), (1, "1st"), (2.9, "2nd"), (3, "3rd"), (11, "11th"), (13.5, "13th"), (99.99, "99th"), (100, "100th")],
)
def test_ordinal(percentile, expected):
    assert ordinal(percentile) == expected
