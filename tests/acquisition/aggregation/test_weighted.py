from dataclasses import replace

import numpy as np
import torch
from agreement import record
from axioms.aggregations import FRAMES, LabelAggregationAxioms, random_values
from axioms.heads import random_head

from mtal.acquisition.aggregation import MeanOverLabels, WeightedLabels


class TestWeightedLabels(LabelAggregationAxioms):
    aggregation = WeightedLabels()


class TestWithoutWeights(LabelAggregationAxioms):
    aggregation = WeightedLabels()

    def head(self, sites=4, frames=FRAMES):
        return replace(super().head(sites, frames), class_weights=torch.ones(3))


def test_agrees_with_numpy():
    weights = [0.5, 2.0, 0.0]
    head = replace(random_head("bernoulli", 4, frames=FRAMES), class_weights=torch.tensor(weights))
    values = random_values(FRAMES, 4, 3)
    expected = np.average(values.numpy(), axis=-1, weights=weights)
    result = WeightedLabels()(values, head).numpy()
    record("weighted labels", "numpy.average", np.abs(result - expected).max())
    np.testing.assert_allclose(result, expected)


def test_without_weights_it_is_the_mean():
    head, values = random_head("bernoulli", 4, frames=FRAMES), random_values(FRAMES, 4, 3)
    assert torch.equal(WeightedLabels()(values, head), MeanOverLabels()(values, head))


def test_no_weight_at_all_gives_zero():
    head = replace(random_head("bernoulli", 4, frames=FRAMES), class_weights=torch.zeros(3))
    assert not WeightedLabels()(random_values(FRAMES, 4, 3), head).any()
