"""Runs sorted into settings, strategies and seeds by what differs in their configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mtal.free_keys import FREE_KEYS, PLACES
from mtal.reporting.comparison.alike import frozen
from mtal.reporting.comparison.found_runs import LeftOut, is_full_pool
from mtal.reporting.comparison.moved_data import at_one_place
from mtal.reporting.comparison.strategy_names import Choices, choices, differing, name_all
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

RANDOM = "random"
"""What a strategy that picks at random is called."""

_BOUND = "HiddenLabelBound"
"""Selector that reads labels which nobody has given: a bound for simulations, no strategy."""


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

    @property
    def is_bound(self) -> bool:
        """Whether it reads the hidden labels of the pool, which nobody could pick by."""
        return _reads_hidden_labels(next(iter(self.runs.values())).config.get("acquisition"))


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

    @property
    def bounds(self) -> frozenset[str]:
        """Names of those that are bounds: shown beside the others, but no winner, rival or target."""
        return frozenset(s.name for s in self.strategies if s.is_bound)


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
    names = _strategy_names(list(by_setting.values()))
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


def of_their_settings(full_pool: Sequence[Run], runs: Sequence[Run]) -> list[Run]:
    """Those of ``full_pool`` that are a reference of some of ``runs``: of the same data, frames, encoder and heads."""
    placed = at_one_place([*runs, *full_pool])
    known = {_key(run, setting=True) for run in placed[: len(runs)]}
    pairs = zip(full_pool, placed[len(runs) :], strict=True)
    return [run for run, found in pairs if _key(found, setting=True) in known]


def find_baseline(settings: Sequence[Setting], wanted: str | None) -> str:
    """Name of the strategy to compare with: ``wanted``, or the one that picks at random.

    Raises:
        ValueError: there is no such strategy in a setting; the names that exist are listed.
    """
    name = wanted or RANDOM
    for setting in settings:
        names = [s.name for s in setting.strategies if not s.is_bound]
        if name not in names:
            raise ValueError(
                f"there is no strategy {name!r} in {setting.name} to compare with; "
                f"choose one with --baseline: {', '.join(names)}"
            )
    return name


def _reads_hidden_labels(options: Any) -> bool:
    """Whether a method that reads them stands anywhere in ``options``, also as part of another."""
    if not isinstance(options, Mapping):
        return False
    method = str(options.get("_target_", "")).rpartition(".")[2]
    return method == _BOUND or any(_reads_hidden_labels(value) for value in options.values())


def _group(runs: Sequence[Run], *, setting: bool) -> dict[str, list[Run]]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(_key(run, setting=setting), []).append(run)
    return groups


def _key(run: Run, *, setting: bool) -> str:
    return frozen(_choices(run, setting=setting))


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


def _strategy_names(settings: Sequence[Sequence[Run]]) -> dict[str, str]:
    """Key of a strategy → what its command line calls it, and what differs, where that is no name or not one alone.

    A strategy is called the same in all settings, so names tell strategies of one setting apart: what differs between
    settings alone, such as the batch of their loops, is not said.
    """
    members = [{key: found[0] for key, found in _group(runs, setting=False).items()} for runs in settings]
    firsts = {key: run for these in reversed(members) for key, run in these.items()}
    options = {key: _choices(run, setting=False) for key, run in firsts.items()}
    said = {"acquisition.selector", *(o for these in members for o in differing([options[key] for key in these]))}
    options = {key: {o: value for o, value in made.items() if o in said} for key, made in options.items()}
    plain = _named(options)
    told = {key: named_strategy(run.path) for key, run in firsts.items()}
    names = dict(plain)
    for name in {name for name in told.values() if name is not None}:
        alike = {key: options[key] for key in told if told[key] == name}
        if all(len(alike.keys() & these.keys()) <= 1 for these in members):
            names |= dict.fromkeys(alike, name)
        else:
            names |= {key: f"{name} · {apart}" for key, apart in _named(alike).items()}
    clear = all(len({names[key] for key in these}) == len(these) for these in members)
    return names if clear else plain


def _named(options: Mapping[str, Choices]) -> dict[str, str]:
    """Names by key, the same for the same options."""
    texts = {key: frozen(dict(made)) for key, made in options.items()}
    distinct = {texts[key]: made for key, made in options.items()}
    names = dict(zip(distinct, name_all(list(distinct.values())), strict=True))
    return {key: names[texts[key]] for key in options}


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
