import numpy as np
import pytest
import torch
from agreement import record
from axioms.heads import KINDS, random_members
from axioms.signals import MemberAxioms

from mtal.acquisition.signals import Variance
from mtal.tasks.posterior import HeadOutput


class TestVariance(MemberAxioms):
    signal = Variance()


@pytest.mark.parametrize(("family", "sites"), KINDS)
def test_agrees_with_numpy(family, sites):
    head = random_members(family, sites, members=5, classes=4)
    variance = np.var(head.probs.numpy(), axis=0).mean(axis=-1)  # [N, S]
    scaled = variance * (4 if family == "bernoulli" else 4**2 / 3)
    expected = [scaled[n][head.mask[n].numpy()].mean() for n in range(6)]
    values = Variance()(head).numpy()
    record("variance", "numpy.var", np.abs(values - expected).max())
    np.testing.assert_allclose(values, expected, rtol=1e-10)


def test_two_classes_are_one_label():
    """Categorical over (p, 1 − p) and Bernoulli p say the same."""
    p = random_members("bernoulli", 4, classes=1)
    two = HeadOutput("categorical", torch.cat([p.probs, 1 - p.probs], dim=-1), p.valid)
    torch.testing.assert_close(Variance()(two), Variance()(p))


def test_worked_example():
    # p_k = 0.9, 0.5, 0.1: mean 0.5, Var = (0.16 + 0 + 0.16)/3
    members = torch.tensor([0.9, 0.5, 0.1], dtype=torch.float64)[:, None, None, None]
    assert Variance()(HeadOutput("bernoulli", members)).item() == pytest.approx(4 * 0.32 / 3)


def test_is_the_part_of_the_gini_impurity_between_members():
    """1 − ‖p̄‖² − K⁻¹ Σₖ (1 − ‖pₖ‖²): BALD with this impurity in place of the entropy."""
    probs = random_members("categorical", 1, members=6).probs[:, :, 0]  # [K, N, C]
    between = (1 - probs.mean(dim=0).square().sum(dim=-1)) - (1 - probs.square().sum(dim=-1)).mean(dim=0)
    torch.testing.assert_close(Variance()(HeadOutput("categorical", probs.unsqueeze(2))), between * 3 / 2)
