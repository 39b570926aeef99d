from dataclasses import replace

import pytest
import torch
from axioms.aggregations import FRAMES, map_head
from axioms.heads import random_head

from mtal.acquisition import aggregation
from mtal.acquisition.signals import Bald, Entropy, JointSignal, LeastConfidence, Signal, VariationRatio
from mtal.tasks.posterior import HeadOutput


class Fixed(Signal):
    name = "fixed"

    def __init__(self, *values):
        self.values = torch.tensor(values)

    def score(self, head):
        return self.values


HEAD = HeadOutput("bernoulli", torch.full((3, 1, 1), 0.5))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.1, 1.1])
def test_value_out_of_range_names_the_signal_and_the_position(bad):
    with pytest.raises(ValueError, match=r"signal fixed: 1 of 3 values are outside \[0, 1\].*at position 2"):
        Fixed(0.0, 1.0, bad)(HEAD)


def test_rounding_is_cut_to_the_range():
    assert Fixed(-1e-6, 0.5, 1 + 1e-6)(HEAD).tolist() == [0.0, 0.5, 1.0]


def test_rounding_counts_in_the_length_of_the_range():
    class Signed(Fixed):
        range = (-1.0, 1.0)

    assert Signed(-1 - 1e-6, 0.5, 1 + 1e-6)(HEAD).tolist() == [-1.0, 0.5, 1.0]


def test_values_as_large_as_there_are_stay_as_they_are():
    """Their difference is larger."""

    class Unbounded(Fixed):
        range = (-float("inf"), float("inf"))

    signal = Unbounded()
    signal.values = torch.tensor([-1.5e308, 0.0, 1.5e308], dtype=torch.float64)
    assert torch.equal(signal(HEAD), signal.values)
    with pytest.raises(ValueError, match=r"1 of 3 values are .* not finite, the first is inf at position 2"):
        Unbounded(-3e38, 0.0, float("inf"))(HEAD)


class Sum(JointSignal):
    name = "sum"
    needs = frozenset({"features"})

    def score(self, heads):
        return torch.stack([head.probs[:, 0, 0] for head in heads.values()]).sum(dim=0)


def test_joint_signals_check_every_head_and_every_value():
    head = HeadOutput("bernoulli", torch.full((2, 1, 1), 0.75), features=torch.ones(2, 1, 3))
    assert Sum()({"tools": head}).tolist() == [0.75, 0.75]
    with pytest.raises(ValueError, match=r"signal sum: 2 of 2 values are outside \[0, 1\]"):
        Sum()({"tools": head, "bleeding": head})
    with pytest.raises(ValueError, match=r"signal sum needs HeadOutput\.features"):
        Sum()({"tools": head, "bleeding": replace(head, features=None)})
    with pytest.raises(ValueError, match="signal sum needs one head or more"):
        Sum()({})


SITES = [
    aggregation.MeanOverSites(),
    aggregation.TopFraction(0.2),
    aggregation.ClassBalanced(),
    aggregation.BoundaryBand(0.25),
    aggregation.Foreground(1),
    aggregation.ClassWeighted(),
]
LABELS = [aggregation.MeanOverLabels(), aggregation.MaxOverLabels(), aggregation.WeightedLabels()]


class TestAggregatedSites:
    """A signal's value is the aggregation of its values at the sites, found here by making each site a frame."""

    def at_sites(self, signal, head):
        probs = head.probs.flatten(-3, -2).unsqueeze(-2)  # [(K,) N · S, 1, C]
        return signal(HeadOutput(head.family, probs, class_weights=head.class_weights)).reshape(FRAMES, -1)

    @pytest.mark.parametrize("sites", SITES, ids=lambda a: type(a).__name__)
    @pytest.mark.parametrize("kind", [Entropy, LeastConfidence])
    @pytest.mark.parametrize("family", ["bernoulli", "categorical"])
    def test_one_posterior(self, family, kind, sites):
        head = map_head(family)
        torch.testing.assert_close(kind(sites=sites)(head), sites(self.at_sites(kind(), head), head))

    @pytest.mark.parametrize("sites", SITES, ids=lambda a: type(a).__name__)
    @pytest.mark.parametrize("kind", [Bald, VariationRatio])
    @pytest.mark.parametrize("family", ["bernoulli", "categorical"])
    def test_members(self, family, kind, sites):
        head = map_head(family, members=3)
        torch.testing.assert_close(kind(sites=sites)(head), sites(self.at_sites(kind(), head), head))

    @pytest.mark.parametrize("labels", LABELS, ids=lambda a: type(a).__name__)
    def test_labels(self, labels):
        head = map_head("bernoulli")
        at_labels = torch.stack(
            [Entropy()(HeadOutput("bernoulli", head.probs[..., [c]].flatten(0, 1).unsqueeze(1))) for c in range(3)],
            dim=-1,
        ).reshape(FRAMES, -1, 3)
        expected = aggregation.MeanOverSites()(labels(at_labels, head), head)
        torch.testing.assert_close(Entropy(labels=labels)(head), expected)

    def test_labels_of_categorical_heads_are_one_answer(self):
        head = map_head("categorical")
        torch.testing.assert_close(Entropy(labels=aggregation.MaxOverLabels())(head), Entropy()(head))

    @pytest.mark.parametrize("sites", SITES, ids=lambda a: type(a).__name__)
    @pytest.mark.parametrize("family", ["bernoulli", "categorical"])
    def test_frame_heads_are_the_same_under_all(self, family, sites):
        head = random_head(family, 1)
        assert torch.equal(Entropy(sites=sites)(head), Entropy()(head))

    @pytest.mark.parametrize("sites", SITES, ids=lambda a: type(a).__name__)
    def test_pitfall_7_many_pixels_do_not_outweigh_one_frame_label(self, sites):
        """Also where not all pixels count: the value is that of a pixel, not of their number."""
        probs = torch.tensor([0.7, 0.3], dtype=torch.float64).repeat(1, 64, 1)
        probs[:, ::2] = torch.tensor([0.3, 0.7], dtype=torch.float64)
        pixels = HeadOutput("categorical", probs, grid=(8, 8))
        frame = HeadOutput("categorical", probs[:, :1])
        torch.testing.assert_close(Entropy(sites=sites)(pixels), Entropy()(frame))
