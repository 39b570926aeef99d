import math
import shutil
from dataclasses import replace

import pandas as pd
import pytest

from mtal.reporting import minutes, write_report
from mtal.reporting.run_reader import read_run

from .conftest import write_run


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    """Of three rounds the first was not predicted, and one of its frames was not timed."""
    path = write_run(tmp_path_factory.mktemp("timed") / "run")
    for number in range(3):
        file = path / f"rounds/{number:02d}/picks.parquet"
        picks = pd.read_parquet(file)
        picks["took_s"] = [60.0, 90.0, 30.0, math.nan if number == 0 else 120.0]
        picks["annotators"] = [1, 1, 1, 2]
        if number:
            picks["cost_s"] = [30.0, 90.0, 60.0, 60.0]
        picks.to_parquet(file)
    return path


def test_minutes_of_rounds_and_of_all(timed):
    run = read_run(timed)
    assert [minutes.minutes(this) for this in run.rounds] == [3, 5, 5]
    assert minutes.all_minutes(run) == 13


def test_predicted_beside_what_one_annotator_took(timed):
    seconds = minutes.predicted_and_real(read_run(timed))
    assert seconds["predicted"].tolist() == [30, 90, 60, 60] * 2
    assert seconds["real"].tolist() == [60, 90, 30, 60] * 2
    # off by ½, 0, 1 and 0 of what it took
    assert minutes.describe(seconds) == (
        "8.0 min were predicted for 8 frames and one annotator took 8.0 min; half of the frames are off by 25 % or "
        "less."
    )


def test_are_on_the_page_beside_the_frames(timed):
    html = write_report(timed).read_text()
    assert "annotators' minutes</span><b>13.0</b>" in html
    assert "+5.0 in the last round; 11 of 12 frames were timed</span>" in html
    assert '<th scope="row">0</th><td>4</td><td>3.0</td>' in html
    assert "8.0 min were predicted for 8 frames" in html
    assert ">real seconds</text>" in html


def test_where_nobody_was_timed_there_are_none(tmp_path):
    run = read_run(write_run(tmp_path / "run", rounds=1))
    assert math.isnan(minutes.all_minutes(run))
    assert minutes.predicted_and_real(run).empty
    assert "minutes</" not in write_report(tmp_path / "run").read_text()


def test_says_of_how_many_frames_the_minutes_are(timed, tmp_path):
    path = shutil.copytree(timed, tmp_path / "run")
    file = path / "rounds/02/picks.parquet"
    pd.read_parquet(file).drop(columns=["took_s", "annotators"]).to_parquet(file)
    assert minutes.in_words(read_run(path)) == "7 of 12 frames were timed"  # 3, 4 and none
    file = path / "rounds/00/picks.parquet"
    pd.read_parquet(file).assign(took_s=30.0).to_parquet(file)
    run = read_run(path)
    assert minutes.in_words(replace(run, rounds=run.rounds[:2])) == "+5.0 in the last round"


def test_no_two_of_many_rounds_look_alike():
    seconds = pd.DataFrame({"round": range(20), "predicted": 10.0, "real": 12.0})
    (axes,) = minutes.draw(seconds).axes
    looks = [(line.get_color(), line.get_marker()) for line in axes.get_lines()[:20]]
    assert len(set(looks)) == 20


@pytest.mark.parametrize("rounds", [1, 6, 20])
def test_the_legend_leaves_the_chart_its_room(rounds):
    figure = minutes.draw(pd.DataFrame({"round": range(rounds), "predicted": 10.0, "real": 12.0}))
    figure.draw_without_rendering()
    (axes,), (legend,) = figure.axes, figure.legends
    assert legend.get_window_extent().y1 <= axes.xaxis.label.get_window_extent().y0
    assert axes.get_window_extent().height > 1.8 * figure.dpi
