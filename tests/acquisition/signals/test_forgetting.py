from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from agreement import record
from axioms.heads import KINDS
from axioms.pool_signals import PosteriorPoolSignalAxioms, random_posterior, random_view
from scipy.spatial.distance import jensenshannon

from mtal.acquisition.signals import Forgetting
from mtal.acquisition.signals import forgetting as module
from mtal.acquisition.signals.pool_view import PoolView
from mtal.tasks.posterior import HeadOutput


class TestForgettingByFlips(PosteriorPoolSignalAxioms):
    signal = Forgetting()


class TestForgettingByDrift(PosteriorPoolSignalAxioms):
    signal = Forgetting("drift")


def reference(view, change):
    """Round by round, frame by frame, cell by cell; ``change`` of two ``[C]`` arrays."""
    rounds = [*view.previous, view.posterior.probs]
    values = []
    for n in range(len(view)):
        cells = [g for g in range(view.posterior.probs.shape[1]) if view.posterior.mask[n, g]]
        changes = [
            np.mean([change(view.posterior.family, a[n, g].numpy(), b[n, g].numpy()) for g in cells])
            for a, b in pairwise(rounds)
        ]
        values.append(np.mean(changes))
    return torch.tensor(np.array(values))


def flips(family, p, q):
    return np.mean((p > 0.5) != (q > 0.5)) if family == "bernoulli" else float(np.argmax(p) != np.argmax(q))


def drift(family, p, q):
    pairs = [((1 - a, a), (1 - b, b)) for a, b in zip(p, q, strict=True)] if family == "bernoulli" else [(p, q)]
    return np.mean([jensenshannon(a, b, base=2) ** 2 for a, b in pairs])


@pytest.mark.parametrize("rows", [5, 16_384])
@pytest.mark.parametrize("kind", ["flips", "drift"])
@pytest.mark.parametrize(("family", "cells"), KINDS)
def test_is_a_loop_over_rounds_frames_and_cells(monkeypatch, family, cells, kind, rows):
    monkeypatch.setattr(module, "_ROWS", rows)
    view = random_view(family, cells)
    more = random_posterior(family, 24, cells, 3, seed=20).probs
    view = replace(view, previous=(more, *view.previous))
    expected = reference(view, flips if kind == "flips" else drift)
    error = (Forgetting(kind)(view) - expected).abs().max().item()
    record(f"forgetting ({kind})", "loop over rounds, frames and cells", error)
    assert error < 1e-12


def test_rounds_count_from_the_oldest_to_the_running_one():
    # a flip in the middle of four rounds, one at the end, both, none: 1/3, 1/3, 2/3, 0
    def answers(*probs):
        return torch.tensor(probs).reshape(-1, 1, 1)

    previous = (answers(0.1, 0.1, 0.1, 0.9), answers(0.1, 0.1, 0.1, 0.8), answers(0.9, 0.2, 0.9, 0.7))
    view = PoolView(posterior=HeadOutput("bernoulli", answers(0.8, 0.9, 0.1, 0.6)), previous=previous)
    np.testing.assert_allclose(Forgetting()(view), [1 / 3, 1 / 3, 2 / 3, 0])
    assert Forgetting("drift")(view)[3] > 0.005


def test_flips_of_a_bernoulli_head_are_the_share_of_labels():
    head = HeadOutput("bernoulli", torch.tensor([[[0.9, 0.2, 0.6, 0.5]]]))
    previous = (torch.tensor([[[0.2, 0.1, 0.4, 0.4]]]),)
    # the first and the third; ½ counts as absent, as it does for the hallucinated label
    assert Forgetting()(PoolView(posterior=head, previous=previous)).tolist() == [0.5]


def test_only_a_new_likeliest_class_is_a_flip():
    head = HeadOutput("categorical", torch.tensor([[[0.5, 0.3, 0.2]], [[0.3, 0.5, 0.2]]]))
    previous = (torch.tensor([[[0.4, 0.2, 0.4 - 1e-3]], [[0.4, 0.3, 0.3]]]),)
    assert Forgetting()(PoolView(posterior=head, previous=previous)).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("kind", ["flips", "drift"])
def test_no_earlier_round_scores_zero(kind):
    assert Forgetting(kind)(replace(random_view(), previous=())).tolist() == [0.0] * 24


@pytest.mark.parametrize("kind", ["flips", "drift"])
def test_ends_of_the_range(kind):
    yes, no = torch.ones(2, 1, 3), torch.zeros(2, 1, 3)
    view = PoolView(posterior=HeadOutput("bernoulli", yes), previous=(yes, no))
    assert Forgetting(kind)(view).tolist() == [1.0, 1.0]
    assert Forgetting(kind)(replace(view, previous=(yes, yes))).tolist() == [0.0, 0.0]


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"unknown kind 'swaps'.*flips and drift"):
        Forgetting("swaps")
