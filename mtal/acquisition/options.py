"""Checks that the options of an acquisition share."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def refuse_other(name: str, value: str, choices: Collection[str]) -> None:
    """Make sure that ``value`` is one of ``choices``.

    Raises:
        ValueError: it is none of them.
    """
    if value not in choices:
        raise ValueError(f"unknown {name} {value!r}; choices are {', '.join(choices)}")


def refuse_unknown(weights: Collection[str], known: Collection[str], name: str) -> None:
    """Make sure that every name in ``weights`` is one of ``known``.

    Raises:
        ValueError: one is not.
    """
    unknown = [key for key in weights if key not in known]
    if unknown:
        raise ValueError(f"{name} names {unknown[0]!r}, which is not one of {', '.join(known)}")


def checked_weights(weights: Mapping[str, float], name: str) -> dict[str, float]:
    """``weights`` as a dictionary of floats.

    Raises:
        ValueError: one is negative or not finite.
    """
    checked = {str(key): float(value) for key, value in weights.items()}
    for key, value in checked.items():
        if not 0 <= value < float("inf"):
            raise ValueError(f"{name}.{key} must be 0 or more, not {value}")
    return checked
