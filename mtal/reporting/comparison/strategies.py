"""Runs sorted into settings, strategies and seeds by what differs in their configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from mtal.free_keys import FREE_KEYS, PLACES
from mtal.reporting.comparison.found_runs import LeftOut, is_full_pool
from mtal.reporting.comparison.moved_data import at_one_place
from mtal.reporting.comparison.strategy_names import choices, name_all
from mtal.reporting.run_options import named_strategy
from mtal.reporting.run_reader import Run

SETTING = ("data", "frames", "encoder", "tasks")
"""Sections of a configuration in which compared strategies must agree: what is labelled, learnt and measured."""

_DATA_PLACES = tuple(place for place in PLACES if place.startswith("data."))
_NO_MATTER = (
    "seed",
    "name",
    "loop.fold",
    "loop.test_folds",
    *(key for key in FREE_KEYS if key not in _DATA_PLACES and key != "loop.stop"),
)
"""Choices that make no strategy: who ran it where, and how long."""


class Repeat(NamedTuple):
    """Of one strategy: the fold of patients that is tested on, -1 where splits are those of the data, and the seed."""

    fold: int
    seed: int


@dataclass(frozen=True)
class Strategy:
    """Runs that differ in their seed and in the patients tested on alone.

    Args:
        name: short, made of what differs from the other strategies.
        runs: repeat → run.
    """

    name: str
    runs: Mapping[Repeat, Run]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds in rising order."""
        return tuple(sorted({repeat.seed for repeat in self.runs}))


@dataclass(frozen=True)
class Setting:
    """Strategies that can be compared: same data, frames, encoder and heads.

    Args:
        name: made of what differs from the other settings.
        strategies: in order of name.
        full_pool: runs trained on the whole pool.
    """

    name: str
    strategies: tuple[Strategy, ...]
    full_pool: tuple[Run, ...]

    def strategy(self, name: str) -> Strategy:
        """The strategy of that name."""
        return next(s for s in self.strategies if s.name == name)


def sort_runs(runs: Sequence[Run], full_pool: Sequence[Run]) -> tuple[list[Setting], list[LeftOut]]:
    """Settings, and runs that repeat a seed of their strategy.

    Args:
        runs: finished runs; those of the whole pool among them count as ``full_pool``.
        full_pool: runs to take the full-pool score from.

    Data that moved are the same data, see :func:`~mtal.reporting.comparison.moved_data.at_one_place`.

    Raises:
        ValueError: there is no run to compare, or a full-pool run is of a setting in which there is nothing else.
    """
    placed = {run.path: run for run in at_one_place([*runs, *full_pool])}
    references = {run.path: placed[run.path] for run in (*full_pool, *(r for r in runs if is_full_pool(r)))}
    compared = [placed[run.path] for run in runs if run.path not in references]
    by_setting = _group(compared, setting=True)
    if not by_setting:
        raise ValueError("there is no finished run to compare")
    setting_names = _setting_names([members[0] for members in by_setting.values()])
    of_setting: dict[str, list[Run]] = {key: [] for key in by_setting}
    for run in references.values():
        key = _key(run, setting=True)
        if key not in of_setting:
            raise ValueError(
                f"{run.path}: this full-pool run has other {' or '.join(SETTING)} options than any compared run, so "
                "its score is no reference for them; run experiment=full_pool with the options of the sweep"
            )
        of_setting[key].append(run)
    # Names are given over all settings, so that a strategy is called the same in each.
    by_strategy = _group(compared, setting=False)
    names = dict(zip(by_strategy, _strategy_names([members[0] for members in by_strategy.values()]), strict=True))
    settings, left_out = [], []
    for name, (key, members) in zip(setting_names, by_setting.items(), strict=True):
        seeds: dict[str, dict[Repeat, Run]] = {}
        for run in members:
            strategy = seeds.setdefault(names[_key(run, setting=False)], {})
            seed = repeat_of(run)
            if seed in strategy:
                left_out.append(LeftOut(run.path, f"the same strategy and seed as {strategy[seed].path}"))
            else:
                strategy[seed] = run
        strategies = tuple(Strategy(s, seeds[s]) for s in sorted(seeds))
        settings.append(Setting(name, strategies, tuple(of_setting[key])))
    return settings, left_out


def find_baseline(settings: Sequence[Setting], wanted: str | None) -> str:
    """Name of the strategy to compare with: ``wanted``, or the one that picks at random.

    Raises:
        ValueError: there is no such strategy in a setting; the names that exist are listed.
    """
    name = wanted or "random"
    for setting in settings:
        names = [s.name for s in setting.strategies]
        if name not in names:
            raise ValueError(
                f"there is no strategy {name!r} in {setting.name} to compare with; "
                f"choose one with --baseline: {', '.join(names)}"
            )
    return name


def _group(runs: Sequence[Run], *, setting: bool) -> dict[str, list[Run]]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(_key(run, setting=setting), []).append(run)
    return groups


def _key(run: Run, *, setting: bool) -> str:
    return str(yaml.safe_dump(_choices(run, setting=setting), sort_keys=True))


def repeat_of(run: Run) -> Repeat:
    """Which repeat of its strategy a run is."""
    fold = run.config.get("loop", {}).get("fold")
    return Repeat(-1 if fold is None else int(fold), int(run.config.get("seed", 0)))


def _choices(run: Run, *, setting: bool) -> dict[str, Any]:
    loop = run.config.get("loop", {})
    folds = {"data.test_folds": loop["test_folds"]} if setting and loop.get("fold") is not None else {}
    return folds | {
        key: value
        for key, value in choices(run.config).items()
        if (key.split(".")[0] in SETTING) == setting and key not in _NO_MATTER and key.split(".")[0] not in _NO_MATTER
    }


def _strategy_names(runs: Sequence[Run]) -> list[str]:
    """What the runs' command lines call them, and what differs, where that is no name or not one alone."""
    options = [_choices(run, setting=False) for run in runs]
    names = name_all(options)
    told = [named_strategy(run.path) for run in runs]
    for name in {name for name in told if name is not None}:
        alike = [i for i, other in enumerate(told) if other == name]
        within = name_all([options[i] for i in alike])
        for i, apart in zip(alike, within, strict=True):
            names[i] = name if len(alike) == 1 else f"{name} · {apart}"
    return names if len(set(names)) == len(names) else name_all(options)


def _setting_names(runs: Sequence[Run]) -> list[str]:
    """The data's name, and what else differs where that does not tell the settings of ``runs`` apart."""
    data = [_data_name(run) for run in runs]
    if len(set(data)) == len(data):
        return data
    options = [_choices(run, setting=True) for run in runs]
    others = name_all([{key: value for key, value in o.items() if key != "data._target_"} for o in options])
    return [f"{name} · {other}" for name, other in zip(data, others, strict=True)]


def _data_name(run: Run) -> str:
    """``mtal.datasets.synthetic.load`` → ``synthetic``: every loader is called load."""
    target = str(run.config.get("data", {}).get("_target_", "the data")).split(".")
    return target[-2] if target[-1] == "load" and len(target) > 1 else target[-1]
