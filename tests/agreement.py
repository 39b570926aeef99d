"""The largest error of every method against an independent source, printed at the end of a test session."""

from __future__ import annotations

_LARGEST: dict[tuple[str, str], float] = {}


def record(method: str, checked_against: str, error: float) -> None:
    """Keep the largest ``error`` of the pair; it is absolute unless ``checked_against`` says otherwise."""
    key = (method, checked_against)
    _LARGEST[key] = max(_LARGEST.get(key, 0.0), float(error))


def table() -> list[str]:
    """Lines ``method → checked against → largest error``, sorted by method."""
    if not _LARGEST:
        return []
    method = max(len(m) for m, _ in _LARGEST)
    against = max(len(a) for _, a in _LARGEST)
    return [f"{m:<{method}} → {a:<{against}} → {error:.1e}" for (m, a), error in sorted(_LARGEST.items())]
