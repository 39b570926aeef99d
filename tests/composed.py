"""Configurations as the command line composes them, each composed once: nothing costs these tests more."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

CONFIGS = Path(__file__).parents[1] / "configs"
GROUPS = ("signals", "sites", "labels", "normalizer", "weights", "fusion", "selector")
"""Stages of acquisition that are chosen by name."""


def choices(group: str) -> list[str]:
    """Every YAML of a stage."""
    return sorted(path.stem for path in (CONFIGS / "acquisition" / group).glob("*.yaml"))


@cache
def acquisition(*overrides: str) -> DictConfig:
    """The section ``acquisition``. It is shared: instantiate it, don't change it."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("acquisition/default", overrides=list(overrides)).acquisition


def once(config: str, overrides: list[str]) -> DictConfig:
    """In place of Hydra's ``compose`` where nobody changes what comes out, as in the check of the command line."""
    return _once(config, tuple(overrides))


@cache
def _once(config: str, overrides: tuple[str, ...]) -> DictConfig:
    return compose(config, overrides=list(overrides))


def together(row: int, groups: tuple[str, ...] = GROUPS) -> tuple[str, ...]:
    """One choice of every stage, so that few rows hold all of them; ``row`` counts from 0 and begins again at the end.

    A stage with fewer choices than another goes through them several times.
    """
    offered = {group: choices(group) for group in groups}
    return tuple(f"acquisition/{group}={names[row % len(names)]}" for group, names in offered.items())


def rows(groups: tuple[str, ...] = GROUPS) -> int:
    """How many rows hold every choice of every stage."""
    return max(len(choices(group)) for group in groups)


def named(overrides: tuple[str, ...]) -> str:
    """For a test's name."""
    return " ".join(overrides).replace("acquisition/", "")
