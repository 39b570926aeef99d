"""Experiments on the small data set, and one whole run."""

from pathlib import Path

import pytest
from miniature import surgery
from miniature.rounds import read

from mtal.annotation import SimulatedOracle
from mtal.learning.loop import Experiment
from mtal.learning.run_folder import RunFolder


@pytest.fixture(scope="session")
def experiment(dataset, frames, features):
    """Make an experiment, with whatever is to be different about it."""

    def make(**changes) -> Experiment:
        return surgery.make_experiment(
            changes.pop("dataset", dataset), frames, changes.pop("inputs", features), **changes
        )

    return make


@pytest.fixture(scope="session")
def start():
    """Run an experiment in a folder, opened as the launcher does it."""

    def run(made: Experiment, path: Path, seed: int = 0) -> dict[str, float]:
        folder = RunFolder(path)
        with folder.lock():
            folder.open({"seed": seed}, {}, made.dataset.index)
            return made.run(folder)

    return run


class SpyOracle(SimulatedOracle):
    """Keeps what it was asked."""

    def __init__(self, dataset):
        super().__init__(dataset)
        self.asked: list[list[str]] = []

    def label(self, frame_ids, size):
        self.asked.append(list(frame_ids))
        return super().label(frame_ids, size)


@pytest.fixture(scope="session")
def finished(dataset, frames, features, tmp_path_factory):
    """One whole run, with an oracle that keeps what it was asked."""
    path = tmp_path_factory.mktemp("finished") / "run"
    oracle = SpyOracle(dataset)
    told = []
    made = surgery.make_experiment(
        dataset,
        frames,
        features,
        oracle=oracle,
        listeners=[lambda folder, number: told.append((folder, number, read(folder, number)["round"]))],
    )
    folder = RunFolder(path)
    folder.open({}, {}, dataset.index)
    return path, oracle, told, made.run(folder)
