"""Work on pieces of a pool side by side, each piece by one thread.

Parallel loops inside every small operation cost more than they save as soon as another process wants the same cores:
each waits for its slowest thread. Pieces wait for nothing but the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import torch
from threadpoolctl import ThreadpoolController

Part = TypeVar("Part")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use a single thread inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def numpy_on_one_thread() -> Iterator[None]:
    """Let products of numpy use a single thread inside.

    Theirs wait for each other in a loop: beside other work on the same cores, small products take up to twenty times
    the processor time.
    """
    with _blas().limit(limits=1):
        yield


@cache
def _blas() -> ThreadpoolController:
    """Looked up once, which takes longer than a small selection."""
    return ThreadpoolController().select(user_api="blas")


def in_pieces(work: Callable[[Part], object], parts: Sequence[Part]) -> None:
    """Call ``work`` on each of the parts, on as many at a time as torch may use threads.

    The parts must not touch what others write.

    >>> squares = torch.zeros(3)
    >>> in_pieces(lambda i: squares[i].fill_(i * i), range(3))
    >>> squares.tolist()
    [0.0, 1.0, 4.0]
    """
    threads = min(torch.get_num_threads(), len(parts))
    with one_thread():
        if threads < 2:
            for part in parts:
                work(part)
            return
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for _ in pool.map(work, parts):
                pass
