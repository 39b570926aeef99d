"""What a strategy sets is what is run, whatever the experiment."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import yaml
from composed import CONFIGS, once
from hydra import initialize_config_dir

from mtal.launch import register

STRATEGIES, EXPERIMENTS = (sorted((CONFIGS / group).glob("*.yaml")) for group in ("strategy", "experiment"))


def values(node: object, key: str = "") -> Iterator[str]:
    """Dotted keys of what a file sets, but for the choices in its list of defaults."""
    if not isinstance(node, dict):
        yield key + "."
        return
    for name, below in node.items():
        if (key, name) != ("", "defaults"):
            yield from values(below, f"{key}.{name}".removeprefix("."))


def set_in(path: Path) -> set[str]:
    return set(values(yaml.safe_load(path.read_text())))


def test_no_experiment_sets_what_a_strategy_sets():
    """Experiments are merged last, so their values win; what both know has to be a group of its own."""
    strategies, experiments = ({path.stem: set_in(path) for path in paths} for paths in (STRATEGIES, EXPERIMENTS))
    overruled = [
        f"{experiment} overrules {mine} of {strategy}"
        for (strategy, own), (experiment, others) in product(strategies.items(), experiments.items())
        for mine, other in product(own, others)
        if mine.startswith(other) or other.startswith(mine)
    ]
    assert "acquisition.minimum_gap_s." in strategies["random_with_gap"]
    assert overruled == []


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ([], 2.0),
        (["strategy=random_with_gap"], 10.0),
        (["strategy=random_with_gap", "experiment=study_vocalfolds"], 10.0),
        (["strategy=random_with_gap", "acquisition.minimum_gap_s=5"], 5),
        (["experiment=tiny"], 0.0),
        (["acquisition/gap=none"], 0.0),
    ],
)
def test_gap(options, seconds):
    register()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        assert once("config", options).acquisition.minimum_gap_s == seconds
