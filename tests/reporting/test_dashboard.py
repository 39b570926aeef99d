from __future__ import annotations

import json
import warnings

import pytest
import yaml
from offline_run import Written

from mtal.reporting import WandbLogger, read_run

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # wandb-workspaces is written in the style of pydantic 1
    from mtal.reporting.dashboard import dashboard, specification

pytestmark = pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")


@pytest.fixture(scope="module")
def run(drawn_run):
    return read_run(drawn_run)


@pytest.fixture(scope="module")
def view(run):
    return specification(dashboard([run], "someone", "mtal", "study"))


@pytest.fixture(scope="module")
def written(drawn_run, run):
    """What the logger really writes of that run."""
    with WandbLogger() as logger:
        logger.start(drawn_run, run.config)
    return Written(drawn_run)


def sections(view):
    return {s["name"]: s for s in view["spec"]["section"]["panelBankConfig"]["sections"]}


def panels(view):
    return [panel for section in sections(view).values() for panel in section["panels"]]


def tables(panel):
    """Keys of the summary that a table panel picks out, wherever they stand in its expression."""
    found = []

    def walk(node):
        if isinstance(node, dict):
            if node.get("type") == "string" and "/" in str(node.get("val")):
                found.append(node["val"])
            for inner in node.values():
                walk(inner)
        if isinstance(node, list):
            for inner in node:
                walk(inner)

    walk(panel["config"])
    return found


def shown(panel):
    config = panel["config"]
    return config.get("metrics") or config.get("mediaKeys") or tables(panel)


def test_no_panel_is_empty(view, written):
    logged = {key for row in written.history.values() for key in row}
    assert all(shown(panel) for panel in panels(view))
    assert {key for panel in panels(view) for key in shown(panel)} <= logged


def test_what_is_logged_is_shown(view, written):
    logged = {key for row in written.history.values() for key in row if not key.startswith("_")}
    assert logged - {key for panel in panels(view) for key in shown(panel)} == {"labelled", "picked"}


def test_strategies_are_what_the_logger_calls_them(view, written):
    """Panels and the list of runs are grouped by a key of the configuration, whose values W&B keeps under ``value``."""
    config = {item.key: json.loads(item.value_json) for item in written.by_kind["run"][0].config.update}
    assert config["strategy"] == "default"
    grouped = [p["config"]["groupBy"] for p in panels(view) if "groupBy" in p["config"]]
    assert set(grouped) == {"strategy.value"}
    (runs,) = view["spec"]["section"]["runSets"]
    assert [(key["section"], key["name"]) for key in runs["grouping"]] == [("config", "strategy.value")]


def test_one_axis_of_labelled_frames(view):
    lines = [p["config"] for p in panels(view) if p["viewType"] == "Run History Line Plot"]
    assert len(lines) > 20
    assert {line["xAxis"] for line in lines} == {"labelled"}
    assert {s["localPanelSettings"]["xAxis"] for s in sections(view).values()} == {"labelled"}
    assert view["spec"]["section"]["settings"]["xAxis"] == "labelled"


def test_order_and_size_of_the_sections(view):
    assert list(sections(view)) == [
        *("Strategies", "Share of picks by head", "Picks", "Heads", "Classes"),
        *("Labelled frames with the class", "Answers by head", "Seconds"),
    ]
    titles = [p["config"]["chartTitle"] for p in sections(view)["Strategies"]["panels"]]
    heads = ["joint", "tools/mAP", "anatomy/mIoU"]  # bleeding has no score, as it is annotated nowhere
    assert titles == [*heads, *(f"{head}, last round" for head in heads)]
    for section in sections(view).values():
        page = section["flowConfig"]["columnsPerPage"] * section["flowConfig"]["rowsPerPage"]
        assert page >= len(section["panels"])


def test_only_the_sweep_is_shown(make_run):
    folder = make_run("study", rounds=1)
    (folder / ".hydra").mkdir()
    hydra = {"mode": "MULTIRUN", "job": {"config": {"override_dirname": {"exclude_keys": []}}}}
    (folder / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump({"hydra": hydra}))
    section = specification(dashboard([read_run(folder)] * 12, "", "mtal", "study"))["spec"]["section"]
    (condition,) = section["runSets"][0]["filters"]["filters"]
    assert (condition["key"], condition["value"]) == ({"section": "run", "name": "group"}, ["demo"])
    assert section["settings"]["maxRuns"] == 12  # W&B would show 10


def test_a_run_by_itself_is_not_filtered_away(view):
    assert view["spec"]["section"]["runSets"][0]["filters"]["filters"] == []


def test_runs_without_scores_and_pictures(make_run):
    folder = make_run("bare", rounds=1)
    for picture in (folder / "rounds" / "00" / "images").iterdir():
        picture.unlink()
    bare = specification(dashboard([read_run(folder)], "", "mtal", "bare"))
    assert "Share of picks by head" not in sections(bare)
    assert [shown(panel) for panel in sections(bare)["Picks"]["panels"]] == [["picks/table"]]
