import numpy as np
import torch
from agreement import record
from axioms.aggregations import FRAMES, LabelAggregationAxioms, SiteAggregationAxioms, map_head, random_values

from mtal.acquisition.aggregation import MeanOverLabels, MeanOverSites
from mtal.tasks.posterior import HeadOutput


class TestMeanOverSites(SiteAggregationAxioms):
    aggregation = MeanOverSites()


class TestMeanOverLabels(LabelAggregationAxioms):
    aggregation = MeanOverLabels()


def test_agrees_with_numpy():
    head, values = map_head("categorical"), random_values(FRAMES, 24)
    expected = [np.mean(values[n][head.mask[n]].numpy()) for n in range(FRAMES)]
    result = MeanOverSites()(values, head).numpy()
    record("mean over sites", "numpy.mean", np.abs(result - expected).max())
    np.testing.assert_allclose(result, expected)


def test_worked_examples():
    head = HeadOutput("bernoulli", torch.full((1, 3, 2), 0.5), torch.tensor([[True, False, True]]))
    assert MeanOverSites()(torch.tensor([[1.0, 7.0, 0.5]]), head).tolist() == [0.75]
    assert MeanOverLabels()(torch.tensor([[[1.0, 0.5]]]), head).tolist() == [[0.75]]
