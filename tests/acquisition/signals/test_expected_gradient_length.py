import math
from dataclasses import replace

import pytest
import torch
from axioms.autograd import LinearHead
from axioms.heads import random_head
from axioms.signals import SignalAxioms

from mtal.acquisition.signals import ExpectedGradientLength
from mtal.tasks.posterior import HeadOutput


class TestExpectedGradientLength(SignalAxioms):
    signal = ExpectedGradientLength()


class TestRootMeanSquare(SignalAxioms):
    signal = ExpectedGradientLength(kind="rms")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("family", ["bernoulli", "categorical"])
def test_length_is_autograd_over_all_labels(family, bias):
    head = LinearHead(family, sites=1, bias=bias)
    expected = torch.stack([(p * g.norm(dim=1)).sum() for p, g in head.gradients_of_all_labels()])
    torch.testing.assert_close(ExpectedGradientLength()(head.output), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("family", "sites", "classes"), [("bernoulli", 1, 3), ("categorical", 1, 4), ("bernoulli", 3, 2)]
)
def test_rms_is_autograd_over_all_labels(family, sites, classes, bias):
    head = LinearHead(family, sites, classes, frames=3, bias=bias)
    expected = torch.stack([(p * g.square().sum(dim=1)).sum().sqrt() for p, g in head.gradients_of_all_labels()])
    torch.testing.assert_close(ExpectedGradientLength("rms")(head.output), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("sites", [2, 3, 4])
def test_pixels_take_the_rms_and_it_is_autograd_over_all_labels(sites, soft):
    head = LinearHead("categorical", sites, frames=3, soft=soft)
    expected = torch.stack([(p * g.square().sum(dim=1)).sum().sqrt() for p, g in head.gradients_of_all_labels()])
    assert ExpectedGradientLength().kind_for(head.output) == "rms"
    torch.testing.assert_close(ExpectedGradientLength()(head.output), expected, rtol=1e-10, atol=1e-12)


def test_says_which_kind_a_head_gets():
    def kind(family, sites, classes, asked="length"):
        return ExpectedGradientLength(asked).kind_for(HeadOutput(family, torch.full((1, sites, classes), 1 / classes)))

    assert kind("bernoulli", 1, 12) == "length"
    assert kind("bernoulli", 1, 13) == "rms"
    assert kind("categorical", 1, 13) == "length"
    assert kind("categorical", 2, 3) == "rms"
    assert kind("bernoulli", 1, 1, asked="rms") == "rms"


def test_thirteen_bernoulli_classes():
    # Σ_c ½·½ over 13 classes = 3.25, ‖h‖² = 3² + 4² + 1 for the bias
    head = HeadOutput("bernoulli", torch.full((1, 1, 13), 0.5), features=torch.tensor([[[3.0, 4.0]]]))
    assert ExpectedGradientLength()(head).item() == pytest.approx((3.25 * 26) ** 0.5, rel=1e-6)


def test_many_frames_are_enumerated_in_parts():
    head = random_head("bernoulli", 1, frames=2500, classes=2)
    p, q = head.probs[:, 0, 0], head.probs[:, 0, 1]
    length = sum(
        (p if a else 1 - p) * (q if b else 1 - q) * ((p - a) ** 2 + (q - b) ** 2).sqrt() for a in (0, 1) for b in (0, 1)
    )
    expected = length * (head.features[:, 0].square().sum(dim=1) + 1).sqrt()
    torch.testing.assert_close(ExpectedGradientLength()(head), expected)


@pytest.mark.parametrize("family", ["bernoulli", "categorical"])
def test_length_is_at_most_the_rms(family):
    head = random_head(family, 1, frames=200)
    assert (ExpectedGradientLength("length")(head) <= ExpectedGradientLength("rms")(head) + 1e-12).all()


def test_four_times_the_pixels_halve_it():
    """Independent labels cancel out: √(S⁻²·S)."""
    head = random_head("categorical", 4, holes=False)
    finer = replace(head, probs=head.probs.repeat(1, 4, 1), features=head.features.repeat(1, 4, 1))
    torch.testing.assert_close(ExpectedGradientLength()(finer), ExpectedGradientLength()(head) / 2)


def test_scales_with_the_features():
    head = random_head("categorical", 4, bias=False)
    longer = replace(head, features=head.features * 3)
    torch.testing.assert_close(ExpectedGradientLength()(longer), ExpectedGradientLength()(head) * 3)


def test_pitfall_11_length_is_euclidean():
    # p = ½: residual ±½ either way, h = (3, 4) without bias; the sum of absolute values would give 3.5
    head = HeadOutput("bernoulli", torch.tensor([[[0.5]]]), features=torch.tensor([[[3.0, 4.0]]]), bias=False)
    assert ExpectedGradientLength()(head).item() == 2.5


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=r"unknown kind 'l1'.*length and rms"):
        ExpectedGradientLength("l1")


def test_missing_features_are_named():
    with pytest.raises(ValueError, match=r"HeadOutput\.features"):
        ExpectedGradientLength()(HeadOutput("bernoulli", torch.tensor([[[0.5]]])))


@pytest.mark.parametrize("classes", [2, 5, 80])
def test_sure_frames_keep_their_digits_in_single_precision(classes):
    """Of p = (1 − 10⁻⁵, …) the whole less its largest part would be off by per cents."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(200, classes, generator=generator, dtype=torch.float64)
    logits[torch.arange(200), torch.arange(200) % classes] += 12 + math.log(classes)
    probs = logits.softmax(dim=1).float()
    features = torch.ones(200, 1, 1)
    found = ExpectedGradientLength()(HeadOutput("categorical", probs[:, None], features=features, bias=False))
    p = probs.double()
    others = torch.eye(classes, dtype=torch.float64).logical_not().double()
    expected = (p * (p.square() @ others + (p @ others).square()).sqrt()).sum(dim=1)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=0)
