"""Options of a stored configuration that this version of mtal does not have, so that nobody can go by them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from hydra.utils import get_object

from mtal.refusals import first_of

_WHOLE = ("encoder", "evaluation", "frames", "loop", "model")
"""Sections of which every configuration holds all options."""
_OF_HYDRA = {"_target_", "_partial_", "_recursive_", "_convert_", "_args_"}


def old_options(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Where they stand in ``before`` → their values; of ``_target_``, where what it names is not there.

    Args:
        before: a stored configuration, or parts of it.
        now: one that this version has composed.
    """
    gone = dict(_unknown(before, ""))
    for section in _WHOLE:
        gone |= _lacking(before.get(section), now.get(section), section)
    return gone


def with_values(options: Mapping[str, Any]) -> str:
    """The first three with their values.

    >>> with_values({"trainer.flip": True})
    'trainer.flip=True'
    """
    return first_of([f"{key}={value}" for key, value in options.items()])


def _lacking(before: Any, now: Any, place: str) -> dict[str, Any]:
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return {}
    gone = {f"{place}.{key}": value for key, value in before.items() if key not in now}
    for key in before.keys() & now.keys():
        gone |= _lacking(before[key], now[key], f"{place}.{key}")
    return gone


def _unknown(node: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Arguments that what a ``_target_`` names does not take."""
    if isinstance(node, list):
        for i, item in enumerate(node):
            yield from _unknown(item, f"{place}[{i}]")
    if not isinstance(node, Mapping):
        return
    here = f"{place}." if place else ""
    if "_target_" in node:
        known = _arguments(node["_target_"])
        if known is None:
            yield f"{here}_target_", node["_target_"]
            return
        yield from ((f"{here}{key}", node[key]) for key in node if known and key not in known | _OF_HYDRA)
    for key, value in node.items():
        yield from _unknown(value, f"{here}{key}")


def _arguments(target: str) -> set[str] | None:
    """Names of its arguments, empty where it takes any; ``None`` where there is no such thing."""
    try:
        named = get_object(target)
    except (ImportError, AttributeError):
        return None
    try:
        arguments = inspect.signature(named).parameters
    except ValueError:  # it is written in C
        return set()
    if any(a.kind is inspect.Parameter.VAR_KEYWORD for a in arguments.values()):
        return set()
    return set(arguments) or {""}  # none at all
