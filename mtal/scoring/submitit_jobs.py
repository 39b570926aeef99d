"""Segments in jobs of a cluster's scheduler, sent as one array."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import submitit
import torch

from mtal.models import MultiTaskModel
from mtal.numbers import is_whole
from mtal.refusals import refuse
from mtal.scoring.engine import Outcome
from mtal.scoring.local import let_go
from mtal.scoring.segments import Segment
from mtal.scoring.work import Tell, Work, Worker

_LOOKED_EVERY_S = 1.0
_IN_VAIN = 3  # arrays in a row; more would be as futile


class SubmititJobs:
    """Each job has the model of the round and scores its share of the segments; shards go to the shared disk.

    A job that ends too soon leaves the shards that it has written; the segment that it was at fails, and those that it
    had not begun are sent again.

    Args:
        cluster: ``slurm``, or ``local`` for processes of this machine; ``None`` for SLURM where it is found.
        jobs: of the array at most.
        minutes: after which the scheduler ends a job.
        cpus: of each, and threads of its model; ``None`` for as many threads as the model has in this process, so that
            scores are the same to the bit.
        gpus: of each.
        partition: of SLURM.
        parameters: others of submitit's executor, such as ``slurm_account``.

    Raises:
        ValueError: a number is out of range.
    """

    def __init__(
        self,
        cluster: str | None = None,
        jobs: int = 8,
        minutes: int = 60,
        cpus: int | None = None,
        gpus: int = 0,
        partition: str | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> None:
        self.cluster, self.jobs, self.minutes, self.cpus, self.gpus = cluster, jobs, minutes, cpus, gpus
        self.partition, self.parameters = partition, dict(parameters or {})
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        for name, least in (("jobs", 1), ("minutes", 1), ("cpus", 1), ("gpus", 0)):
            value = getattr(self, name)
            if not (is_whole(value) and value >= least):
                if name == "cpus" and value is None:
                    continue
                yield f"scoring.{name} must be a whole number of at least {least}, not {value!r}"

    def runs_on(self, device: torch.device, threads: int) -> tuple[str, int]:
        """See :class:`~mtal.scoring.engine.Engine`."""
        return "cuda" if self.gpus else "cpu", self.cpus or threads

    def score(self, segments: Sequence[Segment], work: Work, model: MultiTaskModel, tell: Tell) -> Iterator[Outcome]:
        """See :class:`~mtal.scoring.engine.Engine`."""
        if not segments:
            return
        threads = self.cpus or work.what.threads
        parcel = work.shards.folder / f"work-{work.shards.key}.pkl"
        parcel.write_bytes(work.packed(model))
        executor = self._executor(work.shards.folder / "jobs", threads)
        function = _Share(parcel, threads, self.gpus > 0)
        waiting, in_vain = list(segments), 0
        while waiting and in_vain < _IN_VAIN:
            any_done, waiting = yield from self._array(executor, function, waiting, work, tell)
            in_vain = 0 if any_done else in_vain + 1
        for segment in waiting:
            yield segment, RuntimeError(f"{_IN_VAIN} arrays of jobs ended one after the other, and none has scored")

    def _array(
        self,
        executor: submitit.AutoExecutor,
        function: _Share,
        segments: Sequence[Segment],
        work: Work,
        tell: Tell,
    ) -> Generator[Outcome, None, tuple[bool, list[Segment]]]:
        """Score in one array of jobs: was any scored, and which were not begun?"""
        shares = [segments[i :: self.jobs] for i in range(min(self.jobs, len(segments)))]
        running = list(zip(executor.map_array(function, shares), shares, strict=True))
        open_ = dict.fromkeys(segments)  # in their order
        any_done, not_begun = False, list[Segment]()
        try:
            while running:
                ended = [(job, share) for job, share in running if job.done()]
                running = [pair for pair in running if pair not in ended]
                for segment in work.shards.new(open_):
                    del open_[segment]
                    any_done = True
                    tell(len(segment))
                    yield segment, None
                for job, share in ended:
                    left = [s for s in share if s in open_]
                    errors = _errors(job, left)
                    for segment in left:
                        del open_[segment]
                        if segment in errors:
                            yield segment, errors[segment]
                        else:
                            not_begun.append(segment)
                if running:
                    time.sleep(_LOOKED_EVERY_S)
        finally:
            for job, _ in running:
                job.cancel()
        return any_done, sorted(not_begun, key=lambda segment: segment.start)

    def _executor(self, folder: Path, threads: int) -> submitit.AutoExecutor:
        executor = submitit.AutoExecutor(folder=folder, cluster=self.cluster)
        executor.update_parameters(
            timeout_min=self.minutes, cpus_per_task=threads, gpus_per_node=self.gpus, slurm_array_parallelism=self.jobs
        )
        if self.partition is not None:
            executor.update_parameters(slurm_partition=self.partition)
        executor.update_parameters(**self.parameters)
        return executor


class _Share:
    """What a job does: it scores some segments.

    Args:
        parcel: file of :meth:`~mtal.scoring.work.Work.packed`.
        threads: of the model.
        on_gpu: whether the model runs on the job's GPU.
    """

    def __init__(self, parcel: Path, threads: int, on_gpu: bool) -> None:
        self._parcel, self._threads, self._on_gpu = parcel, threads, on_gpu

    def __call__(self, segments: Sequence[Segment]) -> dict[Segment, Exception]:
        """Those that failed, and why."""
        worker = Worker(self._parcel.read_bytes(), torch.device("cuda" if self._on_gpu else "cpu"), self._threads)
        failed: dict[Segment, Exception] = {}
        for segment in segments:
            try:
                worker.do(segment)
            except Exception as error:  # noqa: BLE001  whoever asked decides whether it is tried again
                let_go(error)
                failed[segment] = error
        return failed


def _errors(job: submitit.Job[dict[Segment, Exception]], left: Sequence[Segment]) -> dict[Segment, Exception]:
    """Why segments of a job that has ended have no shard; of a job that ended too soon, the one that it was at.

    Args:
        job: that has ended.
        left: its segments without a shard, in their order.
    """
    ended = job.exception()
    if ended is not None:
        what = str(ended).strip().partition("\n")[0]
        return dict.fromkeys(left[:1], RuntimeError(f"job {job.job_id} ended before it was scored ({what})"))
    lost = RuntimeError(f"job {job.job_id} has scored it, and no shard is seen; is the run folder on a shared disk?")
    return dict.fromkeys(left, lost) | job.result()
