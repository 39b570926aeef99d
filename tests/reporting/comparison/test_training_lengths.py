"""Trainings that came to their end are counted over all rounds of all runs."""

import math
from types import SimpleNamespace

from mtal.reporting.comparison.training_lengths import training_lengths


def run(*trainings):
    return SimpleNamespace(rounds=[SimpleNamespace(training=training) for training in trainings])


def test_all_rounds_of_all_runs_count():
    found = training_lengths(
        [
            run({"steps": 100, "converged": True}, {"steps": 300, "converged": False}),
            run({"steps": 133, "converged": False}),
        ]
    )
    assert (found.trainings, found.converged, found.median_steps) == (3, 1, 133)
    assert found.in_words()[0].startswith("1 of 3 trainings converged; ")


def test_a_fixed_number_of_steps_says_nothing():
    found = training_lengths([run({"steps": 150, "converged": None}, {})])
    assert found.trainings == 0
    assert math.isnan(found.median_steps)
    assert found.in_words() == []


def test_where_all_converged_there_is_nothing_to_say():
    assert training_lengths([run({"steps": 9, "converged": True})]).in_words() == []
