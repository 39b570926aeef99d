import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from threading import Barrier
from types import SimpleNamespace

import pytest
import torch

from mtal.scoring import local
from mtal.scoring.local import Local, in_processes
from mtal.scoring.segments import Segment
from mtal.scoring.shards import Shards

CPU = torch.device("cpu")
SEGMENTS = [Segment(i, i + 1, ("a",)) for i in range(6)]


@pytest.fixture
def work(tmp_path):
    return SimpleNamespace(shards=Shards(tmp_path, "k", 9), packed=lambda model: b"", device=CPU)


class Pool(ThreadPoolExecutor):
    """Threads in place of processes, that all end as soon as one does."""

    kills: frozenset[int] = frozenset()
    made = 0

    def __init__(self, workers, context, begin, given):
        super().__init__(workers)
        Pool.made += 1
        self.broken = False
        self.together = Barrier(workers)

    def submit(self, do, segment):
        if self.broken:
            raise BrokenProcessPool
        return super().submit(self.run, segment)

    def run(self, segment):
        beside = segment.start < 2 and self._max_workers == 2
        if beside:
            self.together.wait(5)  # the first two are at work at the same time
        if self.broken or segment.start in self.kills or (beside and self.kills & {0, 1}):
            self.broken = True
            raise BrokenProcessPool("terminated abruptly")
        if segment.start == 4:
            raise SystemExit(3)


@pytest.fixture
def score(work, monkeypatch):
    def run(*kills):
        monkeypatch.setattr(local, "ProcessPoolExecutor", Pool)
        monkeypatch.setattr(Pool, "kills", frozenset(kills))
        monkeypatch.setattr(Pool, "made", 0)
        done = []
        outcomes = list(in_processes(SEGMENTS, work, None, done.append, [CPU, CPU]))
        assert sorted(segment.start for segment, _ in outcomes) == list(range(6))
        errors = {segment.start: error for segment, error in outcomes if error is not None}
        assert sum(done) == 6 - len(errors)
        return errors

    return run


class TestProcesses:
    def test_an_error_that_is_no_exception_is_one(self, score):
        errors = score()
        assert str(errors.pop(4)) == "SystemExit(3)"
        assert not errors

    def test_only_the_segment_that_ends_its_process_fails(self, score):
        errors = score(0)
        assert set(errors) == {0, 4}
        assert str(errors[0]) == "terminated abruptly"

    def test_that_all_end_are_not_begun_for_ever(self, score):
        errors = score(*range(6))
        assert set(errors) == set(range(6))
        told = [str(error) for error in errors.values()]
        assert told.count("terminated abruptly") == 3
        assert told.count("3 processes that score ended one after the other, and none has scored") == 3
        assert Pool.made <= 5

    def test_end_with_their_parent(self, monkeypatch):
        ended = []
        monkeypatch.setattr(
            multiprocessing, "parent_process", lambda: SimpleNamespace(join=lambda: ended.append("parent"))
        )
        monkeypatch.setattr(os, "_exit", ended.append)
        monkeypatch.setattr(local, "Worker", lambda *given: None)
        monkeypatch.setattr(local, "_here", [])
        monkeypatch.setattr(local.threading, "Thread", Now)
        local._begin(SimpleNamespace(read_bytes=bytes), SimpleNamespace(get=lambda: CPU))
        assert ended == ["parent", 1]


class Now:
    """A thread that is done when it starts."""

    def __init__(self, target, daemon):
        assert daemon
        self.start = target


def test_an_error_that_is_kept_holds_no_batch(work):
    def read():
        batch = torch.zeros(2)
        raise OSError(batch.shape)

    def do(*given):
        other = torch.zeros(2)
        try:
            read()
        except OSError as error:
            raise ValueError(other.shape) from error

    work.do_here = do
    ((_, error),) = Local().score(SEGMENTS[:1], work, None, lambda done: None)
    for passed in (error, error.__cause__):
        assert passed.__traceback__.tb_next.tb_frame.f_locals == {}


def test_frames_of_a_segment_that_fails_are_told_back(work):
    """They are told again when it is tried again."""

    def do(segment, model, tell):
        tell(4)
        tell(4)
        if segment.start:
            raise OSError

    work.do_here = do
    told = []
    list(Local().score(SEGMENTS[:3], work, None, told.append))
    assert told == [4, 4, *[4, 4, -8] * 2]
