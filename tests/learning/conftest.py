"""Experiments on the small data set."""

from pathlib import Path

import pytest
from miniature import surgery

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
