"""Segments in this process, or in one process per device."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path

import torch

from mtal.models import MultiTaskModel
from mtal.scoring.engine import Outcome
from mtal.scoring.segments import Segment
from mtal.scoring.work import Tell, Work, Worker


class Local:
    """Segments one after the other in this process; where it sees several GPUs, in one process for each."""

    def score(self, segments: Sequence[Segment], work: Work, model: MultiTaskModel, tell: Tell) -> Iterator[Outcome]:
        """See :class:`~mtal.scoring.engine.Engine`."""
        devices = _devices(work.device)
        if len(devices) > 1 and len(segments) > 1:
            yield from in_processes(segments, work, model, tell, devices[: len(segments)])
            return
        for segment in segments:
            try:
                work.do(segment, model, work.device, tell)
            except Exception as error:  # noqa: BLE001  whoever asked decides whether it is tried again
                yield segment, error
            else:
                yield segment, None


def _devices(device: torch.device) -> list[torch.device]:
    if device.type != "cuda" or device.index is not None:
        return [device]
    return [torch.device("cuda", i) for i in range(torch.cuda.device_count())]


def in_processes(
    segments: Sequence[Segment], work: Work, model: MultiTaskModel, tell: Tell, devices: Sequence[torch.device]
) -> Iterator[Outcome]:
    """Segments in one process for each of several devices; see :class:`~mtal.scoring.engine.Engine`."""
    context = multiprocessing.get_context("spawn")  # neither CUDA nor decoders survive a fork
    free = context.SimpleQueue()
    for device in devices:
        free.put(device)
    parcel = work.shards.folder / f"work-{work.shards.key}.pkl"
    parcel.write_bytes(work.packed(model))
    with ProcessPoolExecutor(len(devices), context, _begin, (parcel, free)) as pool:
        jobs: dict[Future[None], Segment] = {pool.submit(_do, segment): segment for segment in segments}
        try:
            for job in as_completed(jobs):
                error = job.exception()
                if isinstance(error, Exception):
                    yield jobs[job], error
                else:
                    tell(len(jobs[job]))
                    yield jobs[job], None
        finally:
            pool.shutdown(cancel_futures=True)
            parcel.unlink(missing_ok=True)


_here: list[Worker] = []


def _begin(parcel: Path, free: multiprocessing.queues.SimpleQueue[torch.device]) -> None:
    _here.append(Worker(parcel.read_bytes(), free.get()))


def _do(segment: Segment) -> None:
    _here[0].do(segment)
