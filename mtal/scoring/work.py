"""What scoring a segment takes: the one function that every engine runs, wherever that is."""

from __future__ import annotations

import hashlib
import pickle
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pickle import PicklingError
from typing import Any
from uuid import uuid4

import cloudpickle
import numpy as np
import numpy.typing as npt
import torch
from joblib.hashing import NumpyHasher
from torch import Tensor

from mtal.acquisition import Acquisition
from mtal.models import MultiTaskModel
from mtal.models.determinism import deterministic
from mtal.scoring.column_files import Columns
from mtal.scoring.inputs import Inputs, fitting
from mtal.scoring.look import look_at
from mtal.scoring.neighbours import WithNeighbours
from mtal.scoring.pool_scores import Kept
from mtal.scoring.segments import Segment
from mtal.scoring.shards import Shards
from mtal.scoring.site_weights import SiteWeights
from mtal.tasks.task import Task

_FORMAT = 2  # raised whenever a shard would come out differently

Tell = Callable[[int], None]
"""Told of how many more frames are done."""


@dataclass(frozen=True)
class PoolPass:
    """What is looked at in a pass of the model over the pool, and what is asked of it.

    Args:
        tasks: heads to score.
        inputs: model inputs of all frames.
        positions: ``[N]`` candidates.
        acquisition: says which signals are wanted and what has to be kept.
        batch_size: frames at a time; ``None`` for as many as :func:`~mtal.scoring.inputs.fitting` says.
        class_weights: by task, ``[C]``, for aggregations that ask; a head that is not named weights all the same.
        temperatures: by task, of calibrated heads; 1 where not given.
        silent: heads without a label so far; signals see a shared gradient of 0 from these.
        site_weights: how much each site of a head counts; ``None`` counts all in full.
        seed: of the members' dropout masks.
        threads: that the model runs on; sums that are shared out among others differ in their last bits.
        deterministic: see :func:`~mtal.models.determinism.deterministic`.
    """

    tasks: Sequence[Task]
    inputs: Inputs
    positions: npt.NDArray[np.int64]
    acquisition: Acquisition
    batch_size: int | None = None
    class_weights: Mapping[str, Tensor] = field(default_factory=dict)
    temperatures: Mapping[str, float] = field(default_factory=dict)
    silent: Collection[str] = ()
    site_weights: SiteWeights | None = None
    seed: int = 0
    threads: int = field(default_factory=torch.get_num_threads)
    deterministic: bool = field(default_factory=torch.are_deterministic_algorithms_enabled)

    def columns(self, segment: Segment, model: MultiTaskModel, device: torch.device, tell: Tell) -> Columns:
        """Read, encode and score the frames of a segment. Nothing of it depends on other segments.

        Args:
            segment: of the candidates.
            model: scored in evaluation mode.
            device: where it runs.
            tell: told of every batch.
        """
        acquisition = self.acquisition
        positions = self.positions[segment.start : segment.stop]
        kept = Kept(acquisition, len(segment), self.silent)
        looks = look_at(
            model,
            self.tasks,
            self.inputs,
            positions,
            device,
            self.batch_size or fitting(self.inputs.batch(positions[:1])),
            wanted=acquisition.batch_needs | acquisition.pool_needs | acquisition.selector_needs,
            members=acquisition.measurement.members,
            class_weights=self.class_weights,
            temperatures=self.temperatures,
            site_weights=self.site_weights,
            seed=self.seed,
            first=segment.start,
            doing=None,
        )
        with torch.inference_mode():
            for look in looks:
                kept.keep(look)
                tell(len(look.shared))
        return kept.all()

    def key(self, model: MultiTaskModel, runs_on: tuple[str, int]) -> str:
        """A digest of all that a shard of this pass depends on, segment apart.

        Args:
            model: that looks.
            runs_on: see :meth:`~mtal.scoring.engine.Engine.runs_on`.

        What cannot be pickled, such as a signal that is defined within a function, has a key of its own at each call.
        """
        acquisition = self.acquisition
        weights = [(name, hashlib.sha256(_bytes(x)).digest()) for name, x in sorted(model.state_dict().items())]
        asked = (
            *(acquisition.measurement, acquisition.limits.cost, acquisition.limits.query.asks_all),
            sorted(acquisition.batch_needs | acquisition.pool_needs | acquisition.selector_needs),
        )
        options = (
            *(self.batch_size, {t: x.numpy(force=True) for t, x in self.class_weights.items()}),
            *(dict(self.temperatures), sorted(self.silent), self.site_weights, self.seed, self.deterministic),
        )
        content = (_FORMAT, weights, runs_on, self.inputs.key, self.positions, list(self.tasks), asked, options)
        try:
            return str(_Hasher("md5").hash(content))[:16]
        except (PicklingError, AttributeError, TypeError):
            return uuid4().hex[:16]


