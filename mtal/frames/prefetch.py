"""The next batch is made while the last one is used."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True)
class _End:
    error: BaseException | None


def prefetch(iterable: Iterable[T], depth: int = 2) -> Generator[T, None, None]:
    """The items of ``iterable``, made ahead of time in one background thread.

    At most ``depth`` items wait and one more is in the making. An exception in the thread is raised here, after the
    items before it. Closing the generator (leaving a ``for`` loop early) stops the thread after the item in the making
    and waits for it.

    Args:
        iterable: runs in the thread from start to end, so a reader that it opens is used by one thread only.
        depth: number of items that may wait.

    Raises:
        ValueError: ``depth`` is less than 1.
    """
    if depth < 1:
        raise ValueError(f"prefetch needs room for at least one item, not {depth}")
    return _consume(iterable, queue.Queue(maxsize=depth), threading.Event())


def _consume(
    iterable: Iterable[T], waiting: queue.Queue[_Item[T] | _End], stop: threading.Event
) -> Generator[T, None, None]:
    thread = threading.Thread(target=_produce, args=(iterable, waiting, stop), name="prefetch", daemon=True)
    thread.start()
    try:
        while isinstance(got := waiting.get(), _Item):
            yield got.value
        if got.error is not None:
            raise got.error
    finally:
        stop.set()
        thread.join()


def _produce(iterable: Iterable[T], waiting: queue.Queue[_Item[T] | _End], stop: threading.Event) -> None:
    end = _End(None)
    items = iter(iterable)
    try:
        for value in items:
            if not _put(waiting, _Item(value), stop):
                break
    except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that consumes
        end = _End(error)
    finally:
        if isinstance(items, Generator):
            items.close()
    _put(waiting, end, stop)


def _put(waiting: queue.Queue[_Item[T] | _End], item: _Item[T] | _End, stop: threading.Event) -> bool:
    """Wait for room; False where nobody wants the item any more."""
    while not stop.is_set():
        try:
            waiting.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False
