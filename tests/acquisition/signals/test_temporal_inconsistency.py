from dataclasses import replace

import numpy as np
import pytest
import torch
from agreement import record
from axioms.heads import KINDS
from axioms.pool_signals import PosteriorPoolSignalAxioms, candidates, random_view
from scipy.spatial.distance import jensenshannon

from mtal.acquisition.moments import Moments
from mtal.acquisition.signals import TemporalInconsistency
from mtal.acquisition.signals import temporal_inconsistency as module
from mtal.acquisition.signals.pool_view import PoolView
from mtal.tasks.posterior import HeadOutput


class TestTemporalInconsistency(PosteriorPoolSignalAxioms):
    signal = TemporalInconsistency()


class TestTemporalInconsistencyByCloseness(PosteriorPoolSignalAxioms):
    signal = TemporalInconsistency(window_s=3.0, weighting="closeness")


def uneven(view, seed=0):
    """The same frames at random times, some farther apart than two seconds, in random order."""
    generator = np.random.default_rng(seed)
    moved = replace(view, moments=Moments(view.moments.video, generator.uniform(0, 16, len(view))))
    return candidates(moved, torch.from_numpy(generator.permutation(len(view))))


def divergence(head, i, j):
    """Mean of scipy's Jensen-Shannon divergence over cells valid in both and labels; None where there is no cell."""
    cells = []
    for g in range(head.probs.shape[1]):
        if not (head.mask[i, g] and head.mask[j, g]):
            continue
        p, q = head.probs[i, g], head.probs[j, g]
        if head.family == "bernoulli":
            pairs = [((1 - a, a), (1 - b, b)) for a, b in zip(p, q, strict=True)]
        else:
            pairs = [(p, q)]
        cells.append(np.mean([jensenshannon(a, b, base=2) ** 2 for a, b in pairs]))
    return np.mean(cells) if cells else None


def reference(view, window_s, closeness):
    """Frame by frame: look through the whole pool for the neighbour on either side."""
    video, time_s = view.moments.video, view.moments.time_s
    values = []
    for i in range(len(view)):
        terms, weights = [], []
        for side in (-1, 1):
            ahead = [
                (abs(time_s[j] - time_s[i]), j)
                for j in range(len(view))
                if video[j] == video[i] and (time_s[j] - time_s[i]) * side > 0
            ]
            if not ahead or min(ahead)[0] > window_s:
                continue
            apart_s, j = min(ahead)
            term = divergence(view.posterior, i, j)
            if term is not None:
                terms.append(term)
                weights.append(np.exp(-apart_s / window_s) if closeness else 1.0)
        values.append(np.average(terms, weights=weights) if terms else 0.0)
    return torch.tensor(np.array(values))


@pytest.mark.parametrize("rows", [3, 16_384])
@pytest.mark.parametrize("weighting", ["equal", "closeness"])
@pytest.mark.parametrize(("family", "cells"), KINDS)
def test_is_a_search_frame_by_frame(monkeypatch, family, cells, weighting, rows):
    monkeypatch.setattr(module, "_ROWS", rows)
    view = uneven(random_view(family, cells))
    expected = reference(view, 2.0, weighting == "closeness")
    assert (expected == 0).any()
    error = (TemporalInconsistency(2.0, weighting)(view) - expected).abs().max().item()
    record("temporal inconsistency", "search frame by frame, scipy jensenshannon", error)
    assert error < 1e-12


def answers(*probs):
    return HeadOutput("bernoulli", torch.tensor(probs, dtype=torch.float64).reshape(-1, 1, 1))


def test_worked_example_by_closeness():
    # weights e^(−1/2) before and e^(−1/4) after the frame at 1 s; it differs from the one before only
    view = PoolView(posterior=answers(0, 1, 1), moments=Moments([0, 0, 0], [0.0, 1.0, 1.5]))
    value = TemporalInconsistency(2.0, "closeness")(view)[1].item()
    assert value == pytest.approx(np.exp(-0.5) / (np.exp(-0.5) + np.exp(-0.25)))


def test_other_videos_are_no_neighbours():
    view = PoolView(posterior=answers(0, 0, 1, 1), moments=Moments([0, 0, 1, 1], [0.0, 1.0, 0.0, 1.0]))
    assert TemporalInconsistency()(view).tolist() == [0.0] * 4
    # the last frame of one video and the first of the next, a moment later
    view = PoolView(posterior=answers(0, 1), moments=Moments([0, 1], [0.0, 1.0]))
    assert TemporalInconsistency()(view).tolist() == [0.0] * 2


@pytest.mark.parametrize(("apart_s", "expected"), [(2.0, 1.0), (2.01, 0.0)])
def test_window_is_kept(apart_s, expected):
    view = PoolView(posterior=answers(0, 1), moments=Moments([3, 3], [0.0, apart_s]))
    assert TemporalInconsistency(2.0)(view).tolist() == [expected] * 2


def test_rounded_times_are_within_the_window():
    view = PoolView(posterior=answers(0, 1), moments=Moments([0, 0], [0.1, 0.1 + 0.2]))
    assert view.moments.time_s[1] - view.moments.time_s[0] > 0.2
    assert TemporalInconsistency(0.2)(view).tolist() == [1.0] * 2


def test_only_the_nearest_on_either_side_counts():
    view = PoolView(posterior=answers(1, 0, 0, 0, 1), moments=Moments(np.zeros(5), np.arange(5) / 2))
    assert TemporalInconsistency()(view).tolist() == [1.0, 0.5, 0.0, 0.5, 1.0]


def test_neighbour_without_a_common_cell_has_no_say():
    valid = torch.tensor([[True, False], [True, True], [False, True]])
    probs = torch.tensor([[[0.0], [0.0]], [[1.0], [0.0]], [[0.0], [0.0]]], dtype=torch.float64)
    view = PoolView(posterior=HeadOutput("bernoulli", probs, valid), moments=Moments([0, 0, 0], [0.0, 1.0, 2.0]))
    # the middle frame: cell 0 with the first (1), cell 1 with the last (0)
    assert TemporalInconsistency()(view).tolist() == [1.0, 0.5, 0.0]
    valid = torch.tensor([[True, False], [True, False], [False, True]])
    view = replace(view, posterior=HeadOutput("bernoulli", probs, valid))
    assert TemporalInconsistency()(view).tolist() == [1.0, 1.0, 0.0]


def test_frames_of_one_moment_are_taken_together():
    # at 1 s two frames that say no and yes, on average ½: JS(½, 0) to the frame before, in bits, by hand:
    # H(¼) − ½H(½) = 0.8113 − 0.5 = 0.3113
    view = PoolView(posterior=answers(0, 0, 1), moments=Moments([0, 0, 0], [0.0, 1.0, 1.0]))
    np.testing.assert_allclose(TemporalInconsistency()(view), [0.311278] * 3, atol=1e-6)


def test_frames_of_one_moment_are_averaged_where_valid():
    valid = torch.tensor([[True], [True], [False]])
    head = HeadOutput("bernoulli", answers(0, 1, 0).probs, valid)
    view = PoolView(posterior=head, moments=Moments([0, 0, 0], [0.0, 1.0, 1.0]))
    assert TemporalInconsistency()(view).tolist() == [1.0, 1.0, 1.0]


def test_impossible_arguments_are_refused():
    for window_s in (0.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"window_s must be above 0 seconds and finite, not {window_s}"):
            TemporalInconsistency(window_s)
    with pytest.raises(ValueError, match=r"unknown weighting 'linear'.*equal and closeness"):
        TemporalInconsistency(weighting="linear")
