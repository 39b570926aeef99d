import numpy as np
import pytest
import torch
from agreement import record
from axioms.aggregations import FRAMES, SiteAggregationAxioms, map_head, random_values

from mtal.acquisition.aggregation import ClassBalanced
from mtal.tasks.posterior import HeadOutput


class TestClassBalanced(SiteAggregationAxioms):
    aggregation = ClassBalanced()


@pytest.mark.parametrize("family", ["bernoulli", "categorical"])
def test_agrees_with_loops(family):
    head, values = map_head(family), random_values(FRAMES, 24)
    expected = []
    for n in range(FRAMES):
        groups = {}
        for s in range(24):
            if not head.mask[n, s]:
                continue
            p = head.probs[n, s]
            names = [int(p.argmax())] if family == "categorical" else [c for c in range(3) if p[c] > 0.5] or ["none"]
            for name in names:
                groups.setdefault(name, []).append(float(values[n, s]))
        expected.append(np.mean([np.mean(group) for group in groups.values()]))
    result = ClassBalanced()(values, head).numpy()
    record("class-balanced sites", "loops over sites", np.abs(result - expected).max())
    np.testing.assert_allclose(result, expected)


def test_a_small_organ_counts_as_much_as_a_large_one():
    probs = torch.tensor([0.9, 0.1]).repeat(1, 100, 1)
    probs[0, 7] = torch.tensor([0.2, 0.8])
    values = torch.zeros(1, 100)
    values[0, 7] = 1.0
    assert ClassBalanced()(values, HeadOutput("categorical", probs)).item() == 0.5


def test_classes_that_are_not_predicted_do_not_count_as_zero():
    probs = torch.tensor([[[0.9, 0.05, 0.05]] * 3])
    values = torch.full((1, 3), 0.75)
    assert ClassBalanced()(values, HeadOutput("categorical", probs)).item() == 0.75


def test_site_of_two_labels_counts_for_both():
    # label 0: sites 0, 1 → ½; label 1: site 1 → 1; neither: site 2 → 0.3
    probs = torch.tensor([[[0.9, 0.1], [0.9, 0.9], [0.5, 0.1]]])
    values = torch.tensor([[0.0, 1.0, 0.3]])
    assert ClassBalanced()(values, HeadOutput("bernoulli", probs)).item() == pytest.approx(0.6)
