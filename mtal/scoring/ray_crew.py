"""Actors of Ray that score segments, one each at a time, and the loop that keeps them busy."""

from __future__ import annotations

import json
import logging
import os
import platform
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
import torch
from ray.exceptions import RayError, RayTaskError

from mtal.scoring.conduct import Conduct
from mtal.scoring.engine import Outcome
from mtal.scoring.segments import Segment
from mtal.scoring.work import Worker

_TOLD_AFTER_S = 30.0
_STORE_BYTES = 2**28  # models alone go through the object store
_STARTS = 3

_log = logging.getLogger(__name__)


class Crew:
    """The actors of one Ray job.

    Args:
        job: of Ray, as :func:`start` tells it.
        threads: of each actor's model, and CPUs that it takes.
        gpus: that it takes.
        shared: whether other runs may wait for what the actors take.
    """

    def __init__(self, job: str, threads: int, gpus: float, *, shared: bool = False) -> None:
        self.about = (job, threads, gpus)
        self._shared = shared
        self._takes = {"CPU": threads, "GPU": gpus}
        self._actors: list[Any] = []
        self._starting: list[Any] = []  # of these, who has never been ready
        self._late: list[Any] = []  # of those that start, whom the others no longer wait for
        self._idle: list[Any] = []
        self._doing: dict[Any, tuple[Any, Segment | None]] = {}  # what is waited for → who, and at which segment
        self._starts_failed = 0  # in a row
        self._ended_at = 0.0  # when something last has
        self._pass = ""
        self._conduct = Conduct()

    def score(self, segments: Sequence[Segment], packed: bytes, actors: int | None, key: str) -> Iterator[Outcome]:
        """See :class:`~mtal.scoring.engine.Engine`.

        Args:
            segments: to be scored.
            packed: see :meth:`~mtal.scoring.work.Work.packed`.
            actors: how many at most; ``None`` for as many as there is room for.
            key: of the pass, which may score some segments again.

        Raises:
            RuntimeError: Ray cannot start any, or no node is large enough for one.
        """
        if key != self._pass:
            self._actors = [actor for actor in self._actors if not self._conduct.stands_back(actor)]  # GPUs may be lost
            self._pass, self._conduct = key, Conduct()
        # within a list it is fetched once by each actor, and not at each call
        parcel = [ray.put(packed), str(Path.cwd())]
        self._starts_failed = 0
        self._refuse_what_fits_nowhere()
        while len(self._actors) < min(actors or self._room(), len(segments)):
            self._hire()
        self._idle, self._doing, self._ended_at = [], {}, time.monotonic()
        for actor in list(self._actors):
            self._greet(actor)
        waiting, left, any_failed = list(segments), len(segments), False
        while left:
            ended = self._ended()
            for done in ended:
                actor, segment = self._doing.pop(done)
                error = self._outcome(actor, done, segment)
                self._hand_out(waiting, parcel)  # before whoever asked takes in what is done: no actor waits for that
                if segment is not None:
                    left, any_failed = left - 1, any_failed or error is not None
                    yield segment, error
            if not ended and not self._at_work():
                self._late = list(self._starting)
                self._hand_out(waiting, parcel)
        if self._shared and not any_failed and not self._more_fit():  # what has failed is tried again, by them too
            self._let_go()
        for actor in self._actors:
            with suppress(Exception), stops_as_they_are():  # one that is lost is told when it is wanted
                actor.rest.remote()

    def _more_fit(self) -> bool:
        """Whether another actor of this size has room beside these, as one of another run."""
        free = ray.available_resources()  # of all nodes together, which may be too little on each
        return len(self._actors) < self._room() and all(free.get(kind, 0) >= x for kind, x in self._takes.items())

    def _let_go(self) -> None:
        for actor in self._actors:
            ray.kill(actor)
        self._actors, self._starting, self._late, self._idle = [], [], [], []

    def _at_work(self) -> bool:
        return any(segment is not None for _, segment in self._doing.values())

    def _hand_out(self, waiting: list[Segment], parcel: list[Any]) -> None:
        """Give those that have nothing to do a segment each, unless another should have what waits."""
        crew = [actor for actor in self._actors if actor not in self._late]
        for actor in list(self._idle):
            self._give(actor, self._conduct.choose(actor, waiting, crew), waiting, parcel)
        if not self._at_work() and all(actor in self._late for actor, _ in self._doing.values()):
            for actor in list(self._idle):  # each left it to another
                self._give(actor, next(iter(waiting), None), waiting, parcel)

    def _give(self, actor: Any, segment: Segment | None, waiting: list[Segment], parcel: list[Any]) -> None:
        if segment is None:
            return
        self._idle.remove(actor)
        try:
            with stops_as_they_are():
                asked = actor.score.remote(parcel, segment)
        except Exception as error:  # noqa: BLE001  of an actor that the cluster does not know, Ray raises no other
            self._replace(actor, error)
            return
        waiting.remove(segment)
        self._doing[asked] = (actor, segment)

    def _ended(self) -> list[Any]:
        ended: list[Any] = ray.wait(list(self._doing), timeout=_TOLD_AFTER_S)[0]
        if ended:
            self._ended_at = time.monotonic()
        elif all(actor in self._starting for actor, _ in self._doing.values()) and not self._idle:
            self._refuse_what_fits_nowhere()
            _log.warning(
                "no actor of Ray has started for %.0f s; each takes %s, and of %s in the cluster %s are free%s",
                *(time.monotonic() - self._ended_at, _counted(self._takes)),
                *(_counted(ray.cluster_resources()), _counted(ray.available_resources())),
                "" if self._fits() else ", but no node has as many, unless an autoscaler brings one",
            )
        return ended

    def _refuse_what_fits_nowhere(self) -> None:
        if self._fits() or (self._shared and _may_grow()):
            return
        nodes = _nodes()
        kinds = [kind for kind in ("GPU", "CPU") if self._takes[kind]]
        largest = max(nodes, key=lambda node: [node.get(kind, 0) for kind in kinds], default={})
        options = " and ".join(f"scoring.{kind.lower()}s" for kind in reversed(kinds))
        raise RuntimeError(
            f"no node of Ray can hold an actor, which takes {_counted(self._takes)} ({options}): the largest of "
            f"{len(nodes)} has {_counted(largest)}"
        )

    def _outcome(self, actor: Any, done: Any, segment: Segment | None) -> Exception | None:
        """What went wrong; the actor has nothing to do, or is replaced where it is dead."""
        try:
            ray.get(done)
        except RayTaskError as error:
            failed: Exception | None = error.cause if isinstance(error.cause, Exception) else error
        except RayError as error:  # of the actor, its node, or what Ray does for them: another takes its place
            self._replace(actor, error)
            what = str(error).strip().partition("\n")[0]
            return RuntimeError(f"Ray has lost the process that scored it ({what})")
        else:
            failed = None
        if actor in self._starting:
            self._starting.remove(actor)
            self._late = [other for other in self._late if other != actor]
            self._starts_failed = 0
        if segment is not None:
            self._conduct.note(actor, segment, failed=failed is not None)
        self._idle.append(actor)
        return failed

    def _replace(self, actor: Any, error: Exception) -> None:
        self._actors.remove(actor)
        if actor in self._starting:
            self._starting.remove(actor)
            self._starts_failed += 1
        if self._starts_failed < _STARTS:
            self._greet(self._hire())
        elif not self._actors:  # as long as one lives, it goes on
            raise RuntimeError(f"Ray cannot start actors that score: {error}") from error

    def _hire(self) -> Any:
        takes = {"num_cpus": self._takes["CPU"], "num_gpus": self._takes["GPU"]}
        actor = ray.remote(_Actor).options(**takes).remote(self._takes["CPU"], self._takes["GPU"] > 0)
        self._actors.append(actor)
        self._starting.append(actor)
        return actor

    def _greet(self, actor: Any) -> None:
        try:
            with stops_as_they_are():
                asked = actor.ready.remote()
        except Exception as error:  # noqa: BLE001  see above
            self._replace(actor, error)
        else:
            self._doing[asked] = (actor, None)

    def _room(self) -> int:
        """How many actors the nodes have room for, one at least."""
        return max(1, sum(map(self._fitting, _nodes())))

    def _fits(self) -> bool:
        return any(map(self._fitting, _nodes()))

    def _fitting(self, node: dict[str, float]) -> int:
        """How many actors a node has room for; a part of a GPU is of one GPU, and tenths are ten to a GPU."""
        return min(
            int(node.get(kind, 0)) * int(1 / each + 1e-6) if each < 1 else int(node.get(kind, 0) / each + 1e-6)
            for kind, each in self._takes.items()
            if each
        )


