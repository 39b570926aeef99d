from __future__ import annotations

import pytest

from mtal.reporting import read_run
from mtal.reporting.config_summary import describe, summarize, title


def test_the_choices_of_a_run(run_dir):
    assert summarize(read_run(run_dir).config) == {
        "Data": "synthetic (root data/synthetic)",
        "Encoder": "resnet18 (not pretrained, frozen)",
        "Signals": "Entropy",
        "Fusion": "ReciprocalRank (k 60.0)",
        "Seconds between picks": "2.0",
        "Initial frames": "4",
        "Frames per round": "4",
        "Rounds": "2",
        "Seed": "7",
    }


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"_target_": "a.TopK", "_convert_": "all", "gamma": 0.5}, "TopK (gamma 0.5)"),
        ([{"_target_": "a.Margin"}, "entropy"], "Margin, entropy"),
        ({"empty": {}, "none": None}, ""),
        (0, "0"),
    ],
)
def test_describe(value, words):
    assert describe(value) == words


def test_aggregations_that_all_signals_share_are_told_once():
    mean, top = {"_target_": "a.MeanOverSites"}, {"_target_": "a.TopFraction", "fraction": 0.1}
    signals = {"margin": {"_target_": "a.Margin", "sites": mean}, "bald": {"_target_": "a.Bald", "sites": top}}
    assert summarize({"acquisition": {"signals": signals, "sites": mean}}) == {
        "Signals": "Margin, Bald (TopFraction (fraction 0.1))",
        "Over pixels": "MeanOverSites",
    }


@pytest.mark.parametrize(
    ("budget", "told"), [("batch_seconds", "Seconds per round"), ("batch_answers", "Answers per round")]
)
def test_the_budget_that_counts_is_told(budget, told):
    query = {"_target_": "mtal.acquisition.WorthItsCost"}
    found = summarize(
        {
            "loop": {"batch": 4, "batch_seconds": None, "batch_answers": None, budget: 300},
            "acquisition": {"query": query},
        }
    )
    assert found == {told: "300", "Heads asked for": "WorthItsCost"}


def test_who_labels_is_told_and_not_where():
    assert summarize({"oracle": {"_target_": "a.FolderOracle", "root": "/desk"}}) == {"Who labels": "FolderOracle"}


def test_title():
    assert title({"name": "demo"}, "seed=1") == "demo · seed=1"
    assert title({}, "seed=1") == "seed=1"
    assert title({"name": "trial"}, "trial") == "trial"
