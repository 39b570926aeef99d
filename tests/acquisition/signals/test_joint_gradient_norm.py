import math

import pytest
import torch
from agreement import record
from axioms.autograd import SharedEncoderOutput
from axioms.signals import JointAxioms

from mtal.acquisition.signals import JointGradientNorm, SharedGradientNorm
from mtal.tasks.posterior import HeadOutput


class TestJointGradientNorm(JointAxioms):
    signal = JointGradientNorm()


class TestWeighted(JointAxioms):
    signal = JointGradientNorm(weights={"tools": 2.0, "anatomy": 0.5}, scales={"phase": 3.0})


def test_is_autograd_of_the_summed_loss():
    model = SharedEncoderOutput()
    expected = model.gradient({"tools": 1.0, "bleeding": 1.0, "phase": 1.0}).norm(dim=1)
    values = JointGradientNorm()(model.heads())
    record("joint-gradient norm", "autograd of the summed loss, frame by frame", (values - expected).abs().max())
    torch.testing.assert_close(values, expected)


def test_is_autograd_of_the_weighted_and_scaled_sum():
    model = SharedEncoderOutput()
    expected = model.gradient({"tools": 2.0 / 4.0, "bleeding": 1.0, "phase": 1.0 / 0.25}).norm(dim=1)
    values = JointGradientNorm(weights={"tools": 2.0}, scales={"tools": 4.0, "phase": 0.25})(model.heads())
    record("joint-gradient norm", "autograd of the summed loss, frame by frame", (values - expected).abs().max())
    torch.testing.assert_close(values, expected)


def test_one_head_is_its_own_norm():
    head = SharedEncoderOutput().heads()["phase"]
    torch.testing.assert_close(JointGradientNorm()({"phase": head}), SharedGradientNorm()(head))


def test_opposite_gradients_cancel():
    def head(gradient):
        return HeadOutput("bernoulli", torch.full((1, 1, 1), 0.5), shared_gradient=torch.tensor([gradient]))

    assert JointGradientNorm()({"tools": head([1.0, 2.0]), "bleeding": head([-1.0, -2.0])}).item() == 0.0


def test_head_of_weight_zero_has_no_say():
    heads = SharedEncoderOutput().heads()
    without = {task: head for task, head in heads.items() if task != "tools"}
    torch.testing.assert_close(JointGradientNorm(weights={"tools": 0.0})(heads), JointGradientNorm()(without))


def test_head_without_a_valid_site_adds_nothing():
    heads = SharedEncoderOutput().heads()
    phase = heads["phase"]
    valid = torch.tensor([True, False, True, True, True])[:, None]
    unlabelled = HeadOutput("categorical", phase.probs, valid, shared_gradient=phase.shared_gradient)
    values = JointGradientNorm()({**heads, "phase": unlabelled})
    without = JointGradientNorm()({task: head for task, head in heads.items() if task != "phase"})
    assert values[1] == without[1]
    torch.testing.assert_close(values[[0, 2, 3, 4]], JointGradientNorm()(heads)[[0, 2, 3, 4]])


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_impossible_weights_are_refused(weight):
    with pytest.raises(ValueError, match=r"weights\.tools must be 0 or more and finite"):
        JointGradientNorm(weights={"tools": weight})


@pytest.mark.parametrize("scale", [-1.0, 0.0, math.nan, math.inf])
def test_impossible_scales_are_refused(scale):
    with pytest.raises(ValueError, match=r"scales\.tools must be above 0 and finite"):
        JointGradientNorm(scales={"tools": scale})


@pytest.mark.parametrize("option", ["weights", "scales"])
def test_unknown_heads_are_refused(option):
    with pytest.raises(ValueError, match=rf"{option} names 'tool', which is not one of tools, bleeding, phase"):
        JointGradientNorm(**{option: {"tool": 1.0}})(SharedEncoderOutput().heads())


def test_gradients_of_different_spaces_are_refused():
    heads = {
        "tools": SharedEncoderOutput(features=6).heads()["tools"],
        "phase": SharedEncoderOutput(features=7).heads()["phase"],
    }
    with pytest.raises(ValueError, match=r"must have one size, not {'tools': \[5, 6\], 'phase': \[5, 7\]}"):
        JointGradientNorm()(heads)


def test_missing_gradient_is_named():
    heads = {"tools": HeadOutput("bernoulli", torch.full((1, 1, 1), 0.5))}
    with pytest.raises(ValueError, match=r"joint_gradient_norm needs HeadOutput\.shared_gradient"):
        JointGradientNorm()(heads)
