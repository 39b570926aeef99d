import os

import numpy as np
import pytest
import torch
from miniature import surgery

from mtal.learning.trainer_settings import TrainerSettings
from mtal.learning.training import fit
from mtal.models.determinism import deterministic

CUDNN = torch.backends.cudnn


def state():
    return torch.are_deterministic_algorithms_enabled(), CUDNN.deterministic, CUDNN.benchmark


def test_all_is_as_it_was_afterwards(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = state()

    def fail():
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"  # what cuBLAS asks for
        raise KeyError(state())

    with pytest.raises(KeyError, match="True, True, False"), deterministic():
        fail()
    assert state() == before


def test_nothing_where_it_is_not_wanted():
    before = state()
    with deterministic(wanted=False):
        assert state() == before


def test_training_leaves_no_trace_and_gives_the_same(tasks, features, targets):
    """One row per site is another order of the same sum, as close as float32 is."""
    at, models = np.arange(6), []
    for wanted in (True, False, True):
        settings = TrainerSettings(steps=2, batch_size=4, accelerator="cpu", deterministic=wanted)
        models.append(surgery.make_model(tasks))
        before = state()
        fit(models[-1], tasks, features, at, {t: y[at] for t, y in targets.items()}, settings, seed=1)
        assert state() == before
    states = [m.state_dict() for m in models]
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[2][name])
        torch.testing.assert_close(tensor, states[1][name], rtol=1e-3, atol=1e-4)
