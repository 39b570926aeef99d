from __future__ import annotations

import json
import math
import shutil

import pytest

from mtal.reporting.comparison import compare, wording
from mtal.reporting.comparison.label_saving import LabelSaving

INF, NAN = math.inf, math.nan


def saved(needed, baseline_needed, share, low, high):
    return LabelSaving(0.7, needed, baseline_needed, 50.0, 0.0, (0.0, 0.0), share, (low, high))


@pytest.mark.parametrize(
    ("this", "words", "frames"),
    [
        (saved(20, 40, 0.5, 0.31, 0.62), "50% [31, 62]", "20 frames where random needs 40"),
        (saved(20, 40, 0.5, NAN, NAN), "50%", "20 frames where random needs 40"),
        (saved(40, 20, -1.0, -INF, 0.1), "−100% [open, 10]", "40 frames where random needs 20"),
        (saved(INF, 40, -INF, -INF, INF), "not reached", "more than 50 frames where random needs 40"),
        (saved(20, INF, INF, -INF, INF), "> 60%", "20 frames where random needs more than 50"),
        (saved(20.2, INF, INF, -INF, INF), "> 59%", "20 frames where random needs more than 50"),  # not more than 60
        (saved(INF, INF, NAN, -INF, INF), "neither reached", "more than 50 frames where random needs more than 50"),
    ],
)
def test_label_saving(this, words, frames):
    assert wording.saving(this) == words
    assert wording.needed(this, "random", "frames") == frames


@pytest.mark.parametrize(("p", "words"), [(NAN, "–"), (0.0004, "< 0.001"), (0.0123, "0.012"), (1.0, "1.000")])
def test_p_values(p, words):
    assert wording.p_value(p) == words


def test_conclusion_names_winners_losers_and_the_undecided(compared):
    sentences = wording.conclusion(compared.settings[0])
    assert sentences[0].startswith("Joint score against random, 5 to 6 paired seeds: better: ")
    assert "worse: pareto" in sentences[0]
    assert "undecided: " in sentences[0]
    assert "copeland" in sentences[0].split("undecided: ")[1]
    assert sentences[1].startswith("max is furthest ahead of random: mean joint score along the curve 0.")
    assert "it needs" in sentences[2]
    assert sentences[-1] == "It is better than random on every head that could be compared."


def test_one_run_that_went_well_is_no_headline(sweep):
    folder = sweep({"random": 0.0, "Max": 0.1, "Pareto": 0.3}, seeds=3)
    for run in sorted(folder.glob("Pareto*"))[1:]:
        shutil.rmtree(run)
    sentences = wording.conclusion(compare([folder]).settings[0])
    assert "Not tested, because a test needs two seeds in common with random: pareto." in sentences[0]
    assert sentences[1].startswith("Of those tested, max is furthest ahead of random: mean joint score along the ")


def test_an_untested_run_above_the_baseline_is_not_denied(sweep):
    folder = sweep({"random": 0.0, "Max": -0.1, "Pareto": 0.3}, seeds=3)
    for run in sorted(folder.glob("Pareto*"))[1:]:
        shutil.rmtree(run)
    said = " ".join(wording.conclusion(compare([folder]).settings[0]))
    assert "No tested strategy is ahead of random; next is max" in said


def test_a_loss_on_a_head_is_said(sweep):
    folder = sweep({"random": 0.0, "Max": 0.3}, seeds=5)
    for file in folder.glob("Max*/rounds/*/metrics.json"):
        record = json.loads(file.read_text())
        record["metrics"]["anatomy/mIoU"] -= 0.3
        file.write_text(json.dumps(record))
    setting = compare([folder]).settings[0]
    assert wording.heads_below(setting, "max · badge") == (["anatomy"], [])
    assert wording.worse_on(setting, "max · badge") == "anatomy"
    assert wording.conclusion(setting)[-1] == "It is worse than random on anatomy."


def test_one_seed_says_nothing_of_heads(sweep):
    setting = compare([sweep({"random": 0.1, "Max": 0.0}, seeds=1, noise=0.0)]).settings[0]
    assert wording.worse_on(setting, "max · badge") == "–"
    assert wording.worse_on(setting, "random") == ""
    assert wording.conclusion(setting)[1].startswith("No strategy is ahead of random; next is max · badge: mean joint")


def test_a_head_on_which_both_are_perfect_is_not_called_better(sweep):
    folder = sweep({"random": 0.0, "Max": 0.3}, seeds=5)
    for file in folder.glob("*/rounds/*/metrics.json"):
        record = json.loads(file.read_text())
        record["metrics"]["bleeding/AP"] = 1.0
        file.write_text(json.dumps(record))
    (setting,) = compare([folder]).settings
    assert wording.conclusion(setting)[-1] == (
        "It is worse than random on no head; on bleeding it is not shown to be better."
    )


def test_the_baseline_alone_is_compared_with_nothing(sweep):
    setting = compare([sweep({"random": 0.1}, seeds=2)]).settings[0]
    assert wording.conclusion(setting) == [
        "There is no strategy besides random, so there is nothing to compare it with."
    ]
