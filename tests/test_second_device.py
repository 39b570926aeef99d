"""The second device refuses what a GPU refuses, and computes what the CPU computes."""

import numpy as np
import pytest
import torch
from second_device import host_alone
from torch import nn
from torch.nn import functional

from mtal.models.determinism import deterministic


@pytest.fixture
def moved():
    """A small network, and the same on the second device."""
    host = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Conv2d(4, 2, 1))
    there = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Conv2d(4, 2, 1))
    there.load_state_dict(host.state_dict())
    return host, there


def test_a_model_moved_within_inference_mode_cannot_be_trained(moved, second_device):
    _, there = moved
    with torch.inference_mode():
        there.to(second_device)
    there.to(second_device)  # too late: it is there
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        there(torch.rand(1, 3, 6, 6).to(second_device))


def test_same_gradients_as_on_the_cpu(moved, second_device):
    host, there = moved
    there.to(second_device)
    images = torch.rand(2, 3, 6, 6)
    for model, x in ((host, images), (there, images.to(second_device))):
        functional.interpolate(model(x), (9, 9), mode="bilinear").square().mean().backward()
    for a, b in zip(host.parameters(), there.parameters(), strict=True):
        assert b.device == second_device
        assert torch.equal(a, b.cpu())
        assert torch.equal(a.grad, b.grad.cpu())


def test_host_and_device_do_not_mix(second_device):
    host = torch.arange(4.0)
    there = host.to(second_device)
    for mixed in (
        lambda: there + host,
        lambda: torch.stack([host, there]),
        lambda: host[there.long()],
        lambda: torch.where(host > 1, there, there),
        lambda: there.mul_(host),
    ):
        with pytest.raises(RuntimeError, match="on the same device"):
            mixed()
    for allowed in (there + torch.tensor(1.0), there[torch.tensor([0, 1])], torch.zeros(4).copy_(there), there * 2):
        assert allowed.sum().item() > 0


def test_nor_where_the_host_is_alone(second_device):
    host, there = torch.arange(4.0), torch.arange(4.0, device=second_device)
    with host_alone():
        assert there.sum().item() == host.sum() == 6
        with pytest.raises(RuntimeError, match="on the same device"):
            there + host
    assert torch.equal(host.to(second_device).cpu(), host)


def test_numpy_is_of_the_host(second_device):
    there = torch.arange(4.0, device=second_device)
    for asked in (there.numpy, lambda: np.asarray(there)):
        with pytest.raises(TypeError, match=r"use Tensor\.cpu"):
            asked()
    assert there.cpu().numpy().tolist() == there.tolist() == [0, 1, 2, 3]


def test_what_has_no_deterministic_kernel(second_device):
    logits = torch.zeros(1, 3, 2, 2, device=second_device)
    y = torch.zeros(1, 2, 2, dtype=torch.int64, device=second_device)
    assert functional.cross_entropy(logits, y).item() > 1
    with deterministic(), pytest.raises(RuntimeError, match="does not have a deterministic implementation"):
        functional.cross_entropy(logits, y)


def test_a_move_copies(second_device):
    host = torch.zeros(3)
    there = host.to(second_device)
    there += 1
    assert there.to(second_device) is there
    assert (host.sum(), there.sum().item(), there.cpu().sum()) == (0, 3, 3)
    assert torch.zeros(2, device=there.device).device == second_device
    assert torch.tensor([2.0], device=there.device).device == second_device
    assert torch.zeros_like(there).device == second_device
    view = there[1:]
    view.zero_()
    assert there.tolist() == [1, 0, 0]
