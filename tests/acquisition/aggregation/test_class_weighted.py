from dataclasses import replace

import numpy as np
import pytest
import torch
from agreement import record
from axioms.aggregations import FRAMES, SiteAggregationAxioms, map_head, random_values

from mtal.acquisition.aggregation import ClassWeighted, MeanOverSites


class TestClassWeighted(SiteAggregationAxioms):
    aggregation = ClassWeighted()


@pytest.mark.parametrize("family", ["bernoulli", "categorical"])
@pytest.mark.parametrize("weights", [[0.5, 2.0, 1.0], [0.0, 0.0, 3.0], None])
def test_agrees_with_numpy(family, weights):
    head, values = map_head(family), random_values(FRAMES, 24)
    head = replace(head, class_weights=None if weights is None else torch.tensor(weights))
    expected = []
    for n in range(FRAMES):
        valid = head.mask[n].numpy()
        of_site = head.probs[n].numpy() @ np.array(weights or [1.0, 1.0, 1.0])
        expected.append(np.average(values[n].numpy()[valid], weights=of_site[valid]))
    result = ClassWeighted()(values, head).numpy()
    record("class-weighted sites", "numpy.average", np.abs(result - expected).max())
    np.testing.assert_allclose(result, expected)


def test_equal_weights_on_a_categorical_head_are_the_mean():
    head, values = map_head("categorical"), random_values(FRAMES, 24)
    expected = MeanOverSites()(values, head)
    torch.testing.assert_close(ClassWeighted()(values, replace(head, class_weights=None)), expected)
    torch.testing.assert_close(ClassWeighted()(values, replace(head, class_weights=torch.full((3,), 7.0))), expected)


def test_no_weight_at_all_gives_zero():
    head = replace(map_head("categorical"), class_weights=torch.zeros(3))
    assert ClassWeighted()(random_values(FRAMES, 24), head).tolist() == [0.0] * FRAMES
