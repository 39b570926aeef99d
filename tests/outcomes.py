"""What became of every clip with every reader, printed at the end of a test session."""

from __future__ import annotations

_OUTCOMES: dict[str, dict[str, str]] = {}


def record(clip: str, reader: str, outcome: str) -> None:
    """Keep the outcome, in few words."""
    _OUTCOMES.setdefault(clip, {})[reader] = outcome


def told() -> dict[str, dict[str, str]]:
    """What this process recorded."""
    return _OUTCOMES


def add(others: dict[str, dict[str, str]]) -> None:
    """Take in what another process recorded."""
    for clip, outcomes in others.items():
        _OUTCOMES.setdefault(clip, {}).update(outcomes)


def table() -> list[str]:
    """Lines ``clip  reader  outcome``, in the order recorded."""
    clip = max((len(c) for c in _OUTCOMES), default=0)
    reader = max((len(r) for outcomes in _OUTCOMES.values() for r in outcomes), default=0)
    return [
        f"{c if i == 0 else '':<{clip}} × {r:<{reader}} → {outcome}"
        for c, outcomes in _OUTCOMES.items()
        for i, (r, outcome) in enumerate(outcomes.items())
    ]
