"""Progress bars for loops that take a while: how far, how fast, how long still."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

T = TypeVar("T")


def track(iterable: Iterable[T], description: str, total: float | None = None, unit: str = "") -> Iterator[T]:
    """The items of ``iterable``, with a bar on stderr that vanishes at the end; no bar where stderr is no terminal.

    Args:
        iterable: what to loop over.
        description: what is being done, in a few words.
        total: number of items, where ``len(iterable)`` does not tell.
        unit: what the items are, in the plural, for the rate.
    """
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    with counting(description, total, unit) as done:
        for item in iterable:
            yield item
            done(1)


@contextmanager
def counting(description: str, total: float | None, unit: str) -> Iterator[Callable[[int], None]]:
    """A function to be told how many more are done, with a bar as :func:`track` has it while the block lasts.

    Args:
        description: what is being done, in a few words.
        total: of how many.
        unit: what they are, in the plural.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(unit),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(description, total=total)
        yield lambda done: bar.advance(task, done)


class _Rate(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """Rounded, such as ``412 frames/s``."""
        if task.speed is None:
            return Text()
        return Text(f"{task.speed:.3g}{' ' * bool(self._unit)}{self._unit}/s")
