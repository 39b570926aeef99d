from dataclasses import replace

import numpy as np
import pytest
import torch
from agreement import record
from axioms.heads import KINDS
from axioms.pool_signals import PosteriorPoolSignalAxioms, random_view
from scipy.spatial.distance import jensenshannon

from mtal.acquisition.signals import TaskConsistency
from mtal.acquisition.signals import task_consistency as module
from mtal.acquisition.signals.pool_view import PoolView
from mtal.acquisition.signals.task_consistency import answers_of
from mtal.tasks.posterior import HeadOutput


class TestTaskConsistency(PosteriorPoolSignalAxioms):
    signal = TaskConsistency(k=3)


def reference(view, k):
    """Frame by frame and cell by cell: scipy's Jensen-Shannon distance, squared."""
    values = []
    for n in range(len(view)):
        index = np.argsort(np.linalg.norm(view.others[1].numpy() - view.others[0][n].numpy(), axis=1))[:k]
        cells = []
        for g in range(view.posterior.probs.shape[1]):
            known = [m for m in index if view.labelled_posterior.mask[m, g]]
            if not known or not view.posterior.mask[n, g]:
                continue
            p = view.posterior.probs[n, g].numpy()
            q = np.mean([view.labelled_posterior.probs[m, g].numpy() for m in known], axis=0)
            if view.posterior.family == "categorical":
                cells.append(jensenshannon(p, q, base=2) ** 2)
            else:
                pairs = zip(p, q, strict=True)
                cells.append(np.mean([jensenshannon([1 - a, a], [1 - b, b], base=2) ** 2 for a, b in pairs]))
        values.append(np.mean(cells) if cells else 0.0)
    return torch.tensor(np.array(values))


@pytest.mark.parametrize("rows", [5, 1024])
@pytest.mark.parametrize(("family", "cells"), KINDS)
def test_is_every_frame_by_scipy(monkeypatch, family, cells, rows):
    monkeypatch.setattr(module, "_ROWS", rows)
    view = random_view(family, cells, labelled=15)
    error = (TaskConsistency(k=4)(view) - reference(view, 4)).abs().max().item()
    record("task consistency", "scipy, cell by cell", error)
    assert error < 1e-8


def test_other_heads_side_by_side_count_by_their_say():
    """Squared distances are mean squared Hellinger distances per head, whatever its numbers of cells and classes."""
    sure = HeadOutput("bernoulli", torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]))  # two labels that both differ
    cells = HeadOutput("categorical", torch.tensor([[[1.0, 0.0]] * 4, [[0.0, 1.0]] * 4]))
    heads = {"tools": sure, "anatomy": cells}
    for tools, anatomy in ((1.0, 1.0), (0.5, 3.0), (0.0, 2.0)):
        far = answers_of(heads, 2, {"tools": tools, "anatomy": anatomy})
        assert (far[0] - far[1]).square().sum().item() == pytest.approx(2 * tools + 2 * anatomy)
    assert answers_of({}, 3, {}).shape == (3, 0)
    assert answers_of(heads, 2, {"tools": 0.0, "anatomy": 0.0}).shape == (2, 0)


def test_without_another_head_there_is_no_second_opinion():
    view = random_view()
    alone = (torch.empty(len(view), 0), torch.empty(len(view.labelled_posterior.probs), 0))
    assert (TaskConsistency()(replace(view, others=alone)) == 0).all()


def test_a_second_opinion_is_asked_of_frames_with_a_label_of_the_head():
    # The nearest has none; the other says the opposite of the candidate.
    pool = HeadOutput("bernoulli", torch.tensor([[[0.0]]]))
    labelled = HeadOutput("bernoulli", torch.tensor([[[0.0]], [[1.0]]]), torch.tensor([[False], [True]]))
    view = PoolView(
        posterior=pool, labelled_posterior=labelled, others=(torch.zeros(1, 1), torch.tensor([[0.0], [1.0]]))
    )
    assert TaskConsistency(k=1)(view).tolist() == [1.0]
