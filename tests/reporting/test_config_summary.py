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


def test_title():
    assert title({"name": "demo"}, "seed=1") == "demo · seed=1"
    assert title({}, "seed=1") == "seed=1"
    assert title({"name": "trial"}, "trial") == "trial"
