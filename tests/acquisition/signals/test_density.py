import numpy as np
import pytest
import torch
from agreement import record
from axioms.pool_signals import PoolSignalAxioms, random_view
from sklearn.metrics.pairwise import cosine_similarity

from mtal.acquisition.signals import Density
from mtal.acquisition.signals import density as module
from mtal.acquisition.signals.pool_view import PoolView


class TestDensity(PoolSignalAxioms):
    signal = Density()


@pytest.mark.parametrize("rows", [5, 4096])
def test_is_the_mean_of_all_cosines(monkeypatch, rows):
    monkeypatch.setattr(module, "CACHED_ROWS", rows)
    view = random_view()
    expected = (1 + cosine_similarity(view.features.numpy()).mean(axis=1)) / 2
    error = np.abs(Density()(view).numpy() - expected).max()
    record("density", "scikit-learn cosine_similarity over all pairs", error)
    assert error < 1e-12


def test_ends_of_the_range():
    same = torch.tensor([[1.0, 2.0], [2.0, 4.0]])
    torch.testing.assert_close(Density()(PoolView(same)), torch.ones(2, dtype=torch.float64))
    # one frame against n copies of its opposite: ½(1 + (1 − n)/(n + 1)) = 1/(n + 1)
    opposite = torch.tensor([[-1.0, -2.0], *[[1.0, 2.0]] * 9])
    assert Density()(PoolView(opposite))[0].item() == pytest.approx(0.1)


def test_length_of_the_features_does_not_matter():
    view = random_view()
    scale = torch.linspace(0.1, 9, 24).double().unsqueeze(1)
    torch.testing.assert_close(Density()(PoolView(view.features * scale)), Density()(view))


def test_frame_of_no_features_resembles_none():
    assert Density()(PoolView(torch.tensor([[0.0, 0.0], [3.0, 0.0]]))).tolist() == [0.5, 0.75]
