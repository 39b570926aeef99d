import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from mtal.models.annotatability import Annotatability, learn_annotatability

GRID = (6, 8)


def levels(frames, seed=0, channels=(3, 5)):
    """Maps at the head's stride and at twice it, and prefix tokens."""
    generator = torch.Generator().manual_seed(seed)
    fine = torch.randn(frames, channels[0], *GRID, generator=generator)
    coarse = torch.randn(frames, channels[1], GRID[0] // 2, GRID[1] // 2, generator=generator)
    return [torch.randn(frames, 2, 12, 16, generator=generator), fine, coarse, torch.randn(frames, 7, 4)]


def site_by_site(maps, grid):
    """``[N, S, ΣC]`` of all maps at the head's sites."""
    return torch.cat([interpolate(x, grid, mode="bilinear") for x in maps], dim=1).flatten(2).transpose(1, 2)


def drawn(frames, seed, w, bias=0.3):
    """Levels, and labelled pixels ``[N, 12, 16]`` drawn from a logistic regression on them."""
    maps = levels(frames, seed)
    logits = site_by_site(maps[1:3], GRID) @ w + bias  # [N, S]
    known = torch.rand(logits.shape, generator=torch.Generator().manual_seed(seed + 1)) < logits.sigmoid()
    pixels = known.reshape(-1, *GRID).repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    return maps, pixels.numpy(), logits.sigmoid()


TRUE = torch.tensor([1.5, -1.0, 0.0, 0.8, 0.0, -2.0, 0.5, 0.0])


def test_is_the_regression_on_the_interpolated_levels():
    weights = (torch.tensor([0.5, -1.0, 0.25]), torch.tensor([1.0, 0.0, -0.5, 2.0, 0.1]))
    maps = levels(4)
    expected = (site_by_site(maps[1:3], GRID) @ torch.cat(weights) - 0.7).sigmoid()
    torch.testing.assert_close(Annotatability(weights, -0.7)(maps, GRID), expected)


def test_finds_what_labels_were_drawn_from():
    maps, pixels, _ = drawn(400, 0, TRUE)
    learnt = learn_annotatability([(maps, pixels)], 400, GRID, seed=0)
    others, _, truth = drawn(50, 100, TRUE)
    assert (learnt(others, GRID) - truth).abs().mean() < 0.03  # chance: 0.31


def test_is_calibrated_on_frames_that_it_has_not_seen():
    """Of the sites given about p, about p are labelled."""
    maps, pixels, _ = drawn(60, 0, TRUE)
    learnt = learn_annotatability([(maps, pixels)], 60, GRID, seed=0)
    others, labelled, _ = drawn(300, 50, TRUE)
    p, y = learnt(others, GRID).flatten(), torch.from_numpy(labelled[:, ::2, ::2].reshape(300, -1)).flatten().float()
    for low in torch.arange(0.0, 1.0, 0.1):
        inside = (p >= low) & (p < low + 0.1)
        assert abs(float(p[inside].mean() - y[inside].mean())) < 0.05


def test_batches_are_one_pass_and_sites_are_drawn_from_every_frame(monkeypatch):
    maps, pixels, truth = drawn(40, 0, TRUE)
    monkeypatch.setattr("mtal.models.annotatability.MOST_SITES", 1600)  # 40 of 48 sites of each frame
    parts = [([x[i : i + 8] for x in maps], pixels[i : i + 8]) for i in range(0, 40, 8)]
    whole, by_parts = (learn_annotatability(b, 40, GRID, seed=3) for b in ([(maps, pixels)], parts))
    torch.testing.assert_close(whole(maps, GRID), by_parts(maps, GRID))
    assert (whole(maps, GRID) - truth).abs().mean() < 0.1


@pytest.mark.parametrize("value", [True, False])
def test_nothing_to_tell_apart(value):
    assert learn_annotatability([(levels(3), np.full((3, 12, 16), value))], 3, GRID, seed=0) is None


def test_no_frame():
    assert learn_annotatability([], 0, GRID, seed=0) is None


def test_state_is_whole():
    maps, pixels, _ = drawn(20, 0, TRUE)
    learnt = learn_annotatability([(maps, pixels)], 20, GRID, seed=0)
    again = Annotatability.from_state(learnt.state())
    assert torch.equal(again(maps, GRID), learnt(maps, GRID))


def test_refuses_levels_of_another_encoder():
    maps, pixels, _ = drawn(20, 0, TRUE)
    learnt = learn_annotatability([(maps, pixels)], 20, GRID, seed=0)
    with pytest.raises(ValueError, match=r"the levels have \[3, 4\] channels, but .* learnt from \[3, 5\]"):
        learnt(levels(2, channels=(3, 4)), GRID)
