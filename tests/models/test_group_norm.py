import pytest
import torch
from torch import nn

from mtal.models.group_norm import GroupNorm

LAYOUTS = [torch.channels_last, torch.contiguous_format]


def both(groups, channels, dtype=torch.float64):
    """Ours and torch's, with the same parameters."""
    ours, torchs = (kind(groups, channels, dtype=dtype) for kind in (GroupNorm, nn.GroupNorm))
    for p, value in zip(ours.parameters(), (torch.randn(channels), torch.randn(channels)), strict=True):
        p.data.copy_(value)
    torchs.load_state_dict(ours.state_dict())
    return ours, torchs


def maps(channels=8, layout=torch.channels_last, shift=0.0, dtype=torch.float64):
    x = (torch.randn(3, channels, 5, 4, dtype=dtype) + shift).contiguous(memory_format=layout)
    return x.requires_grad_()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("groups", [1, 2, 8])
class TestAgainstTorch:
    def test_answers(self, groups, layout):
        ours, torchs = both(groups, 8)
        x = maps(layout=layout)
        assert torch.equal(ours(x), torchs(x))

    @pytest.mark.parametrize("shift", [0.0, 5.0])
    def test_gradients(self, groups, layout, shift):
        ours, torchs = both(groups, 8)
        x = maps(layout=layout, shift=shift)
        dy = torch.randn_like(x)
        found, expected = (torch.autograd.grad(norm(x), [x, norm.weight, norm.bias], dy) for norm in (ours, torchs))
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("groups", [1, 4, 8])
def test_finite_differences(groups):
    ours, _ = both(groups, 8)
    x = maps()
    assert torch.autograd.gradcheck(
        lambda x, w, b: torch.func.functional_call(ours, {"weight": w, "bias": b}, x), (x, ours.weight, ours.bias)
    )


def test_float32_is_as_near_as_torchs():
    ours, torchs = both(8, 8, torch.float32)
    x = maps(dtype=torch.float32, shift=3.0)
    dy = torch.randn_like(x)
    exact = torch.autograd.grad(torchs.double()(wide := x.detach().double().requires_grad_()), wide, dy.double())[0]
    found = torch.autograd.grad(ours(x), x, dy)[0]
    torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-4)


def test_frozen_parameters_get_no_gradient():
    ours, _ = both(4, 8)
    ours.requires_grad_(requires_grad=False)
    x = maps()
    ours(x).sum().backward()
    assert x.grad is not None
    assert ours.weight.grad is None
    assert ours.bias.grad is None


def test_parameters_learn_where_the_input_needs_no_gradient():
    ours, torchs = both(4, 8)
    x = maps().detach()
    for norm in (ours, torchs):
        norm(x).square().sum().backward()
    torch.testing.assert_close(ours.weight.grad, torchs.weight.grad)


def test_layout_is_kept():
    ours, _ = both(4, 8)
    x = maps()
    y = ours(x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.autograd.grad(y, x, torch.randn_like(y))[0].is_contiguous(memory_format=torch.channels_last)