@dataclass(frozen=True)
class Work:
    """A pass over the pool, and where its shards go.

    Args:
        what: is looked at and asked.
        shards: what is there of it.
        device: where the model of the process that asks runs.
    """

    what: PoolPass
    shards: Shards
    device: torch.device

    def do(self, segment: Segment, model: MultiTaskModel, device: torch.device, tell: Tell = lambda done: None) -> None:
        """Score a segment and write its shard: all that an engine has to get done somewhere."""
        self.shards.write(segment, self.what.columns(segment, model, device, tell))

    def do_here(self, segment: Segment, model: MultiTaskModel, tell: Tell) -> None:
        """The same in the process that asks, which needs no file for it."""
        self.shards.pool.put(segment, self.what.columns(segment, model, self.device, tell))

    def packed(self, model: MultiTaskModel) -> bytes:
        """All of it for another process: no frames where these lie in files, and nothing of their neighbours."""
        here = model if self.device.type == "cpu" else deepcopy(model).cpu()  # any process has a CPU
        what = self.what
        if isinstance(what.inputs, WithNeighbours):
            what = replace(what, inputs=what.inputs.in_files(self.shards.folder, self.shards.key))
        content: bytes = cloudpickle.dumps((replace(self, what=what), here))
        return content


class Worker:
    """Does the work of another process in this one, which does nothing else.

    Args:
        packed: see :meth:`Work.packed`.
        device: where the model runs here.
        threads: of the model; as in the process that asks where ``None``.
    """

    def __init__(self, packed: bytes, device: torch.device, threads: int | None = None) -> None:
        self._work: Work
        self._work, self._model = cloudpickle.loads(packed)
        self._device = device
        torch.set_num_threads(threads or self._work.what.threads)

    def do(self, segment: Segment) -> None:
        """Score a segment and write its shard.

        Raises:
            Exception: what went wrong, such that the process that asks can read it; see :func:`sendable`.
        """
        try:
            with deterministic(self._work.what.deterministic):
                self._work.do(segment, self._model, self._device)
        except Exception as error:
            told = sendable(error)
            if told is error:
                raise
            raise told from None


def sendable(error: Exception) -> Exception:
    """The same error, or one that says the same where it would not come out of a pickle.

    What comes in its place else is a message about pickles, or the end of a pool of processes.
    """
    try:
        if type(pickle.loads(pickle.dumps(error))) is type(error):  # noqa: S301  our own
            return error
    except Exception:  # noqa: BLE001, S110  an error may do anything there
        pass
    told = RuntimeError(f"{type(error).__name__}: {error}")
    told.add_note("".join(traceback.format_exception(error)))
    return told


class _Hasher(NumpyHasher):
    """Of tensors the values: what torch pickles of one holds its address in memory, which no other process has."""

    def save(self, obj: Any) -> None:
        super().save(("tensor", obj.numpy(force=True)) if isinstance(obj, Tensor) else obj)


def _bytes(tensor: Tensor) -> Any:
    return np.ascontiguousarray(tensor.detach().cpu().numpy()).data
