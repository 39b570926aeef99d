"""Progress bars for loops that take a while."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track as rich_track

T = TypeVar("T")


def track(iterable: Iterable[T], description: str, total: float | None = None) -> Iterator[T]:
    """The items of ``iterable``, with a bar on stderr that vanishes at the end; no bar where stderr is no terminal.

    Args:
        iterable: what to loop over.
        description: what is being done, in a few words.
        total: number of items, where ``len(iterable)`` does not tell.
    """
    console = Console(stderr=True)
    yield from rich_track(
        iterable, description, total=total, console=console, transient=True, disable=not console.is_terminal
    )
