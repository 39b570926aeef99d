import numpy as np
import pytest
import torch
from agreement import record
from axioms.heads import KINDS
from axioms.pool_signals import PosteriorPoolSignalAxioms, labelled, random_view
from scipy.special import rel_entr
from scipy.stats import entropy
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from mtal.acquisition.signals import Contrastive
from mtal.acquisition.signals import contrastive as module
from mtal.acquisition.signals.pool_view import PoolView
from mtal.tasks.posterior import HeadOutput


class TestContrastive(PosteriorPoolSignalAxioms):
    signal = Contrastive(k=3)


def reference(view, k):
    """Pair by pair: scikit-learn's neighbours, scipy's relative entropy."""
    neighbours = NearestNeighbors(n_neighbors=k).fit(normalize(view.labelled_features))
    _, index = neighbours.kneighbors(normalize(view.features))
    values = []
    for n in range(len(view)):
        pairs = []
        for m in index[n]:
            cells = [
                divergence(view.posterior.family, view.labelled_posterior.probs[m, g], view.posterior.probs[n, g])
                for g in range(view.posterior.probs.shape[1])
                if view.labelled_posterior.mask[m, g] and view.posterior.mask[n, g]
            ]
            if cells:
                pairs.append(np.mean(cells))
        values.append(np.mean(pairs) if pairs else 0.0)
    return torch.tensor(np.array(values))


def divergence(family, p, q):
    if family == "categorical":
        return entropy(p, q)
    p, q = p.numpy(), q.numpy()
    return np.mean(rel_entr(p, q) + rel_entr(1 - p, 1 - q))


@pytest.mark.parametrize("rows", [5, 4096])
@pytest.mark.parametrize(("family", "cells"), KINDS)
def test_is_every_pair_by_scikit_learn_and_scipy(monkeypatch, family, cells, rows):
    monkeypatch.setattr(module, "_ROWS", rows)
    view = random_view(family, cells, labelled=15)
    error = (Contrastive(k=4, eps=1e-12)(view) - reference(view, 4)).abs().max().item()
    record("contrastive (CAL)", "scikit-learn neighbours, scipy entropy, pair by pair", error)
    assert error < 1e-8


def test_worked_example_bernoulli():
    # labels 0.5 ‖ 0.25: ½ log 2 + ½ log(2/3) = 0.14384; 0.5 ‖ 0.5: 0; mean 0.07192
    pool = HeadOutput("bernoulli", torch.tensor([[[0.25, 0.5]]]))
    labelled = HeadOutput("bernoulli", torch.tensor([[[0.5, 0.5]]]))
    view = PoolView(torch.ones(1, 2), torch.ones(1, 2), pool, labelled)
    assert Contrastive()(view).item() == pytest.approx(0.0719205, abs=1e-6)


def test_divergence_is_of_the_neighbour_from_the_candidate():
    """KL((1, 0) ‖ (½, ½)) = log 2; the other way round it would be log(½/ε)/2 − ½ log 2."""
    pool = HeadOutput("categorical", torch.tensor([[[0.5, 0.5]]]))
    labelled = HeadOutput("categorical", torch.tensor([[[1.0, 0.0]]]))
    view = PoolView(torch.ones(1, 2), torch.ones(1, 2), pool, labelled)
    assert Contrastive()(view).item() == pytest.approx(np.log(2), abs=1e-4)


def test_impossible_outcome_is_finite():
    pool = HeadOutput("categorical", torch.tensor([[[1.0, 0.0]]]))
    labelled = HeadOutput("categorical", torch.tensor([[[0.0, 1.0]]]))
    view = PoolView(torch.ones(1, 2), torch.ones(1, 2), pool, labelled)
    for eps in (1e-3, 1e-6):
        value = Contrastive(eps=eps)(view).item()
        assert value == pytest.approx(np.log(1 / eps), rel=0.01)
        assert value <= np.log(1 / eps)


def test_pitfall_12_neighbours_are_labelled_frames_only():
    """A pool of copies of one candidate would find itself; the labelled frame, far off, is what counts."""
    pool = HeadOutput("categorical", torch.tensor([[[0.9, 0.1]]]).expand(5, 1, 2))
    labelled = HeadOutput("categorical", torch.tensor([[[0.1, 0.9]]]))
    view = PoolView(torch.ones(5, 2), torch.tensor([[1.0, -1.0]]), pool, labelled)
    expected = 0.1 * np.log(0.1 / 0.9) + 0.9 * np.log(0.9 / 0.1)
    np.testing.assert_allclose(Contrastive(k=1)(view), expected, rtol=1e-5)


def test_pitfall_12_the_most_contrastive_frame_is_highest():
    x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
    pool = HeadOutput("categorical", torch.tensor([[[0.9, 0.1]], [[0.2, 0.8]], [[0.2, 0.8]]]))
    labelled = HeadOutput("categorical", torch.tensor([[[0.9, 0.1]], [[0.2, 0.8]]]))
    view = PoolView(x, torch.tensor([[2.0, 0.0], [0.0, 3.0]]), pool, labelled)
    values = Contrastive(k=1)(view)
    # only the second contradicts its neighbour
    assert values[1] > 0.5
    assert values[[0, 2]].abs().max() < 1e-9


def test_length_of_the_features_does_not_matter():
    view = random_view()
    scale = torch.linspace(0.1, 9, len(view)).double().unsqueeze(1)
    longer = PoolView(view.features * scale, view.labelled_features * 5, view.posterior, view.labelled_posterior)
    torch.testing.assert_close(Contrastive(k=2)(longer), Contrastive(k=2)(view))


def test_fewer_labelled_frames_than_neighbours_are_all_neighbours():
    view = labelled(random_view(), [0, 1, 2])
    torch.testing.assert_close(Contrastive(k=10)(view), Contrastive(k=3)(view), rtol=0, atol=0)


def test_nothing_labelled_scores_zero():
    assert Contrastive()(labelled(random_view(), [])).tolist() == [0.0] * 24


def test_members_are_averaged_as_probabilities():
    view = random_view()
    mean = HeadOutput("categorical", view.members.probs.mean(dim=0))
    members = PoolView(view.features, view.labelled_features, view.members, view.labelled_posterior)
    averaged = PoolView(view.features, view.labelled_features, mean, view.labelled_posterior)
    torch.testing.assert_close(Contrastive()(members), Contrastive()(averaged))


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="k must be 1 neighbour or more, not 0"):
        Contrastive(k=0)
    for eps in (0.0, 0.2, float("nan")):
        with pytest.raises(ValueError, match=f"eps must be a probability above 0 and at most 0.1, not {eps}"):
            Contrastive(eps=eps)


def test_neighbours_are_sought_among_frames_with_a_label_of_the_head():
    # The two nearest have none. What is left is 0.9 ‖ 0.5: 0.9 log 1.8 + 0.1 log 0.2 = 0.36806.
    pool = HeadOutput("bernoulli", torch.tensor([[[0.5]]]))
    labelled = HeadOutput(
        "bernoulli", torch.tensor([[[0.1]], [[0.2]], [[0.9]]]), torch.tensor([[False], [False], [True]])
    )
    nearest_first = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
    view = PoolView(torch.tensor([[1.0, 0.0]]), nearest_first, posterior=pool, labelled_posterior=labelled)
    assert Contrastive(k=2)(view).item() == pytest.approx(0.36806, abs=1e-5)
