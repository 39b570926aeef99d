import numpy as np
import pytest
import torch
from agreement import record
from axioms.heads import KINDS, random_members
from axioms.signals import MemberAxioms

from mtal.acquisition.signals import MeanStd
from mtal.tasks.posterior import HeadOutput


class TestMeanStd(MemberAxioms):
    signal = MeanStd()


@pytest.mark.parametrize(("family", "sites"), KINDS)
def test_agrees_with_numpy(family, sites):
    head = random_members(family, sites, members=5, classes=4)
    std = np.std(head.probs.numpy(), axis=0).mean(axis=-1)  # [N, S]
    scaled = std * (2 if family == "bernoulli" else 4 / 3**0.5)
    expected = [scaled[n][head.mask[n].numpy()].mean() for n in range(6)]
    values = MeanStd()(head).numpy()
    record("mean standard deviation", "numpy.std", np.abs(values - expected).max())
    np.testing.assert_allclose(values, expected, rtol=1e-10)


def test_two_classes_are_one_label():
    p = random_members("bernoulli", 4, classes=1)
    two = HeadOutput("categorical", torch.cat([p.probs, 1 - p.probs], dim=-1), p.valid)
    torch.testing.assert_close(MeanStd()(two), MeanStd()(p))


def test_no_members_exceed_one():
    """The bound √(C − 1)/C holds for members drawn at random, sure ones among them."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 2000, 1, 5, generator=generator, dtype=torch.float64) * 50
    assert MeanStd()(HeadOutput("categorical", logits.softmax(dim=-1))).max() <= 1
