"""What Hydra remembers is what it composes anew, however it came to be remembered."""

from __future__ import annotations

import pytest
import remembered
from composed import CONFIGS
from hydra import compose, initialize_config_dir
from hydra._internal import config_loader_impl, defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.default_element import InputDefault
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf

from mtal.launch import register

LINES = (
    ("strategy=headroom_mean",),
    ("strategy=joint_badge", "seed=4"),
    ("strategy=bandit_mean",),
    ("strategy=bandit_mean", "loop.rounds=3"),
    (
        "data=vocalfolds",
        "strategy=bandit_mean",
        "+acquisition.cost.label_s.tools=9",
        "acquisition/cost=annotator_seconds",
    ),
    ("data=vocalfolds", "experiment=cold_start"),
    ("acquisition/signals=[entropy,bald]",),
)
PATCHED = (
    (config_loader_impl, "create_defaults_list"),
    (defaults_list, "_create_interpolation_map"),
    (InputDefault, "_resolve_interpolation_impl"),
    (ConfigLoaderImpl, "_compose_config_from_defaults_list"),
    (ConfigLoaderImpl, "_load_single_config"),
    (ConfigRepository, "load_config"),
)


def composed(line: tuple[str, ...]) -> DictConfig:
    register()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("config", overrides=list(line))


@pytest.fixture
def nothing_yet(monkeypatch):
    for name in ("_listed", "_composed", "_begun", "_read"):
        monkeypatch.setattr(remembered, name, {})


@pytest.mark.usefixtures("nothing_yet")
def test_is_what_is_composed_anew(monkeypatch):
    found = [composed(line) for line in LINES]
    again = [composed(line) for line in LINES]
    assert remembered._begun
    for owner, name in PATCHED:
        monkeypatch.setattr(owner, name, getattr(owner, name).__wrapped__)
    for line, one, other in zip(LINES, found, again, strict=True):
        plain = composed(line)
        for remembered_ in (one, other):
            assert OmegaConf.to_yaml(remembered_) == OmegaConf.to_yaml(plain)  # in its order
            assert OmegaConf.get_type(remembered_.loop) is OmegaConf.get_type(plain.loop)
            assert OmegaConf.is_struct(remembered_) == OmegaConf.is_struct(plain)


@pytest.mark.usefixtures("nothing_yet")
def test_nobody_changes_it():
    for line in LINES[:3]:
        composed(line).loop.rounds = 77
    assert {composed(line).loop.rounds for line in LINES[:3]} == {composed(()).loop.rounds}


@pytest.mark.usefixtures("nothing_yet")
def test_choices_are_interpolated(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "main.yaml").write_text("defaults:\n  - a: one\n  - b: ${a}\n")
    for group in "ab":
        for choice in ("one", "two"):
            (tmp_path / group).mkdir(exist_ok=True)
            (tmp_path / group / f"{choice}.yaml").write_text(f"is: {choice}\n")
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        assert compose("main").b["is"] == "one"
        assert compose("main", overrides=["a=two"]).b["is"] == "two"
        with pytest.raises(ConfigCompositionException, match="none"):
            compose("main", overrides=["a=none"])
