import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from composed import choices
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


def test_every_choice_of_a_stage_goes_through_a_round(benchmarks):
    """All but the bound that reads hidden labels; only selectors choose who reads what they are about."""
    rounds = benchmarks("round")
    named = {group: [name for name, _ in rounds.choices(group)] for group in rounds.GROUPS}
    assert named["selector"] == sorted({*choices("selector")} - {"hidden_label_bound"})
    assert all(named[group] == sorted(choices(group)) for group in rounds.GROUPS if group != "selector")


def test_a_round_of_stored_features_has_all_its_stages(benchmarks, tmp_path):
    one = benchmarks("one_round")
    one.write_pool(tmp_path, 400)
    found = one.measure(tmp_path, 10, ["acquisition.shortlist=100"])
    stages = {"index", "score", "fuse", "select", "write", "picks"}
    assert stages == found["seconds"].keys() == found["processor"].keys() == found["peaks"].keys()
    assert len(pd.read_parquet(tmp_path / "picked" / "scores.parquet")) == 400 - one.LABELLED
    assert found["written"] > 0


def test_the_list_of_two_stages_loses_something_that_is_measured(benchmarks):
    """Each measure falls with more picks, or it would measure nothing."""
    two = benchmarks("shortlist")
    x = two.jittered(torch.randn(30, 12, generator=torch.Generator().manual_seed(0)), 300)
    pool = two.candidates(x)
    for name, (selector, _, value) in two.cases(x).items():
        picks = selector(pool, 30, np.random.default_rng(0))
        few, many = value(pool, picks[:5]), value(pool, picks)
        assert (few < many) if name == "k_determinantal" else (few > many), name  # a volume per pick falls
