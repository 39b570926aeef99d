"""The largest error of every method against an independent source, printed at the end of a test session."""

from __future__ import annotations

_LARGEST: dict[str, dict[str, float]] = {}  # method → checked against → error


def record(method: str, checked_against: str, error: float) -> None:
    """Keep the largest ``error`` of the pair; it is absolute unless ``checked_against`` says otherwise."""
    of_method = _LARGEST.setdefault(method, {})
    of_method[checked_against] = max(of_method.get(checked_against, 0.0), float(error))


def told() -> dict[str, dict[str, float]]:
    """What this process recorded."""
    return _LARGEST


def add(others: dict[str, dict[str, float]]) -> None:
    """Take in what another process recorded."""
    for method, errors in others.items():
        for checked_against, error in errors.items():
            record(method, checked_against, error)


def table() -> list[str]:
    """Lines ``method → checked against → largest error``, sorted by method."""
    rows = [(m, a, error) for m, errors in sorted(_LARGEST.items()) for a, error in sorted(errors.items())]
    method = max((len(m) for m, _, _ in rows), default=0)
    against = max((len(a) for _, a, _ in rows), default=0)
    return [f"{m:<{method}} → {a:<{against}} → {error:.1e}" for m, a, error in rows]
