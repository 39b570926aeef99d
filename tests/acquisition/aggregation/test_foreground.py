import numpy as np
import pytest
import torch
from agreement import record
from axioms.aggregations import FRAMES, SiteAggregationAxioms, map_head, random_values

from mtal.acquisition.aggregation import Foreground
from mtal.tasks.posterior import HeadOutput


class TestForeground(SiteAggregationAxioms):
    aggregation = Foreground()
    all_sites_count = False


@pytest.mark.parametrize("background", [0, 2])
@pytest.mark.parametrize("family", ["bernoulli", "categorical"])
def test_agrees_with_loops(family, background):
    head, values = map_head(family), random_values(FRAMES, 24)
    expected = []
    for n in range(FRAMES):
        kept = [
            float(values[n, s])
            for s in range(24)
            if head.mask[n, s]
            and (head.probs[n, s].argmax() != background if family == "categorical" else head.probs[n, s].max() > 0.5)
        ]
        expected.append(np.mean(kept) if kept else 0.0)
    result = Foreground(background)(values, head).numpy()
    record("foreground sites", "loops over sites", np.abs(result - expected).max())
    np.testing.assert_allclose(result, expected)


def test_all_background_gets_zero():
    values = torch.ones(1, 3)
    assert Foreground()(values, HeadOutput("categorical", torch.tensor([[[0.9, 0.1]] * 3]))).tolist() == [0.0]
    assert Foreground()(values, HeadOutput("bernoulli", torch.tensor([[[0.5, 0.1]] * 3]))).tolist() == [0.0]


def test_impossible_background_is_refused():
    with pytest.raises(ValueError, match="0 or more, not -1"):
        Foreground(-1)
    with pytest.raises(ValueError, match="background is class 2, but the head has 2 classes"):
        Foreground(2)(torch.ones(1, 3), HeadOutput("categorical", torch.full((1, 3, 2), 0.5)))
