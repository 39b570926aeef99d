"""A small data set with all three heads, and the features of a small frozen encoder, made once."""

from pathlib import Path

import pytest
import torch
from miniature import surgery

from mtal.datasets.dataset import SurgicalDataset
from mtal.frames.cache import FrameArray, FrameCache
from mtal.learning.inputs import FeatureInputs
from mtal.learning.loop import Experiment
from mtal.learning.run_folder import RunFolder
from mtal.tasks.task import Task, build_tasks


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> SurgicalDataset:
    return surgery.write(tmp_path_factory.mktemp("surgery") / "set")


@pytest.fixture(scope="session")
def frames(dataset, tmp_path_factory) -> FrameArray:
    cache = FrameCache(tmp_path_factory.mktemp("frames"))
    return cache.get(dataset.index.table, (surgery.SIZE, surgery.SIZE), progress=False)


@pytest.fixture(scope="session")
def tasks(dataset) -> list[Task]:
    return build_tasks(dataset.label_maps, {m.task: {} for m in dataset.label_maps})


@pytest.fixture(scope="session")
def features(frames, tasks, tmp_path_factory) -> FeatureInputs:
    return FeatureInputs.compute(
        surgery.make_model(tasks), frames, tmp_path_factory.mktemp("features"), torch.device("cpu")
    )


@pytest.fixture(scope="session")
def targets(dataset, tasks):
    """Labels of every frame of the data set, by task."""
    size = (surgery.SIZE, surgery.SIZE)
    return {t.name: dataset.labels.targets(t.name, dataset.index.frame_ids, size) for t in tasks}


@pytest.fixture
def experiment(dataset, frames, features):
    """Make an experiment, with whatever is to be different about it."""

    def make(**changes) -> Experiment:
        return surgery.make_experiment(
            changes.pop("dataset", dataset), frames, changes.pop("inputs", features), **changes
        )

    return make


@pytest.fixture
def start():
    """Run an experiment in a folder, opened as the launcher does it."""

    def run(made: Experiment, path: Path, seed: int = 0) -> dict[str, float]:
        folder = RunFolder(path)
        with folder.lock():
            folder.open({"seed": seed}, {}, made.dataset.index)
            return made.run(folder)

    return run
