import torch
from axioms.aggregations import LabelAggregationAxioms

from mtal.acquisition.aggregation import MaxOverLabels
from mtal.tasks.posterior import HeadOutput


class TestMaxOverLabels(LabelAggregationAxioms):
    aggregation = MaxOverLabels()


def test_worked_example():
    head = HeadOutput("bernoulli", torch.full((1, 2, 3), 0.5))
    values = torch.tensor([[[0.25, 0.75, 0.5], [0.0, -1.0, -2.0]]])
    assert MaxOverLabels()(values, head).tolist() == [[0.75, 0.0]]
