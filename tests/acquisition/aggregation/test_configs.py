"""Every YAML of acquisition/sites and acquisition/labels reaches every signal that aggregates."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from mtal.acquisition import aggregation
from mtal.acquisition.signals import SiteSignal

CONFIGS = Path(__file__).parents[3] / "configs"
GROUPS = {"sites": aggregation.SiteAggregation, "labels": aggregation.LabelAggregation}
CHOICES = [(group, path.stem) for group in GROUPS for path in sorted((CONFIGS / "acquisition" / group).glob("*.yaml"))]


def signals(*overrides, group="uncertainty"):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("acquisition/default", overrides=[f"acquisition/signals={group}", *overrides])
    return [s for s in instantiate(config.acquisition.signals).values() if isinstance(s, SiteSignal)]


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_one_override_changes_all_signals(group, choice):
    found = {type(getattr(signal, group)) for signal in signals(f"acquisition/{group}={choice}")}
    assert len(found) == 1
    assert issubclass(found.pop(), GROUPS[group])


def test_every_aggregation_has_a_yaml():
    for group, base in GROUPS.items():
        offered = {
            type(getattr(signals(f"acquisition/{group}={choice}", group="entropy")[0], group)).__name__
            for owner, choice in CHOICES
            if owner == group
        }
        methods = {getattr(aggregation, name) for name in aggregation.__all__}
        assert offered == {m.__name__ for m in methods if issubclass(m, base) and m is not base}


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
