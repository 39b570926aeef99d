"""The pass over the pool: what is there already, what an engine has to do, and all of it put together."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition import Acquisition
from mtal.models import MultiTaskModel
from mtal.scoring.engine import Engine
from mtal.scoring.inputs import Inputs, ready
from mtal.scoring.local import Local
from mtal.scoring.pool_scores import PoolScores, pool_scores
from mtal.scoring.segments import Videos
from mtal.scoring.shards import Shards
from mtal.scoring.site_weights import SiteWeights
from mtal.scoring.tries import score_all
from mtal.scoring.work import PoolPass, Work
from mtal.tasks.task import Task


def score_pool(
    model: MultiTaskModel,
    tasks: Sequence[Task],
    inputs: Inputs,
    positions: npt.NDArray[np.int64],
    acquisition: Acquisition,
    device: torch.device,
    batch_size: int | None = None,
    *,
    class_weights: Mapping[str, Tensor] | None = None,
    temperatures: Mapping[str, float] | None = None,
    silent: Collection[str] = (),
    site_weights: SiteWeights | None = None,
    seed: int = 0,
    videos: Videos | None = None,
    engine: Engine | None = None,
    folder: Path | None = None,
) -> PoolScores:
    """Look at each candidate once.

    Candidates are scored by segments. What is kept of one (scores, gradient factors, pooled features, coarse
    posteriors) is a file of ``folder`` when it is whole, so a pass that was killed goes on with the segments that are
    not there; memory holds one segment at a time. The result is the same to the bit whatever the engine, the order of
    the segments and what was there before, on one kind of device.

    Args:
        model: scored in evaluation mode.
        tasks: see :class:`~mtal.scoring.work.PoolPass`, like all others that are not named here.
        inputs: model inputs of all frames.
        positions: ``[N]`` candidates.
        acquisition: says which signals are wanted and what has to be kept.
        device: where the model runs.
        batch_size: frames at a time; ``None`` for as many as :func:`~mtal.scoring.inputs.fitting` says.
        class_weights: by task, ``[C]``.
        temperatures: by task.
        silent: heads without a label so far.
        site_weights: how much each site of a head counts.
        seed: of the members' dropout masks.
        videos: whose frames the candidates are; of one video where ``None``.
        engine: who runs the segments; this process where ``None``.
        folder: where shards lie until the caller removes it; ``None`` for one that is gone with this call.

    Raises:
        UnscoredError: some segments failed, again and again; the others are in ``folder``.
    """
    ready(model, device)
    what = PoolPass(
        tasks,
        inputs,
        np.asarray(positions, dtype=np.int64),
        acquisition,
        batch_size,
        class_weights or {},
        temperatures or {},
        silent,
        site_weights,
        seed,
    )
    videos = videos or Videos(np.zeros(len(positions), dtype=np.int64), ["the frames"])
    with _kept_in(folder) as place:
        engine = engine or Local()
        key = what.key(model, engine.runs_on(device, what.threads))
        work = Work(what, Shards(place, key, len(positions)), device)
        segments = score_all(engine, videos.segments(), videos, work, model)
        return pool_scores(work.shards.together(segments), what.class_weights)


@contextmanager
def _kept_in(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with TemporaryDirectory() as passing:
        yield Path(passing)
