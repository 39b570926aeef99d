"""What tells a run from the others of its sweep: the options that it alone was given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


def sweep_of(run_dir: Path, config: Mapping[str, Any]) -> str | None:
    """Name of the sweep that the run belongs to; None if it was started by itself."""
    group = (config.get("logger") or {}).get("group")
    if group is not None or _hydra(run_dir).get("mode") != "MULTIRUN":
        return group
    return str(config["name"])


def own_options(run_dir: Path) -> dict[str, str]:
    """The options of the run's command line, less those that all runs of its sweep were given.

    How it picks is always told: of two sweeps of one name, each with a strategy of its own, a folder tells the last.
    They are kept as Hydra does: a run's in ``.hydra``, those of a sweep in ``multirun.yaml`` above it. Options that
    have no part in the name of a run's folder (``name``, ``run_root``, …) do not count either. Empty where no command
    line was.
    """
    hydra = _hydra(run_dir)
    shared = []
    if hydra.get("mode") == "MULTIRUN":
        sweep = _read(run_dir.parent / "multirun.yaml").get("hydra", {})
        shared = [*sweep.get("overrides", {}).get("task", [])]
        shared += [f"{key}={value}" for key, value in ((sweep.get("sweeper") or {}).get("params") or {}).items()]
    without = hydra["job"]["config"]["override_dirname"]["exclude_keys"] if hydra else []
    options = {}
    for given in hydra.get("overrides", {}).get("task", []):
        key, _, value = given.partition("=")
        picks = key == "strategy" or key.startswith(("acquisition/", "acquisition."))
        if (picks or given not in shared) and key not in without:
            options[key.removeprefix("acquisition/").removeprefix("acquisition.")] = value
    return options


def in_words(options: Mapping[str, str]) -> str:
    """Options on one line; a named strategy speaks for itself.

    >>> in_words({"strategy": "random", "loop.batch": "8"})
    'random, loop.batch=8'
    """
    return ", ".join(value if key == "strategy" else f"{key}={value}" for key, value in options.items())


def named_strategy(run_dir: Path) -> str | None:
    """The choice of ``strategy=`` on the run's command line; ``None`` where there was none."""
    given = dict(option.partition("=")[::2] for option in _hydra(run_dir).get("overrides", {}).get("task", []))
    return given.get("strategy")


def strategy(run_dir: Path) -> str:
    """What the run has in common with those that differ from it in their seed alone; ``"default"`` if nothing."""
    return in_words({key: value for key, value in own_options(run_dir).items() if key != "seed"}) or "default"


def _hydra(run_dir: Path) -> dict[str, Any]:
    return _read(run_dir / ".hydra" / "hydra.yaml").get("hydra", {})


def _read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
