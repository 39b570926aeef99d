import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from miniature import surgery

from mtal.frames.cache import FrameArray
from mtal.learning.trainer_settings import TrainerSettings
from mtal.learning.training import fit
from mtal.scoring.inputs import FeatureInputs
from mtal.tasks.task import Task

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def benchmarks(monkeypatch):
    """Imports a module of ``scripts/benchmarks``."""
    monkeypatch.syspath_prepend(SCRIPTS)
    yield lambda name: import_module(f"benchmarks.{name}")
    for name in [n for n in sys.modules if n == "benchmarks" or n.startswith("benchmarks.")]:
        monkeypatch.delitem(sys.modules, name)


def test_the_bare_loop_ends_with_the_weights_that_lightning_ends_with(benchmarks, tmp_path):
    """Or the ratio of their times would be of two different things."""
    generator = np.random.default_rng(0)
    at, size = np.arange(6), (surgery.SIZE, surgery.SIZE)
    pixels = generator.integers(0, 256, (6, *size, 3), dtype=np.uint8)
    frames = FrameArray([pixels], np.zeros_like(at), at, size, key="benchmark")
    tasks = [Task(m) for m in surgery.LABEL_MAPS]
    model = surgery.make_model(tasks)
    features = FeatureInputs.compute(model, frames, tmp_path, torch.device("cpu"))
    training = benchmarks("training")
    targets = {t.name: training._labels(t, 6, surgery.SIZE, generator) for t in tasks}
    settings = TrainerSettings(steps=4, batch_size=4, accelerator="cpu")
    states = []
    for how in (training.bare_loop, fit):
        made = surgery.make_model(tasks)
        how(made, tasks, features, at, targets, settings)
        states.append(made.trained_state())
    for name, one in states[0].items():
        torch.testing.assert_close(one, states[1][name], rtol=1e-6, atol=1e-7)


def test_a_size_of_another_form_is_refused(benchmarks):
    with pytest.raises(SystemExit, match="FRAMESxFEATURES/PICKS, such as 2000x128/50, not 2000x128"):
        benchmarks("peers").arrays_of("2000x128", seed=0)


def test_patience_ends_the_turns(benchmarks, monkeypatch):
    """The first one, which warms up, counts where there is no other."""
    monkeypatch.syspath_prepend(SCRIPTS)
    benchmark = import_module("benchmark")
    calls = []
    taken = benchmark.by_both_clocks({"a": lambda: calls.append(0)}, 5)
    assert len(calls) == 6
    assert set(benchmark.by_both_clocks({"a": lambda: calls.append(0)}, 5, patience=0.0)) == set(taken)
    assert len(calls) == 7
