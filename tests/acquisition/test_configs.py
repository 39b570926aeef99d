"""Every YAML of configs/acquisition makes its object, and every method has a YAML."""

from dataclasses import MISSING, fields
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
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

CONFIGS = Path(__file__).parents[2] / "configs"
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
CHOICES = [(group, path.stem) for group in GROUPS for path in sorted((CONFIGS / "acquisition" / group).glob("*.yaml"))]


def composed(*overrides):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("acquisition/default", overrides=list(overrides)).acquisition


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_choice_is_instantiated(group, choice):
    config = composed(f"acquisition/{group}={choice}")
    made = instantiate(config)
    assert isinstance(made, Acquisition)
    base = GROUPS[group][1]
    if group == "signals":
        assert all(
            isinstance(signal, base) and signal.name == name for name, signal in made.measurement.signals.items()
        )
        names = list(made.measurement.signals)
        assert names == [choice] or (choice in SEVERAL_SIGNALS and len(names) > 1)
        return
    object_made = instantiate(config[group])
    assert isinstance(object_made, base)
    assert config[group]["_target_"].rsplit(".", 1)[1] == type(object_made).__name__
    if group not in {"sites", "labels"}:  # these two are part of the signals
        part = {"normalizer": made.blend, "weights": made.say, "fusion": made.blend, "selector": made.selection}[group]
        assert type(getattr(part, group)) is type(object_made)


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
    made = instantiate(composed())
    assert list(made.measurement.signals) == ["entropy"]
    assert isinstance(made.blend.normalizer, normalizers.PercentileRank)
    assert isinstance(made.blend.fusion, fusion.WeightedMean)
    assert isinstance(made.selection.selector, selectors.Badge)
    assert made.limits == Limits()
    assert made.say.head_weights == {}


def test_options_of_the_parts_are_those_of_the_configuration():
    parts = [f for part in (Measurement, Say, Blend, Selection, Limits) for f in fields(part)]
    assert len(parts) == len({f.name for f in parts})
    options = set(composed("acquisition/cost=annotator_seconds"))  # which is left out where there is none
    assert {f.name for f in parts} | {"sites", "labels", "_target_", "_convert_"} == options
    plain = {f.name: f.default for f in parts if f.default not in (MISSING, None)}
    assert plain == {name: composed()[name] for name in plain}


def test_a_misspelt_option_is_told_the_nearest():
    with pytest.raises(InstantiationException, match="no option 'minimum_gap', did you mean 'minimum_gap_s'"):
        instantiate(composed("+acquisition.minimum_gap=2"))


def test_parameters_reach_the_object():
    made = instantiate(
        composed(
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
