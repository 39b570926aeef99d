"""Segments in this process, or in one process per device."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from traceback import clear_frames

import torch

from mtal.models import MultiTaskModel
from mtal.scoring.engine import Outcome
from mtal.scoring.segments import Segment
from mtal.scoring.work import Tell, Work, Worker

_LOST = 3  # processes in a row; more would be as futile

_Lost = list[tuple[Segment, Exception]]


class Local:
    """Segments one after the other in this process; where it sees several GPUs, in one process for each."""

    def runs_on(self, device: torch.device, threads: int) -> tuple[str, int]:
        """See :class:`~mtal.scoring.engine.Engine`."""
        return device.type, threads

    def score(self, segments: Sequence[Segment], work: Work, model: MultiTaskModel, tell: Tell) -> Iterator[Outcome]:
        """See :class:`~mtal.scoring.engine.Engine`."""
        devices = _devices(work.device)
        if len(devices) > 1 and len(segments) > 1:
            yield from in_processes(segments, work, model, tell, devices[: len(segments)])
            return
        for segment in segments:
            yield segment, _failed(segment, work, model, tell)


def _failed(segment: Segment, work: Work, model: MultiTaskModel, tell: Tell) -> Exception | None:
    """What went wrong with a segment, if anything; frames of one that fails are told back."""
    told = 0

    def count(done: int) -> None:
        nonlocal told
        told += done
        tell(done)

    try:
        work.do_here(segment, model, count)
    except Exception as error:  # noqa: BLE001  whoever asked decides whether it is tried again
        let_go(error)
        tell(-told)
        return error
    return None


def let_go(error: Exception) -> None:
    """Of batches and tensors of a GPU, which the frames that an error went through hold for as long as it is kept."""
    passed: BaseException | None = error
    while passed is not None:
        clear_frames(passed.__traceback__)
        passed = passed.__cause__ or passed.__context__


def _devices(device: torch.device) -> list[torch.device]:
    if device.type != "cuda" or device.index is not None:
        return [device]
    return [torch.device("cuda", i) for i in range(torch.cuda.device_count())]


def in_processes(
    segments: Sequence[Segment], work: Work, model: MultiTaskModel, tell: Tell, devices: Sequence[torch.device]
) -> Iterator[Outcome]:
    """Segments in one process for each of several devices; see :class:`~mtal.scoring.engine.Engine`.

    A process that dies takes the others of its pool with it. What these were at is scored by one process after the
    other, so that only the segment that ended a process fails.
    """
    parcel = work.shards.folder / f"work-{work.shards.key}.pkl"
    parcel.write_bytes(work.packed(model))
    together, alone = deque(segments), deque[Segment]()
    in_a_row = 0
    try:
        while (together or alone) and in_a_row < _LOST:
            if alone:
                any_done, lost = yield from _in_a_pool(alone, parcel, tell, devices[:1])
            else:
                any_done, lost = yield from _in_a_pool(together, parcel, tell, devices)
            if len(lost) > 1:
                alone.extend(segment for segment, _ in lost)
            else:
                in_a_row = 0 if any_done else in_a_row + len(lost)
                yield from lost
        for segment in (*alone, *together):
            yield segment, RuntimeError(f"{_LOST} processes that score ended one after the other, and none has scored")
    finally:
        parcel.unlink(missing_ok=True)


def _in_a_pool(
    waiting: deque[Segment], parcel: Path, tell: Tell, devices: Sequence[torch.device]
) -> Generator[Outcome, None, tuple[bool, _Lost]]:
    """Take from the segments that wait until there are none, or the pool breaks: was any scored, and what was lost?"""
    context = multiprocessing.get_context("spawn")  # neither CUDA nor decoders survive a fork
    free = context.SimpleQueue()
    for device in devices:
        free.put(device)
    doing: dict[Future[None], Segment] = {}
    any_done, broken, lost = False, False, _Lost()
    with ProcessPoolExecutor(len(devices), context, _begin, (parcel, free)) as pool:
        try:
            while doing or (waiting and not broken):
                while waiting and not broken and len(doing) < len(devices):  # what is handed in is begun at once
                    try:
                        doing[pool.submit(_do, waiting[0])] = waiting[0]
                        waiting.popleft()
                    except BrokenProcessPool:
                        broken = True
                for job in wait(doing, return_when=FIRST_COMPLETED).done:
                    segment, error = doing.pop(job), job.exception()
                    if isinstance(error, BrokenProcessPool):
                        broken = True
                        lost.append((segment, error))
                    elif error is not None:
                        yield segment, error if isinstance(error, Exception) else RuntimeError(repr(error))
                    else:
                        any_done = True
                        tell(len(segment))
                        yield segment, None
        finally:
            pool.shutdown(cancel_futures=True)
    return any_done, lost


_here: list[Worker] = []


def _begin(parcel: Path, free: multiprocessing.queues.SimpleQueue[torch.device]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _here.append(Worker(parcel.read_bytes(), free.get()))


def _end_with_parent() -> None:
    """A process that was killed cannot tell its workers to end."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(segment: Segment) -> None:
    _here[0].do(segment)
