"""Every YAML of configs/acquisition makes its object, and every method has a YAML."""

from dataclasses import MISSING, fields

import pytest
import yaml
from composed import CONFIGS, acquisition, choices, named, rows, together
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from mtal.acquisition import (
    Acquisition,
    Blend,
    Limits,
    Measurement,
    Say,
    Selection,
    aggregation,
    fusion,
    normalizers,
    selectors,
    signals,
    weights,
)

GROUPS = {
    "signals": (signals, (signals.Signal, signals.JointSignal, signals.PoolSignal)),
    "sites": (aggregation, aggregation.SiteAggregation),
    "labels": (aggregation, aggregation.LabelAggregation),
    "normalizer": (normalizers, normalizers.Normalizer),
    "weights": (weights, weights.HeadWeights),
    "fusion": (fusion, fusion.Fusion),
    "selector": (selectors, selectors.Selector),
}
SEVERAL_SIGNALS = {"all", "gradient", "members", "pool", "shared_gradient", "uncertainty"}


@pytest.mark.parametrize("row", range(rows()), ids=lambda row: named(together(row)))
def test_choices_are_instantiated(row):
    config = acquisition(*together(row))
    made = instantiate(config)
    assert isinstance(made, Acquisition)
    parts = {"normalizer": made.blend, "weights": made.say, "fusion": made.blend, "selector": made.selection}
    for group, (_, base) in GROUPS.items():
        choice = choices(group)[row % len(choices(group))]
        if group == "signals":
            named_signals = made.measurement.signals
            assert all(isinstance(signal, base) and signal.name == name for name, signal in named_signals.items())
            assert list(named_signals) == [choice] or (choice in SEVERAL_SIGNALS and len(named_signals) > 1)
            continue
        object_made = instantiate(config[group])
        assert isinstance(object_made, base)
        assert config[group]["_target_"].rsplit(".", 1)[1] == type(object_made).__name__
        if group in parts:  # sites and labels are part of the signals
            assert type(getattr(parts[group], group)) is type(object_made)


@pytest.mark.parametrize("group", GROUPS)
def test_every_method_has_a_yaml(group):
    package, base = GROUPS[group]
    methods = {
        name
        for name in package.__all__
        if isinstance(getattr(package, name), type)
        and issubclass(getattr(package, name), base)
        and not getattr(package, name).__abstractmethods__
    }
    files = [path for path in (CONFIGS / "acquisition" / group).glob("*.yaml") if path.stem not in SEVERAL_SIGNALS]
    contents = [yaml.safe_load(path.read_text()) for path in files]
    targets = [(c if "_target_" in c else next(iter(c.values())))["_target_"] for c in contents]
    assert {target.rsplit(".", 1)[1] for target in targets} == methods


def test_defaults():
    made = instantiate(acquisition())
    assert list(made.measurement.signals) == ["entropy"]
    assert isinstance(made.blend.normalizer, normalizers.PercentileRank)
    assert isinstance(made.blend.fusion, fusion.WeightedMean)
    assert isinstance(made.selection.selector, selectors.Badge)
    assert made.limits == Limits()
    assert made.say.head_weights == {}


def test_options_of_the_parts_are_those_of_the_configuration():
    parts = [f for part in (Measurement, Say, Blend, Selection, Limits) for f in fields(part)]
    assert len(parts) == len({f.name for f in parts})
    chosen = acquisition("acquisition/cost=annotator_seconds", "acquisition/query=all_heads")
    options = set(chosen)  # these two are left out where there are none
    assert {f.name for f in parts} | {"sites", "labels", "_target_", "_convert_"} == options
    plain = {f.name: f.default for f in parts if f.default not in (MISSING, None)}
    assert plain == {name: acquisition()[name] for name in plain}


def test_a_misspelt_option_is_told_the_nearest():
    with pytest.raises(InstantiationException, match="no option 'minimum_gap', did you mean 'minimum_gap_s'"):
        instantiate(acquisition("+acquisition.minimum_gap=2"))


def test_parameters_reach_the_object():
    made = instantiate(
        acquisition(
            "acquisition/signals=gradient",
            "acquisition/fusion=single_task",
            "acquisition/selector=badge",
            "acquisition.signals.expected_gradient_length.kind=rms",
            "acquisition.fusion.task=tools",
            "acquisition.selector.gamma=1.5",
            "acquisition.minimum_gap_s=2",
            "+acquisition.head_weights.tools=3",
        )
    )
    assert made.measurement.signals["expected_gradient_length"].kind == "rms"
    assert made.blend.fusion.task == "tools"
    assert made.selection.selector.gamma == 1.5
    assert made.limits.minimum_gap_s == 2.0
    assert made.say.head_weights == {"tools": 3.0}
