"""Every YAML of configs/acquisition makes its object, and every method has a YAML."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from mtal.acquisition import Acquisition, fusion, normalizers, selectors, signals

CONFIGS = Path(__file__).parents[2] / "configs"
GROUPS = {
    "signals": (signals, signals.Signal),
    "normalizer": (normalizers, normalizers.Normalizer),
    "fusion": (fusion, fusion.Fusion),
    "selector": (selectors, selectors.Selector),
}
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
        assert made.signals
        assert all(isinstance(signal, base) and signal.name == name for name, signal in made.signals.items())
        if choice not in {"all", "gradient", "uncertainty"}:
            assert list(made.signals) == [choice]
    else:
        assert isinstance(getattr(made, group), base)
        assert config[group]["_target_"].rsplit(".", 1)[1] == type(getattr(made, group)).__name__


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
    if group == "signals":
        offered = {
            type(signal).__name__ for signal in instantiate(composed("acquisition/signals=all")).signals.values()
        }
    else:
        offered = {
            type(getattr(instantiate(composed(f"acquisition/{group}={choice}")), group)).__name__
            for owner, choice in CHOICES
            if owner == group
        }
    assert offered == methods


def test_defaults():
    made = instantiate(composed())
    assert list(made.signals) == ["entropy"]
    assert isinstance(made.normalizer, normalizers.PercentileRank)
    assert isinstance(made.fusion, fusion.WeightedMean)
    assert isinstance(made.selector, selectors.Badge)
    assert made.minimum_gap_s == 0.0
    assert made.head_weights == {}


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
    assert made.signals["expected_gradient_length"].kind == "rms"
    assert made.fusion.task == "tools"
    assert made.selector.gamma == 1.5
    assert made.minimum_gap_s == 2.0
    assert made.head_weights == {"tools": 3.0}
