from dataclasses import replace

import numpy as np
import pytest
import torch
from agreement import record
from axioms.pool_signals import PoolSignalAxioms, labelled, random_view
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mtal.acquisition.signals import Discriminative
from mtal.acquisition.signals import discriminative as module
from mtal.acquisition.signals.pool_view import PoolView


class TestDiscriminative(PoolSignalAxioms):
    signal = Discriminative()
    drawing = Discriminative(max_fit=6)


def test_is_a_pipeline_of_scikit_learn(monkeypatch):
    monkeypatch.setattr(module, "_ROWS", 7)
    view = random_view()
    x = torch.cat([view.labelled_features, view.features])
    y = np.repeat([0, 1], [7, 24])
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, class_weight="balanced", tol=1e-6))
    theirs = pipeline.fit(x.numpy(), y).predict_proba(view.features.numpy())[:, 1]
    error = np.abs(Discriminative(inverse_regularization=0.5)(view).numpy() - theirs).max()
    record("discriminative", "scikit-learn pipeline", error)
    assert error < 1e-9


def test_is_the_minimum_of_the_balanced_loss():
    """Σ over frames of weighted log-losses + ½‖w‖²/C, each side weighing half of all frames, by scipy."""
    view = random_view()
    x = torch.cat([view.labelled_features, view.features]).numpy()
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    sign = np.repeat([-1, 1], [7, 24])
    weight = np.repeat([31 / 2 / 7, 31 / 2 / 24], [7, 24])

    def loss(w):
        return (weight * np.logaddexp(0, -sign * (x @ w[:4] + w[4]))).sum() + 0.5 * (w[:4] ** 2).sum() / 2.0

    w = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-6}).x
    expected = 1 / (1 + np.exp(-(x[7:] @ w[:4] + w[4])))
    error = np.abs(Discriminative(inverse_regularization=2.0)(view).numpy() - expected).max()
    record("discriminative", "scipy minimum of the balanced loss", error)
    assert error < 1e-5


def test_frames_unlike_the_labelled_ones_are_high():
    generator = torch.Generator().manual_seed(0)
    seen, unseen = torch.randn(100, 3, generator=generator), torch.randn(20, 3, generator=generator) + 6
    values = Discriminative()(PoolView(torch.cat([seen[:50], unseen]), seen[50:]))
    assert values[50:].min() > 0.8
    assert values[:50].median() < 0.5


def test_number_of_frames_of_a_side_does_not_matter():
    """Each labelled frame thrice is what balancing undoes, up to the prior."""
    view = random_view()
    weak = Discriminative(inverse_regularization=1e6)
    thrice = labelled(view, [*range(7)] * 3)

    def mean_odds(v):
        return weak(v).logit().mean().item()

    # without balance the odds would move by log 3 = 1.1
    assert mean_odds(thrice) == pytest.approx(mean_odds(view), abs=1e-3)


def test_unit_of_a_feature_does_not_matter():
    view = random_view()
    scale, shift = torch.tensor([1e3, 1e-3, 7.0, -2.0]).double(), torch.tensor([5.0, -1.0, 100.0, 0.0]).double()
    moved = replace(
        view, features=view.features * scale + shift, labelled_features=view.labelled_features * scale + shift
    )
    torch.testing.assert_close(Discriminative()(moved), Discriminative()(view), rtol=1e-5, atol=1e-6)


def test_constant_feature_has_no_say():
    view = random_view()
    wider = PoolView(
        torch.cat([view.features, torch.full((24, 1), 3.0)], dim=1),
        torch.cat([view.labelled_features, torch.full((7, 1), 3.0)], dim=1),
    )
    torch.testing.assert_close(Discriminative()(wider), Discriminative()(view), rtol=1e-5, atol=1e-6)


def test_learns_from_at_most_max_fit_frames_of_each_side(monkeypatch):
    sizes = []

    class Watched(LogisticRegression):
        def fit(self, x, y):
            sizes.append(np.bincount(y).tolist())
            return super().fit(x, y)

    monkeypatch.setattr(module, "LogisticRegression", Watched)
    view = random_view()
    assert Discriminative(max_fit=10)(view).shape == (24,)
    assert Discriminative(max_fit=5)(view).shape == (24,)
    assert sizes == [[7, 10], [5, 5]]


def test_a_draw_is_close_to_the_whole():
    view = random_view(frames=2000, labelled=300)
    few = Discriminative(max_fit=1000)(view)
    assert np.corrcoef(few, Discriminative()(view))[0, 1] > 0.9


def test_nothing_labelled_is_all_pool():
    assert Discriminative()(labelled(random_view(), [])).tolist() == [1.0] * 24


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="max_fit must be 1 frame or more of each side, not 0"):
        Discriminative(max_fit=0)
    for value in (0.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"inverse_regularization must be above 0 and finite, not {value}"):
            Discriminative(inverse_regularization=value)
