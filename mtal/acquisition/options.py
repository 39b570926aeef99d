"""Checks that the options of an acquisition share."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from mtal.refusals import refuse


def wrong_choice(name: str, value: str, choices: Collection[str]) -> Iterator[str]:
    """What is wrong with ``value``: it is none of ``choices``."""
    if value not in choices:
        yield f"unknown {name} {value!r}; choices are {', '.join(choices)}"


def refuse_unknown(weights: Collection[str], known: Collection[str], name: str) -> None:
    """Make sure that every name in ``weights`` is one of ``known``.

    Raises:
        ValueError: some are not.
    """
    refuse(f"{name} names {key!r}, which is not one of {', '.join(known)}" for key in weights if key not in known)


def as_floats(weights: Mapping[str, float] | None) -> dict[str, float]:
    """``weights`` as a dictionary of floats."""
    return {str(key): float(value) for key, value in (weights or {}).items()}


def wrong_weights(weights: Mapping[str, float], name: str, unit: str = "") -> Iterator[str]:
    """What is wrong with ``weights``: those that are negative or not finite."""
    for key, value in weights.items():
        if not 0 <= value < float("inf"):
            yield f"{name}.{key} must be 0{unit} or more, not {value}"
