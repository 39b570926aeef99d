import math
from dataclasses import replace
from itertools import product

import pytest
import torch
from agreement import record
from axioms.heads import KINDS
from axioms.pool_signals import PosteriorPoolSignalAxioms, random_posterior, random_view

from mtal.acquisition.draw import draw
from mtal.acquisition.signals import Epig
from mtal.acquisition.signals import epig as module
from mtal.acquisition.signals.pool_view import PoolView
from mtal.tasks.posterior import HeadOutput


class TestEpig(PosteriorPoolSignalAxioms):
    signal = Epig()
    drawing = Epig(n_targets=5)


def information(p, q):
    """I(y; y*) of ``[K, O]`` and ``[K, O]`` by enumeration of the answers."""
    total = 0.0
    for y, z in product(range(p.shape[1]), repeat=2):
        joint = sum(p[k, y] * q[k, z] for k in range(len(p))) / len(p)
        total += joint * math.log(joint / (p[:, y].mean() * q[:, z].mean()))
    return total


def reference(members, targets):
    """Candidate by candidate, target by target, cell by cell, label by label."""
    values = []
    for n in range(members.probs.shape[1]):
        cells = []
        for g in range(members.probs.shape[2]):
            counted = [t for t in targets if members.mask[t, g]]
            if not members.mask[n, g] or not counted:
                continue
            cells.append(sum(of_cell(members, n, t, g) for t in counted) / len(counted))
        values.append(sum(cells) / len(cells) if cells else 0.0)
    return torch.tensor(values, dtype=torch.float64)


def of_cell(members, n, t, g):
    p, q = members.probs[:, n, g], members.probs[:, t, g]  # [K, C]
    if members.family == "categorical":
        return information(p, q) / math.log(p.shape[1])
    labels = [
        information(torch.stack([p[:, c], 1 - p[:, c]], dim=1), torch.stack([q[:, c], 1 - q[:, c]], dim=1))
        for c in range(p.shape[1])
    ]
    return sum(labels) / len(labels) / math.log(2)


@pytest.mark.parametrize("numbers", [1, 1 << 17])  # in parts of one frame, and whole
@pytest.mark.parametrize(("family", "cells"), KINDS)
def test_is_enumeration_of_the_answers(monkeypatch, family, cells, numbers):
    monkeypatch.setattr(module, "_NUMBERS", numbers)
    members = random_posterior(family, 6, cells, 3, members=(4,))
    error = (Epig()(PoolView(members=members)) - reference(members, range(6))).abs().max().item()
    record("EPIG", "enumeration of members, answers and targets", error)
    assert error < 1e-12


@pytest.mark.parametrize("few", [torch.float32, torch.float16])
@pytest.mark.parametrize(("family", "cells"), KINDS)
def test_members_of_few_digits_are_compared_in_float32(family, cells, few):
    """Against enumeration of the same rounded numbers in float64; members agree but for a hundredth."""
    members = random_posterior(family, 6, cells, 3, members=(4,))
    close = (members.probs[:1] + (members.probs - members.probs[:1]) / 100).to(few)
    values = Epig()(PoolView(members=replace(members, probs=close)))
    wide = close.double()
    if family == "categorical":
        wide /= wide.sum(dim=-1, keepdim=True).where(wide.sum(dim=-1, keepdim=True) > 0, 1.0)
    expected = reference(replace(members, probs=wide), range(6))
    assert 0 < expected.max() < 1e-3
    torch.testing.assert_close(values, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("family", "cells"), KINDS)
def test_targets_are_the_drawn_frames(family, cells):
    members = random_posterior(family, 12, cells, 2, members=(3,))
    targets = draw(members.probs.transpose(0, 1).flatten(1), 4, seed=9)
    values = Epig(n_targets=4)(PoolView(members=members, seed=9))
    torch.testing.assert_close(values, reference(members, targets.tolist()), rtol=0, atol=1e-12)


def test_worked_example():
    # two members sure of opposite answers on both frames: the answer to one tells the other, log 2 of log 3
    a, b = [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]
    members = HeadOutput("categorical", torch.tensor([[[a], [b]], [[b], [a]]], dtype=torch.float64))
    torch.testing.assert_close(
        Epig()(PoolView(members=members)), torch.full((2,), math.log(2) / math.log(3), dtype=torch.float64)
    )


def test_upper_end_of_the_range():
    """C members, each sure of another class everywhere: one answer tells all, log C of log C."""
    members = HeadOutput("categorical", torch.eye(5, dtype=torch.float64).reshape(5, 1, 1, 5).expand(5, 4, 1, 5))
    torch.testing.assert_close(Epig()(PoolView(members=members)), torch.ones(4, dtype=torch.float64))


def test_members_that_agree_on_the_frame_gain_nothing():
    members = random_posterior("categorical", 8, 1, 3, members=(4,))
    agreed = members.probs.clone()
    agreed[:, 2] = agreed[0, 2]
    values = Epig()(PoolView(members=replace(members, probs=agreed)))
    assert values[2] < 1e-12
    assert values[[0, 1, 3, 4, 5, 6, 7]].min() > 1e-3


def test_at_most_the_information_about_the_members():
    """I(y; y*) ≤ I(y; member), which is BALD: H(mean p) − mean H(p)."""
    members = random_posterior("categorical", 50, 1, 4, members=(6,))
    entropy = torch.special.entr
    bald = entropy(members.probs.mean(dim=0)).sum(dim=2) - entropy(members.probs).sum(dim=3).mean(dim=0)
    values = Epig()(PoolView(members=members)) * math.log(4)
    assert (values <= bald.squeeze(1) + 1e-12).all()
    assert (values < bald.squeeze(1) / 2).any()


def test_more_targets_come_closer_to_the_whole_pool():
    view = random_view(frames=300)
    whole = Epig(n_targets=300)(view)
    few, many = (
        sum((Epig(n)(replace(view, seed=seed)) - whole).abs().mean().item() for seed in range(5)) for n in (4, 100)
    )
    assert many < few / 2


def test_cell_valid_in_no_target_is_left_out():
    members = random_posterior("categorical", 6, 2, 3, members=(4,), holes=False)
    valid = torch.ones(6, 2, dtype=torch.bool)
    valid[:, 1] = False
    first = HeadOutput("categorical", members.probs[:, :, :1])
    torch.testing.assert_close(Epig()(PoolView(members=replace(members, valid=valid))), Epig()(PoolView(members=first)))


def test_single_class_has_nothing_to_ask():
    assert Epig()(PoolView(members=HeadOutput("categorical", torch.ones(3, 2, 1, 1)))).tolist() == [0.0, 0.0]


def test_impossible_number_of_targets_is_refused():
    with pytest.raises(ValueError, match="n_targets must be 1 frame or more, not 0"):
        Epig(n_targets=0)


def test_members_that_lie_side_by_side_in_memory():
    """Of a head of one label, frames that are drawn are columns of what is in memory."""
    members = random_posterior("bernoulli", 30, 1, 1, members=(4,))
    apart = members.probs.transpose(0, 1).contiguous().transpose(0, 1)
    assert members.probs.is_contiguous()
    values, same = (Epig(n_targets=7)(PoolView(members=replace(members, probs=p))) for p in (members.probs, apart))
    assert torch.equal(values, same)
