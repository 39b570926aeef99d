import numpy as np
import pytest
import torch
from scipy.stats import linregress

from mtal.acquisition.shown import fit_presence, likeness, presence
from mtal.acquisition.trust import shrunk
from mtal.tasks.posterior import HeadOutput


def test_presence_is_the_largest_probability_where_sites_count():
    probs = torch.tensor([[[0.9, 0.1], [0.3, 0.7]], [[0.2, 0.8], [0.6, 0.4]]])
    valid = torch.tensor([[True, True], [False, True]])
    head = HeadOutput("categorical", probs, valid, grid=(1, 2))
    assert presence(head).numpy() == pytest.approx(np.array([[0.9, 0.7], [0.6, 0.4]]))


def test_line_is_that_of_least_squares_shrunk_by_its_own_error():
    rng = np.random.default_rng(0)
    x = rng.random((40, 1))
    y = (x + rng.normal(0, 0.3, x.shape) > 0.6).astype(float)
    found, by_scipy = fit_presence(x, y), linregress(x[:, 0], y[:, 0])
    kept = max(0, 1 - by_scipy.stderr**2 / by_scipy.slope**2)
    assert found.slope[0] == pytest.approx(by_scipy.slope * kept)
    assert found.rate[0] == pytest.approx((y.sum() + 0.5) / 41)
    assert found(x)[3, 0] == pytest.approx(np.clip(found.rate[0] + found.slope[0] * (x[3, 0] - x.mean()), 0, 1))


@pytest.mark.parametrize(
    ("scores", "known"),
    [
        ([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1]),  # the wrong way round
        ([0.5, 0.5, 0.5, 0.5], [0, 1, 0, 1]),
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 0, 0]),
        ([0.1, 0.9, 0.5, 0.5], [0, 1, np.nan, np.nan]),  # two frames say nothing of chance
        ([0.1, 0.9, 0.5, 0.5], [np.nan] * 4),
    ],
)
def test_answers_that_are_not_borne_out_tell_no_frame_from_another(scores, known):
    line = fit_presence(np.array(scores)[:, None], np.array(known, dtype=float)[:, None])
    assert line.slope.tolist() == [0]
    said = np.array(known, dtype=float)[~np.isnan(known)]
    assert line(np.array([[0.0], [1.0]])).ravel() == pytest.approx([(said.sum() + 0.5) / (len(said) + 1)] * 2)


def test_trust_grows_with_frames():
    kept = [shrunk(0.4, frames) for frames in (4, 8, 16, 64, 10_000)]
    assert kept == sorted(kept)
    assert kept[0] == 0
    assert kept[-1] > 0.999


def test_likeness_is_the_intraclass_correlation():
    """Of normal groups it is between-variance over all variance: 4/(4 + 1)."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(3000), rng.integers(2, 9, 3000))
    x = rng.normal(0, 2, 3000)[groups] + rng.normal(0, 1, len(groups))
    assert likeness(torch.tensor(x)[:, None], groups) == pytest.approx(0.8, abs=0.02)
    assert likeness(torch.tensor(rng.normal(0, 1, (len(groups), 3))), groups) == pytest.approx(0, abs=0.05)
    assert likeness(torch.tensor(x)[:, None], np.zeros(len(groups), dtype=int)) == 0
    assert likeness(torch.tensor(x)[:4, None], np.arange(4)) == 0


def test_no_table_of_the_pool_is_made_in_float64(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    features, groups = torch.randn(10, 4, generator=generator), np.arange(10) // 3
    head = HeadOutput("bernoulli", torch.rand(10, 2, 3, generator=generator), torch.ones(10, 2))
    expected = likeness(features, groups), presence(head)
    wide = []
    real = torch.Tensor.double
    monkeypatch.setattr(torch.Tensor, "double", lambda self: wide.append(self.shape) or real(self))
    monkeypatch.setattr("mtal.acquisition.shown._ROWS", 3)
    assert likeness(features, groups) == expected[0]
    assert torch.equal(presence(head), expected[1])
    assert max(shape[0] for shape in wide if len(shape) > 1) == 3