class _Actor:
    """Scores segments in a process of its own.

    Args:
        threads: of the model.
        on_gpu: whether the model runs on the GPU that Ray gave this actor.
    """

    def __init__(self, threads: int, on_gpu: bool) -> None:
        self._threads = threads
        self._device = torch.device("cuda" if on_gpu else "cpu")
        self._worker: Worker | None = None
        self._parcel: Any = None

    def ready(self) -> None:
        """There."""

    def score(self, parcel: list[Any], segment: Segment) -> None:
        """Score a segment with what is in the parcel, and write its shard.

        Args:
            parcel: the work, and the folder that its paths start from.
            segment: to be scored.

        Raises:
            OSError: that folder is not to be had here.
        """
        if self._worker is None or parcel[0] != self._parcel:
            _enter(parcel[1])
            self._worker, self._parcel = Worker(ray.get(parcel[0]), self._device, self._threads), parcel[0]
        self._worker.do(segment)

    def rest(self) -> None:
        """Let go of the model."""
        self._worker = self._parcel = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _enter(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        raise OSError(
            f"{folder}, where the run was started, can't be entered on {platform.node()} ({error.strerror}): it and "
            "the run folder have to be on a disk that all nodes see"
        ) from error


@contextmanager
def stops_as_they_are() -> Iterator[None]:
    """What a handler of signals raises while Ray's compiled code waits comes out as it went in.

    Cython makes a ``SystemError`` of it, which would be told as a fault and not end the program.

    Raises:
        BaseException: no ``Exception``, such as :class:`~mtal.launch.interruption.Stopped`.
    """
    try:
        yield
    except SystemError as error:
        cause = error.__cause__
        while isinstance(cause, SystemError):  # one for each compiled function on the way
            cause = cause.__cause__
        if cause is None or isinstance(cause, Exception):
            raise
        raise cause from None


def start(address: str | None) -> str:
    """Start Ray, or join the cluster at ``address``; the job that this process is, which may have begun before.

    Jobs of each Ray are counted from the first, so the node that the process is at belongs to it.

    Raises:
        ConnectionError: there is no cluster at ``address``.
    """
    if not ray.is_initialized():
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what will be; without it a warning
        here: dict[str, Any] = {} if address else {"object_store_memory": _STORE_BYTES, "include_dashboard": False}
        on_end = signal.getsignal(signal.SIGTERM)
        ray.init(address or "local", log_to_driver=False, logging_level=logging.WARNING, **here)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_end)  # Ray's own would end the program with a code that is not SIGTERM's
    context = ray.get_runtime_context()
    return f"{context.get_node_id()} {context.get_job_id()}"


def _nodes() -> list[dict[str, float]]:
    """What each node that lives has."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _may_grow() -> bool:
    """Whether an autoscaler may bring larger nodes to a cluster; where that cannot be told, it may."""
    try:
        from ray._private.state import state  # noqa: PLC0415  Ray's own affair, like the name and form of what is told
        from ray.experimental.internal_kv import _internal_kv_get  # noqa: PLC0415

        kinds = json.loads(_internal_kv_get("__autoscaling_status"))["autoscaler_report"]["active_nodes"]
        by_hand = all(kind.startswith("node_") for kind in kinds)  # kinds of an autoscaler have names
        return not by_hand or state.get_cluster_config() is not None
    except Exception:  # noqa: BLE001  what is told differs between versions
        return True


def _counted(resources: dict[str, float]) -> str:
    return " and ".join(f"{resources[kind]:g} {kind}" for kind in ("CPU", "GPU") if resources.get(kind)) or "nothing"
