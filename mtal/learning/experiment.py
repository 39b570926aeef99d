"""From a configuration to an experiment: the only place that knows both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from mtal.acquisition import Acquisition, CrossTaskInconsistency
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.patient_folds import hold_out_fold
from mtal.frames.bounded_folder import BoundedFolder
from mtal.frames.cache import FrameArray, FrameCache
from mtal.frames.window import Windows, of_rows
from mtal.learning.augmentation import Augmentation
from mtal.learning.checks import check_acquisition, warn_of_sides
from mtal.learning.loop import Experiment, RoundListener
from mtal.learning.made import made
from mtal.learning.options import encoder_options, options_of, plain, refuse_neighbours_of_views
from mtal.learning.run_folder import RunFolder
from mtal.learning.seeds import integer_seed
from mtal.learning.trainings import Trainings
from mtal.learning.views import AugmentedInputs, CachedViews
from mtal.models import MultiTaskModel, build_encoder
from mtal.models.determinism import deterministic
from mtal.scoring.inputs import FeatureInputs, FrameInputs, Inputs
from mtal.scoring.neighbours import with_neighbours
from mtal.tasks.task import Task, build_tasks


def build_experiment(
    config: DictConfig,
    listeners: Sequence[RoundListener] = (),
    check: Callable[[SurgicalDataset, Sequence[Task]], object] | None = None,
    check_encoder: Callable[[Mapping[str, Any]], object] | None = None,
) -> Experiment:
    """Everything that ``config`` names, put together. Cheap checks come first, decoding and encoding last.

    Args:
        config: the composed configuration.
        listeners: told of every round that completes.
        check: looks at frames and heads before anything is decoded.
        check_encoder: looks at what the encoder is before anything is encoded.
    """
    options = options_of(config)
    loop, trainer, acquisition = options.loop, options.trainer, options.acquisition
    dataset: SurgicalDataset = made(config.data)
    if loop.fold is not None:
        dataset = hold_out_fold(dataset, loop.fold, loop.test_folds)
    tasks = build_tasks(dataset.label_maps, plain(config.tasks.heads))
    if check is not None:
        check(dataset, tasks)
    splits = dataset.index.table["split"].value_counts()
    loop.first(int(splits.get("pool", 0)))
    val_frames = int(splits.get("val", 0))
    loop.stop.check(acquisition, val_frames)
    trainer.check(val_frames)
    relate(acquisition, tasks)
    check_acquisition(config, acquisition, tasks)
    warn_of_sides(made(config.augment), tasks)
    model = new_model(config, tasks)
    if check_encoder is not None:
        check_encoder(model.encoder.description)
    bound = BoundedFolder(config.cache, _bytes(config.cache_limit_gib))
    cache = FrameCache(Path(config.cache) / "frames", bound, backend=config.frames.backend)
    frames = cache.get(dataset.index.table, tuple(config.frames.image_size), fit=config.frames.fit)
    dataset = seen_through(dataset, frames.windows)
    inputs: Inputs = FrameInputs(frames)
    if config.encoder.frozen:
        inputs = FeatureInputs.compute(model, frames, Path(config.cache) / "features", trainer.device(), bound=bound)
    inputs = augmented(config, inputs, model, frames, bound)
    inputs = with_neighbours(model, inputs, dataset.index.table, trainer.device())
    return Experiment(
        dataset=dataset,
        frames=frames,
        inputs=inputs,
        tasks=tasks,
        make_model=partial(deepcopy, model),  # building one anew takes longer than many a training step
        acquisition=acquisition,
        oracle=options.oracle(dataset=dataset),
        loop=loop,
        trainer=trainer,
        weighting=config.tasks.weighting,
        evaluation=options.evaluation,
        seed=config.seed,
        listeners=listeners,
        encoder=model.encoder.description,
        engine=options.engine,
        trainings=Trainings(bound),
    )


def augmented(
    config: DictConfig, inputs: Inputs, model: MultiTaskModel, frames: FrameArray, bound: BoundedFolder
) -> Inputs:
    """``inputs``, of which training sees the views that ``config`` wants."""
    augmentation: Augmentation = made(config.augment)
    if augmentation.is_none:
        return inputs
    cache = None
    if isinstance(inputs, FeatureInputs):
        root = Path(config.cache) / "features"
        cache = CachedViews(inputs, model, frames, augmentation, config.seed, root, bound)
    return AugmentedInputs(inputs, augmentation, config.seed, cache)


def run_experiment(
    config: DictConfig,
    path: Path,
    listeners: Sequence[RoundListener] = (),
    on_start: Callable[[Experiment, int], None] | None = None,
    check: Callable[[Experiment], object] | None = None,
) -> dict[str, float]:
    """Run, or go on with, the experiment of ``config`` in the folder ``path``.

    Args:
        config: the composed configuration.
        path: the run folder.
        listeners: told of every round that completes.
        on_start: told of the experiment and of the number of rounds that are there already, before the first round.
        check: may refuse the experiment before anything is written into the folder.

    Returns:
        Metrics of the last round.

    Raises:
        ValueError: the configuration contradicts itself, the data or what the folder holds.
        FileNotFoundError: a data root or file of weights is missing.
    """
    folder = RunFolder(path)
    with folder.lock(), deterministic(config.trainer.get("deterministic") is True):
        folder.refuse_other(plain(config))  # what is cheap to compare is compared before anything is decoded
        experiment = build_experiment(
            config,
            listeners,
            lambda data, tasks: folder.refuse_others(describe_tasks(tasks), data.index),
            folder.refuse_other_encoder,
        )
        if check is not None:
            check(experiment)
        complete = folder.open(
            plain(config),
            describe_tasks(experiment.tasks),
            experiment.dataset.index,
            experiment,
            corrected=experiment.oracle.asks_people,
        )
        if on_start is not None:
            on_start(experiment, complete)
        return experiment.run(folder)


def describe_tasks(tasks: Sequence[Task]) -> dict[str, Any]:
    """``tasks.json``: what a reader of the run folder needs to know of each head."""
    return {
        t.name: {
            "family": t.family,
            "support": t.support,
            "classes": list(t.classes),
            "colors": [list(c) for c in t.label_map.colors],
        }
        for t in tasks
    }


def seen_through(dataset: SurgicalDataset, windows: Windows | None) -> SurgicalDataset:
    """The data set with masks at the model's size cut as its pictures are, ``[N, 4]`` in the order of its index."""
    if windows is None:
        return dataset
    by_frame = dict(zip(dataset.index.frame_ids, of_rows(windows, range(len(windows))), strict=True))
    return replace(dataset, labels=dataset.labels.seen_through(by_frame))


def relate(acquisition: Acquisition, tasks: Sequence[Task]) -> None:
    """Tell the signals that compare heads which classes mean the same."""
    for signal in acquisition.measurement.signals.values():
        if isinstance(signal, CrossTaskInconsistency):
            signal.relate({t.name: (t.support, t.classes) for t in tasks})


def new_model(config: DictConfig, tasks: Sequence[Task]) -> MultiTaskModel:
    """The model of ``config`` with the same initial weights at each call, so that a cold restart is one."""
    refuse_neighbours_of_views(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(integer_seed(config.seed, 0, "weights"))
        encoder = build_encoder(**encoder_options(config), image_size=tuple(config.frames.image_size))
        return MultiTaskModel(encoder, tasks, frozen=config.encoder.frozen, **plain(config.model))


def _bytes(gib: float | None) -> int | None:
    return None if gib is None else round(gib * 2**30)
