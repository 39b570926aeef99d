"""One call per item, a few at a time, with a progress bar: for files, whose decoding leaves the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mtal.cores import usable_cores
from mtal.progress import track

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(work: Callable[[Item], Result], items: Sequence[Item], doing: str) -> list[Result]:
    """``work`` of each item, in their order; the first error ends it.

    Args:
        work: called in threads.
        items: what it is called with.
        doing: what the progress bar says.
    """
    with ThreadPoolExecutor(usable_cores()) as pool:
        try:
            return list(track(pool.map(work, items), doing, total=len(items)))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
