"""Every YAML of acquisition/sites and acquisition/labels reaches every signal that aggregates."""

import pytest
from composed import acquisition, choices, rows, together
from hydra.utils import instantiate

from mtal.acquisition import aggregation
from mtal.acquisition.signals import SiteSignal

GROUPS = {"sites": aggregation.SiteAggregation, "labels": aggregation.LabelAggregation}


def signals(*overrides, group="uncertainty"):
    config = acquisition(f"acquisition/signals={group}", *overrides)
    return [s for s in instantiate(config.signals).values() if isinstance(s, SiteSignal)]


@pytest.mark.parametrize("row", range(rows(tuple(GROUPS))))
def test_one_override_changes_all_signals(row):
    made = signals(*together(row, tuple(GROUPS)))
    for group, base in GROUPS.items():
        found = {type(getattr(signal, group)) for signal in made}
        assert len(found) == 1
        assert issubclass(found.pop(), base)


@pytest.mark.parametrize("group", GROUPS)
def test_every_aggregation_has_a_yaml(group):
    made = (signals(*together(row, tuple(GROUPS))) for row in range(len(choices(group))))
    methods = {getattr(aggregation, name) for name in aggregation.__all__}
    base = GROUPS[group]
    assert {type(getattr(ours[0], group)) for ours in made} == {
        m for m in methods if issubclass(m, base) and m is not base
    }


def test_default_is_the_mean_for_all_nine_signals():
    made = signals(group="all")
    assert len(made) == 9
    assert {type(s.sites) for s in made} == {aggregation.MeanOverSites}
    assert {type(s.labels) for s in made} == {aggregation.MeanOverLabels}


def test_parameters_reach_every_signal():
    made = signals("acquisition/sites=top_fraction", "acquisition.sites.fraction=0.2", group="all")
    assert len(made) == 9
    assert {s.sites.fraction for s in made} == {0.2}
    made = signals("acquisition/sites=boundary_band", "acquisition.sites.width=0.3")
    assert {s.sites.width for s in made} == {0.3}
    made = signals("acquisition/sites=foreground", "acquisition.sites.background=2")
    assert {s.sites.background for s in made} == {2}


def test_a_signal_can_have_its_own():
    made = signals(
        "acquisition/sites=foreground",
        "acquisition.signals.margin.sites={_target_: mtal.acquisition.aggregation.TopFraction, fraction: 0.5}",
    )
    kinds = [type(s.sites).__name__ for s in made]
    assert sorted(kinds) == ["Foreground", "Foreground", "TopFraction"]
