from __future__ import annotations

import doctest

import pytest

from mtal.reporting.comparison import strategy_names
from mtal.reporting.comparison.strategy_names import choices, name_all


def names(configure, *options, **shared):
    return name_all([choices({k: v for k, v in configure(**shared, **o).items() if k != "seed"}) for o in options])


def target(name, **options):
    return {"_target_": f"mtal.{name}", **options}


def test_examples():
    assert doctest.testmod(strategy_names).failed == 0


def test_a_name_says_what_is_not_usual(configure):
    found = names(
        configure,
        {},
        {"fusion": "ReciprocalRank"},
        {"fusion": "Max"},
        {"weights": "Headroom"},
        {"weights": "Headroom", "selector": "KCenterGreedy"},
    )
    assert found == [
        "weighted_mean · badge · equal",
        "reciprocal_rank",
        "max",
        "headroom",
        "k_center_greedy · headroom",
    ]


def test_options_are_told_where_they_tell_strategies_apart(configure):
    found = names(
        configure,
        {},
        {"fusion": target("SingleTask", task="tools", strict=True)},
        {"fusion": target("SingleTask", task="anatomy", strict=True)},
        {"fusion": target("PowerMean", p=2.0)},
        {"fusion": target("PowerMean", p=-1.0)},
        {"fusion": target("Max", strict=True)},
    )
    assert found[1:] == [
        "single_task (tools)",
        "single_task (anatomy)",
        "power_mean (p=2.0)",
        "power_mean (p=-1.0)",
        "max",
    ]


@pytest.mark.parametrize(("selector", "name"), [("Random", "random"), ("UniformInTime", "uniform_in_time")])
def test_what_looks_at_no_score_is_named_by_its_selector(configure, selector, name):
    assert names(configure, {}, {"fusion": "Max"}, {"selector": selector, "weights": "Headroom"})[2] == name


def test_blind_strategies_that_differ_otherwise_are_told_apart(configure):
    found = names(configure, {"selector": "Random"}, {"selector": "Random", "fusion": "Max"}, {})
    assert len(set(found)) == 3


def test_signals_are_added_up(configure):
    def signals(*chosen):
        return {"signals": {s.lower(): target(s) for s in chosen}}

    found = names(configure, signals("Entropy"), signals("Entropy", "Bald"), signals("A", "B", "C", "D", "E"))
    assert found == ["entropy", "entropy + bald", "a + b + 3 more"]


def test_a_lone_strategy_is_named_by_its_selector(configure):
    assert names(configure, {}) == ["badge"]


def test_numbers_are_told_with_their_name(configure):
    found = names(configure, {"minimum_gap_s": 2.0}, {"minimum_gap_s": 0.0}, {"minimum_gap_s": 2.0, "fusion": "Max"})
    assert found == ["weighted_mean", "minimum_gap_s=0.0", "max"]


def test_a_lone_strategy_beside_random_says_its_methods(configure):
    assert names(configure, {"selector": "Random"}, {"fusion": "Max"}) == ["random", "max · badge"]
