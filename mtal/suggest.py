"""The nearest right name for a wrong one, for error messages."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(wrong: str, known: Iterable[str]) -> str:
    """``", did you mean 'right'?"`` or an empty string when nothing is near.

    >>> nearest("entopy", ["entropy", "margin"])
    ", did you mean 'entropy'?"
    >>> nearest("xyz", ["entropy"])
    ''
    """
    close = get_close_matches(wrong, list(known), n=1, cutoff=0.5)
    return f", did you mean {close[0]!r}?" if close else ""
