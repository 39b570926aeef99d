"""A model that looks at neighbouring frames: trained, gone on with, and used on recordings."""

import warnings

import pandas as pd
import pytest
from safetensors.torch import load_file

from mtal.learning.experiment import new_model, run_experiment
from mtal.selecting import Checkpoint


@pytest.fixture(autouse=True)
def no_bleeding():
    """Nobody labels any here, which is told in other tests."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="bleeding: no label so far")
        yield


@pytest.mark.slow
def test_whole_way(run, make, tmp_path):
    config = Checkpoint.read(run).config.copy()
    config.model.temporal, config.model.window = "tcn", 2
    config.loop.rounds = 0
    run_experiment(config, tmp_path / "run")
    config.loop.rounds = 1
    run_experiment(config, tmp_path / "run")
    first, second = (load_file(tmp_path / "run" / "rounds" / r / "model.safetensors") for r in ("00", "01"))
    assert first.keys() == second.keys()
    assert any(k.startswith("temporal.convolutions.") for k in first)
    assert make(tmp_path / "selection", budget=2, checkpoint=tmp_path / "run")
    table = pd.read_csv(next((tmp_path / "selection").rglob("*.csv")))
    assert len(table) == 2


def test_augmented_frames_among_frames_as_they_are(run):
    config = Checkpoint.read(run).config.copy()
    config.model.temporal, config.augment = "tcn", {"_target_": "mtal.learning.augmentation.Augmentation", "flip": True}
    with pytest.raises(ValueError, match=r"model\.temporal=tcn reads .*; set augment=none, or model\.temporal=none"):
        new_model(config, [])
