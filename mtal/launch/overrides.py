"""Check the command line before anything starts: a misspelt option fails at once and is told the nearest right name."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from mtal.refusals import LISTED
from mtal.suggest import nearest


class UnknownOptionError(ValueError):
    """An option or a choice on the command line that does not exist."""


def check_overrides(configs: Path, arguments: Sequence[str]) -> list[str]:
    """End the program with exit code 2 and one clear line if ``arguments`` name something that does not exist.

    Args:
        configs: folder of ``config.yaml``.
        arguments: the command line, Hydra's own flags included.

    Returns:
        The same with the flags at its end: Hydra takes none, such as ``-m``, between two options.
    """
    overrides = get_args_parser().parse_intermixed_args(list(arguments)).overrides
    try:
        refuse_unknown(configs, overrides)
    except (UnknownOptionError, HydraException) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        print(f"error: {'; '.join(lines)}", file=sys.stderr)  # noqa: T201  there is no console yet
        raise SystemExit(2) from None
    left, flags = list(overrides), []
    for argument in arguments:
        if left and argument == left[0]:
            left.pop(0)
        else:
            flags.append(argument)
    return [*overrides, *flags]


def refuse_unknown(configs: Path, overrides: Sequence[str]) -> None:
    """Raise for the overrides whose group, choice or key does not exist.

    Raises:
        UnknownOptionError: how many there are, and of the first ten the nearest right name or the list of choices.
        hydra.errors.HydraException: an override can't be parsed.
    """
    with initialize_config_dir(config_dir=str(configs.resolve()), version_base="1.3", job_name="check"):
        parser = OverridesParser.create(GlobalHydra.instance().config_loader())  # glob(*) looks for the choices
        parsed = [o for o in (_parsed(parser, text) for text in overrides) if not _is_hydras(o)]
        groups = {p.relative_to(configs).as_posix() for p in configs.rglob("*") if p.is_dir()}
        chosen: list[str] = []
        told: list[str] = []
        open_ = _Open()
        for override in parsed:
            key = override.key_or_group
            if key not in groups:
                continue
            values = _values(override)
            if wrong := [fault for choice in values for fault in _faults_of_choice(key, choice)]:
                told += wrong
                open_.note(override)
            elif override.is_delete():
                chosen.append(str(override.input_line))
            elif values:
                chosen.append(f"{override.get_key_element()}={values[0]}")
        config = compose("config", overrides=chosen)
        for override in parsed:
            if override.key_or_group not in groups and not override.is_add() and not override.is_force_add():
                told += [] if open_.has(override) else _faults_of_key(override, config, groups)
    if told:
        raise UnknownOptionError(_in_short(told))


def _in_short(told: Sequence[str]) -> str:
    """One fault as it is, several with their number and the first ten."""
    if len(told) == 1:
        return told[0]
    more = [f"and {len(told) - LISTED} more"] if len(told) > LISTED else []
    return "\n".join([f"{len(told)} options are wrong: {told[0]}", *told[1:LISTED], *more])


class _Open:
    """Places of which nobody can say what belongs there, since it is not known what was to be chosen for them."""

    def __init__(self) -> None:
        self.places: list[str] = []

    def note(self, wrong: Override) -> None:
        """A choice that does not exist."""
        group = wrong.key_or_group
        # an experiment and a strategy choose for other places
        self.places.append("" if group in ("experiment", "strategy") else wrong.package or group.replace("/", "."))

    def has(self, override: Override) -> bool:
        """Whether the option is of such a place."""
        return any(not place or override.key_or_group.startswith(f"{place}.") for place in self.places)


def _parsed(parser: OverridesParser, text: str) -> Override:
    try:
        return parser.parse_overrides([text])[0]
    except HydraException as error:
        what = str(error).partition("\nSee ")[0]
        raise HydraException(f"{text}: {what}; put a value with signs such as = or , in two pairs of quotes") from error


def _is_hydras(override: Override) -> bool:
    return override.key_or_group.split("/", maxsplit=1)[0].split(".", maxsplit=1)[0] == "hydra"


def _values(override: Override) -> list[str]:
    """What a group is to be set to, as it would be written: one for each job of a sweep."""
    if override.is_sweep_override():
        return [str(v) for v in override.sweep_string_iterator()]
    if override.is_delete() and override.value() is None:
        return []
    return [override.get_value_element_as_str()]


def _faults_of_choice(group: str, choice: str) -> Iterator[str]:
    options = GlobalHydra.instance().config_loader().get_group_options(group)
    for one in (part.strip(" '\"") for part in choice.strip("[]").split(",")):
        if one == "null":
            yield f"{group}=null: a group is left out by ~{group}"
        elif one and one not in options:
            yield f"{group}={one}: no such choice{nearest(one, options)} (choices: {', '.join(options)})"


def _faults_of_key(override: Override, config: DictConfig, groups: set[str]) -> Iterator[str]:
    key = override.key_or_group
    if "/" in key:
        yield f"unknown option {key!r}{nearest(key, groups) or '; groups are ' + ', '.join(groups)}"
        return
    parent, _, leaf = key.rpartition(".")
    node = OmegaConf.select(config, parent, throw_on_missing=False) if parent else config
    if isinstance(node, DictConfig) and leaf in list(node):  # "in" alone does not see a value that is still missing
        return
    if isinstance(node, DictConfig) and parent and len(node) == 0:
        yield f"{parent} is empty; to add to it write +{key}={override.value()}"
        return
    known = [*_keys(config), *groups]
    yield f"unknown option {key!r}{nearest(key, known)}"


def _keys(node: DictConfig, prefix: str = "") -> list[str]:
    keys = []
    for key in (k for k in node if isinstance(k, str | int)):  # a number such as those of data.mask_classes
        name = f"{prefix}.{key}" if prefix else f"{key}"
        keys.append(name)
        if not OmegaConf.is_missing(node, key) and not OmegaConf.is_interpolation(node, key):
            child = node[key]
            if isinstance(child, DictConfig):
                keys += _keys(child, name)
    return keys
