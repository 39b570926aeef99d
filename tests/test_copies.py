"""Copies of models for tests are what ``deepcopy`` gives."""

from copy import deepcopy

import torch
from miniature.copies import Copies
from miniature.surgery import LABEL_MAPS, make_model
from torch import nn

from mtal.tasks.task import build_tasks


def test_are_what_deepcopy_gives():
    model = make_model(build_tasks(LABEL_MAPS, {m.task: {} for m in LABEL_MAPS}))
    copy, expected = Copies(model)(), deepcopy(model)
    assert str(copy) == str(expected)
    assert [(n, p.requires_grad, type(p)) for n, p in copy.named_parameters()] == [
        (n, p.requires_grad, type(p)) for n, p in expected.named_parameters()
    ]
    for (name, one), (other_name, other) in zip(copy.state_dict().items(), expected.state_dict().items(), strict=True):
        assert name == other_name
        assert torch.equal(one, other)
        assert one.data_ptr() != model.state_dict()[name].data_ptr()


def test_share_nothing_but_what_the_model_shares():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    copies = Copies(model)
    one, other = copies(), copies()
    assert one[1].weight is one[0].weight
    one[0].weight.data.zero_()
    assert not other[0].weight.eq(0).any()
    assert torch.equal(other[0].weight, model[0].weight)
