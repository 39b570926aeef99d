"""Runs on a device beside the CPU (``tests/second_device.py``): every move and every mixture is crossed."""

import shutil
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import lightning
import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from miniature import surgery
from second_device import DEVICE, host_alone

from mtal.acquisition.round_warning import RoundWarning
from mtal.launch import register
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.run_folder import RunFolder
from mtal.learning.trainer_settings import TrainerSettings
from mtal.learning.training import MultiTaskModule
from mtal.learning.unlabelled_settings import Propagation, PseudoLabelling
from mtal.models.determinism import deterministic
from mtal.scoring.inputs import FrameInputs
from mtal.scoring.pool import score_pool

CONFIGS = Path(__file__).parents[2] / "configs"
STRATEGIES = sorted(path.stem for path in (CONFIGS / "strategy").glob("*.yaml"))
HERE = TrainerSettings(steps=1, batch_size=4, accelerator="cpu", restart="warm")
THERE = replace(HERE, strategy="second")
REMEMBER = ("bandit_mean", "slope_mean")
"""They choose by what earlier rounds brought, and get a third."""


@pytest.fixture(scope="module")
def strategy():
    """The acquisition of a named strategy, composed as the command line does it."""
    register()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        yield lambda name: instantiate(compose("config", overrides=[f"strategy={name}"]).acquisition)


@pytest.fixture
def run(experiment, start, tmp_path):
    """Run an experiment, or go on with it; gives the picks of its rounds."""

    def go(acquisition, rounds=2, trainer=HERE, name="run", **changes):
        loop = LoopSettings(6, 4, rounds, folds=2)
        start(experiment(acquisition=acquisition, trainer=trainer, loop=loop, **changes), tmp_path / name)
        return [
            pd.read_parquet(path / "picks.parquet")["frame_id"]
            for path in sorted((tmp_path / name / "rounds").iterdir())
        ]

    return go


@pytest.fixture
def there(second_device, monkeypatch):
    """Scoring and evaluation run on the second device; gives where models lay that scored and were trained."""
    lay: dict[str, list[set[torch.device]]] = {"scored": [], "trained": []}

    def score(model, *args, **options):
        scores = score_pool(model, *args, **options)
        lay["scored"].append({p.device for p in model.parameters()})
        return scores

    def train(module, *args):
        assert not any(p.is_inference() for p in module.parameters())
        lay["trained"].append({p.device for p in module.parameters()})
        return step(module, *args)

    def fit(trainer, *args):
        with nullcontext() if trainer.strategy.root_device == second_device else host_alone():
            whole_fit(trainer, *args)

    step, whole_fit = MultiTaskModule.training_step, lightning.Trainer.fit
    monkeypatch.setattr(lightning.Trainer, "fit", fit)
    monkeypatch.setattr(TrainerSettings, "device", lambda self: second_device)
    monkeypatch.setattr("mtal.learning.looking.score_pool", score)
    monkeypatch.setattr(MultiTaskModule, "training_step", train)
    return lay


@pytest.fixture(scope="module")
def begun(dataset, frames, features, tmp_path_factory):
    """A run after round 0, which no strategy but those with a cold start of their own touches."""
    path = tmp_path_factory.mktemp("begun") / "run"
    folder = RunFolder(path)
    folder.open({"seed": 0}, {}, dataset.index)
    surgery.make_experiment(dataset, frames, features, loop=LoopSettings(6, 4, 0), trainer=HERE).run(folder)
    return path


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_runs_two_rounds(name, strategy, begun, run, there, tmp_path):
    """Warm, so that the second goes on from the weights that scored for it."""
    if not name.startswith("typical_"):
        shutil.copytree(begun, tmp_path / "run")
    acquisition = strategy(name)
    rounds = 2 if name in REMEMBER else 1
    wide = name == "random_with_gap"  # for recordings as short as these
    with pytest.warns(RoundWarning, match="10 s away from") if wide else nullcontext():
        picks = run(acquisition, rounds)
    assert [len(p) for p in picks] == [6, 4, 4][: rounds + 1]
    assert pd.concat(picks).is_unique
    assert there["scored"] == [{DEVICE}] * (rounds if acquisition.reads_the_pool else 0)


@pytest.mark.parametrize(("name", "frozen"), [("shared_badge", False), ("headroom_mean", True)])
def test_the_whole_run_picks_as_on_the_cpu(name, frozen, strategy, run, there, frames, features, tasks, monkeypatch):
    """Training lies there too, from images with a free encoder, and all of it has deterministic kernels."""
    parts = {
        "inputs": features if frozen else FrameInputs(frames),
        "make_model": partial(surgery.make_model, tasks, frozen=frozen),
        "rounds": 1,
    }
    with deterministic():
        picks = run(strategy(name), trainer=replace(THERE, deterministic=True), **parts)
    assert {DEVICE} in there["trained"]
    monkeypatch.undo()
    for a, b in zip(picks, run(strategy(name), name="cpu", **parts), strict=True):
        assert a.tolist() == b.tolist()


def test_what_nobody_labelled_is_learnt_as_on_the_cpu(run, there, tmp_path):
    """Pseudo-labels of a teacher on the second device, and masks that were carried on the CPU."""
    kinds = {
        "pseudo_labels": PseudoLabelling(1.0, threshold=0.51, frames=8),
        "propagation": Propagation(1.0, neighbours=1),
    }
    run(surgery.make_acquisition(), rounds=1, trainer=replace(THERE, **kinds), name="there")
    with pytest.MonkeyPatch.context() as back:
        back.setattr(TrainerSettings, "device", lambda self: torch.device("cpu"))
        run(surgery.make_acquisition(), rounds=1, trainer=replace(HERE, **kinds), name="here")
    assert {DEVICE} in there["trained"]
    for name in ("pseudo_labels", "propagated"):
        here, beside = (pd.read_parquet(tmp_path / f"{where}/rounds/01/{name}.parquet") for where in ("here", "there"))
        assert len(here)
        pd.testing.assert_frame_equal(here, beside)
