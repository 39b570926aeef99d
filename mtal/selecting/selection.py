"""Frames of recordings that a trained model asks labels for, and what it believes of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from omegaconf import DictConfig, OmegaConf

from mtal.acquisition import Acquisition, Evidence
from mtal.annotation.reason import reason
from mtal.datasets.dataset import SurgicalDataset
from mtal.frames.bounded_folder import BoundedFolder
from mtal.frames.cache import FrameArray, FrameCache
from mtal.frames.window import Windows
from mtal.learning.checks import check_acquisition
from mtal.learning.experiment import augmented, new_model, relate
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.made import made, refuse_inside
from mtal.learning.measured import recall_cost
from mtal.learning.out_of_fold import out_of_fold
from mtal.learning.picking import Picker
from mtal.learning.picks import Picks, annotated, picks_table, said_on_frame
from mtal.learning.reference import Reference, first_scores
from mtal.learning.round import Round
from mtal.learning.seeds import integer_seed
from mtal.learning.standing import Standing, needs_out_of_fold, past_rounds, standing
from mtal.learning.trainer_settings import TrainerSettings
from mtal.models import MultiTaskModel
from mtal.refusals import Refusals
from mtal.scoring.engine import Engine
from mtal.scoring.inputs import FeatureInputs, FrameInputs, Inputs
from mtal.scoring.look import look_at
from mtal.scoring.neighbours import with_neighbours
from mtal.scoring.site_weights import AskedSites
from mtal.selecting.checkpoint import Checkpoint
from mtal.selecting.recordings import NEEDS_NONE, Recordings, with_labelled
from mtal.tasks.task import Task, build_tasks


@dataclass(frozen=True)
class Selection:
    """Picked frames in order of choice, and the model that picked them.

    Attributes:
        table: a row per pick: ``order, frame_id, patient, video, frame, time_s, file, utility, source, reason``, a
            column ``score/<task>/<signal>`` and ``percentile/<task>/<signal>`` for each score, ``predicted/<task>`` in
            words.
        tasks: the heads.
        asked: which of them each pick is asked for, ``[n, T]``.
        pixel_tasks: those of which there are masks.
    """

    table: pd.DataFrame
    tasks: Sequence[Task]
    asked: npt.NDArray[np.bool_]
    _model: MultiTaskModel
    _inputs: Inputs
    _positions: np.ndarray
    _device: torch.device
    _windows: Windows | None

    @property
    def pixel_tasks(self) -> list[Task]:
        """Heads that say something of each pixel."""
        return [t for t in self.tasks if t.support == "pixel"]

    def masks(self, order: int, size: tuple[int, int]) -> dict[str, np.ndarray]:
        """What the pixel heads say of one pick, whose frame is of ``size`` (H, W).

        See :func:`~mtal.learning.picks.said_on_frame`.
        """
        at = int(self._positions[order])
        return said_on_frame(self._model, self.pixel_tasks, self._inputs, at, size, self._device, self._windows)


class Options(NamedTuple):
    """What is made of the options that need no recordings."""

    acquisition: Acquisition
    trainer: TrainerSettings
    engine: Engine


def options_of(config: DictConfig) -> Options:
    """All that needs no recordings, once everything that is wrong with it has been told.

    Raises:
        ValueError: options are wrong.
        InstantiationException: there is no such object or option.
    """
    refusals = Refusals()
    with refusals:
        acquisition: Acquisition = made(config.acquisition)
    with refusals:
        trainer: TrainerSettings = made(config.trainer)
    with refusals:
        engine: Engine = made(config.scoring)
    refuse_inside(config.data, refusals)
    refusals.tell(what="wrong options")
    return Options(acquisition, trainer, engine)


def select(config: DictConfig, checkpoint: Checkpoint, budget: int, scored: Path | None = None) -> Selection:
    """Pick frames of the recordings ``config.data`` as the run of ``checkpoint`` would pick its next batch.

    Args:
        config: the run's, with its data and, perhaps, its acquisition replaced.
        checkpoint: the trained model and what it has learnt from.
        budget: frames to pick.
        scored: folder of the cache where the scores of segments lie until the caller removes it, so that a selection
            that was killed goes on, and for a while tables of the whole pool; ``None`` for where the system has passing
            files, which may be small.

    Raises:
        ValueError: there are fewer frames, or the acquisition needs what recordings without labels cannot give.
        FileNotFoundError: recordings, encoder weights, or labelled frames that the acquisition looks at are missing.
    """
    acquisition, trainer, engine = options_of(config)
    _refuse_unserved(config, acquisition)
    device = trainer.device()
    dataset: SurgicalDataset = made(config.data)
    tasks = build_tasks(dataset.label_maps, _plain(config.tasks.heads))
    relate(acquisition, tasks)
    check_acquisition(config, acquisition, tasks)
    recall_cost(acquisition, checkpoint.folder.round_path(checkpoint.number))
    _warn_of_tested(dataset, checkpoint)
    recordings = with_labelled(dataset, checkpoint.labelled(), acquisition)
    if budget > recordings.candidates:
        raise ValueError(
            f"budget={budget}, but there are {recordings.candidates} frames to choose from; lower it, or look at more "
            "frames of each video, as with data.sampler.rate_hz=2"
        )
    model = checkpoint.model(tasks)
    bound = _bound(config)
    if scored is not None:
        bound.use([scored])
        scored.mkdir(parents=True, exist_ok=True)
    frames = _frames(config, recordings, bound)
    inputs = _inputs(config, model, recordings, frames, device, bound)
    picker = Picker(recordings.dataset, inputs, tasks, acquisition, device, config.seed, frames.windows, engine=engine)
    number = checkpoint.number + 1
    labels = checkpoint.labels(tasks)
    known = Standing(Evidence({}), silent=tuple(task for task, some in annotated(tasks, labels).items() if not some))
    if acquisition.reads_the_pool:
        known = _standing(config, checkpoint, recordings, labels, acquisition, tasks, inputs, trainer)
    with TemporaryDirectory(dir=scored) as unused:  # tables of the whole pool, which a run keeps for its later rounds
        asked = Round(
            number,
            budget,
            checkpoint.folder,
            Path(unused),
            recordings.labelled,
            known,
            _reference(checkpoint, acquisition, tasks),
            shards=scored,
            labelled_elsewhere=recordings.elsewhere,
        )
        picks = picker.pick(model, asked)
    positions = pd.Index(recordings.dataset.index.table["frame_id"]).get_indexer(pd.Index(picks.frame_ids))
    table = _table(recordings.dataset, picks, known)
    shown = AskedSites(windows=None if frames.windows is None else frames.windows[positions])
    temperatures = known.temperatures
    looks = look_at(
        model, tasks, inputs, positions, device, temperatures=temperatures, site_weights=shown, doing="Predicting"
    )
    said = pd.DataFrame([words for look in looks for words in _in_words(tasks, look.heads)])
    for task in known.silent:
        said[f"predicted/{task}"] = "not learnt: no label so far"
    asked_for = np.ones((len(table), len(tasks)), dtype=bool) if picks.asked is None else picks.asked[picks.rows]
    table = pd.concat([table, said], axis=1)
    return Selection(table, tasks, asked_for, model, inputs, positions, device, frames.windows)


def _warn_of_tested(dataset: SurgicalDataset, checkpoint: Checkpoint) -> None:
    """A label of a patient whom the run tests on would be lost to it."""
    index = dataset.index
    lost = sorted(checkpoint.tested_patients() & set(index.names("patient", index.pool)))
    if lost:
        warnings.warn(
            f"{checkpoint.folder.path} tests on {len(lost)} of these patients and never learns from their frames: "
            f"leave them out with 'data.test_patients=[{', '.join(lost)}]'",
            stacklevel=2,
        )


def _refuse_unserved(config: DictConfig, acquisition: Acquisition) -> None:
    """Refuse what a trained model and recordings without labels cannot give."""
    needs = acquisition.batch_needs | acquisition.pool_needs | acquisition.selector_needs
    for need, lacking, why in (
        ("previous", True, "forgetting compares a frame's answers in earlier rounds, and new recordings were in none"),
        ("hidden", True, "hidden_label_bound reads labels that nobody has given: it is a bound for simulations"),
        ("predicted_loss", not config.model.loss_prediction, "the model of the checkpoint predicts no losses"),
        ("members", config.model.dropout == 0, "members are dropout members, and the model of the checkpoint has none"),
    ):
        if need in needs and lacking:
            raise ValueError(f"acquisition: {why}; choose other signals or another selector, such as {NEEDS_NONE}")


def _bound(config: DictConfig) -> BoundedFolder:
    limit = None if config.cache_limit_gib is None else round(config.cache_limit_gib * 2**30)
    return BoundedFolder(Path(config.cache), limit)


def _frames(config: DictConfig, recordings: Recordings, bound: BoundedFolder) -> FrameArray:
    """Fitted as those that the run has learnt from; runs before there was a choice stretched them, and used PyAV."""
    cache = FrameCache(Path(config.cache) / "frames", bound, backend=config.frames.get("backend", "pyav"))
    fit = config.frames.get("fit", "stretch")
    return cache.get(recordings.dataset.index.table, tuple(config.frames.image_size), fit=fit)


def _inputs(
    config: DictConfig,
    model: MultiTaskModel,
    recordings: Recordings,
    frames: FrameArray,
    device: torch.device,
    bound: BoundedFolder,
) -> Inputs:
    inputs: Inputs = FrameInputs(frames)
    if config.encoder.frozen:
        inputs = FeatureInputs.compute(model, frames, Path(config.cache) / "features", device, bound=bound)
    inputs = augmented(config, inputs, model, frames, bound)
    return with_neighbours(model, inputs, recordings.dataset.index.table, device)


def _standing(
    config: DictConfig,
    checkpoint: Checkpoint,
    recordings: Recordings,
    labels: Mapping[str, np.ndarray],
    acquisition: Acquisition,
    tasks: Sequence[Task],
    inputs: Inputs,
    trainer: TrainerSettings,
) -> Standing:
    """Where the heads stand on the frames that the run has labelled."""
    validated = None
    if needs_out_of_fold(acquisition):
        table = recordings.dataset.index.table
        positions = pd.Index(table["frame_id"]).get_indexer(pd.Index(recordings.labelled))
        loop = LoopSettings.of(_plain(config.loop))
        validated = out_of_fold(
            partial(new_model, config, tasks),
            tasks,
            inputs,
            positions,
            labels,
            trainer,
            folds=loop.folds,
            groups=[table[kind].to_numpy()[positions] for kind in ("patient", "video")],
            weighting=config.tasks.weighting,
            seed=integer_seed(config.seed, checkpoint.number + 1, "folds"),
            steps=loop.steps_per_fold(checkpoint.folder, trainer),
        )
    return standing(acquisition, tasks, labels, validated, past_rounds(checkpoint.folder))


def _reference(checkpoint: Checkpoint, acquisition: Acquisition, tasks: Sequence[Task]) -> Reference | None:
    """What the run froze its statistics by; ``None`` for statistics of the recordings."""
    if not acquisition.blend.frozen_statistics or not acquisition.reads_the_pool:
        return None
    found, wanted = first_scores(checkpoint.folder), acquisition.measurement.columns([t.name for t in tasks])
    missing = [column for column in wanted if found is None or column not in found.table.columns]
    if found is None or missing:
        task, signal = missing[0]
        warnings.warn(
            f"acquisition.frozen_statistics: {checkpoint.folder.path} never scored {task}/{signal}, so scores are "
            "normalised by the statistics of these recordings",
            stacklevel=2,
        )
        return None
    return Reference(found.table.only(wanted))


def _table(dataset: SurgicalDataset, picks: Picks, known: Standing) -> pd.DataFrame:
    rows = dataset.index.select(picks.frame_ids)
    if picks.table is not None:  # scores of a head that has learnt nothing tell nothing
        picks = replace(picks, table=picks.table.only([c for c in picks.table.columns if c[0] not in known.silent]))
    table = picks_table(rows, {}, [], picks)
    table["source"] = rows["source"]
    table["reason"] = [reason(row) for row in table.to_dict("records")]
    return table.drop(columns=table.filter(like="reason_").columns)


def _in_words(tasks: Sequence[Task], heads: Any) -> Iterator[dict[str, str]]:
    """What each head says of each frame of a batch, the surest first."""
    shares = {}
    for task in tasks:
        probs = heads[task.name].probs.float().cpu()  # [n, S, C]
        if task.support == "pixel":  # share of the picture
            shown = probs > 0.5
            if task.family == "categorical":
                shown = torch.nn.functional.one_hot(probs.argmax(dim=2), len(task.classes))
            on_frame = heads[task.name].site_weights.float().cpu().unsqueeze(2)  # [n, S, 1], 0 on bars beside the frame
            probs = (shown.float() * on_frame).sum(dim=1, keepdim=True) / on_frame.sum(dim=1, keepdim=True)  # [n, 1, C]
        shares[task.name] = probs[:, 0].numpy()  # [n, C]
    for i in range(len(next(iter(shares.values())))):
        yield {f"predicted/{t.name}": _said(t, shares[t.name][i]) for t in tasks}


def _said(task: Task, shares: np.ndarray) -> str:  # [C]
    if task.family == "categorical" and task.support == "frame":
        shown = [int(shares.argmax())]
    else:
        least = 0.5 if task.support == "frame" else 0.005
        shown = [c for c in np.argsort(-shares, kind="stable") if shares[c] >= least]
    return ", ".join(f"{task.classes[c]} {100 * shares[c]:.0f} %" for c in shown) or "none"


def _plain(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True)
