import pytest
import torch
from agreement import record
from axioms.heads import posterior
from torch.nn.functional import adaptive_avg_pool2d

from mtal.acquisition.coarse import coarse_posterior
from mtal.tasks.posterior import HeadOutput


def pixel_head(grid, frames=3, classes=4, members=(), holes=False, dtype=torch.float64, family="categorical"):
    generator = torch.Generator().manual_seed(0)
    sites = grid[0] * grid[1]
    logits = torch.randn(*members, frames, sites, classes, generator=generator, dtype=torch.float64)
    valid = torch.rand(frames, sites, generator=generator) > 0.4 if holes else None
    return HeadOutput(family, posterior(family, logits).to(dtype), valid, torch.randn(frames, sites, 2), grid=grid)


@pytest.mark.parametrize("members", [(), (3,)])
@pytest.mark.parametrize("grid", [(8, 8), (7, 9), (5, 12), (4, 4), (13, 4)])
def test_is_adaptive_average_pooling_where_all_sites_count(grid, members):
    head = pixel_head(grid, members=members)
    coarse = coarse_posterior(head, cells=4)
    image = head.probs.reshape(-1, *grid, 4).permute(0, 3, 1, 2).contiguous()
    expected = adaptive_avg_pool2d(image, (4, 4)).flatten(2).transpose(1, 2).reshape(coarse.probs.shape)
    error = (coarse.probs - expected).abs().max().item()
    record("coarse posterior", "torch adaptive_avg_pool2d", error)
    assert error < 1e-6
    assert coarse.probs.shape == (*members, 3, 16, 4)
    assert coarse.probs.dtype == torch.float32
    assert coarse.grid == (4, 4)
    assert coarse.valid is None
    assert coarse.features is None


@pytest.mark.parametrize("members", [(), (2,)])
@pytest.mark.parametrize("grid", [(8, 8), (7, 9), (5, 3)])
def test_is_the_mean_over_the_valid_sites_of_each_cell(grid, members):
    head = pixel_head(grid, members=members, holes=True)
    coarse = coarse_posterior(head, cells=3)
    worst = 0.0
    for g in range(9):
        row, column = divmod(g, 3)
        # cell i takes the sites ⌊i·h/3⌋ to ⌈(i + 1)·h/3⌉
        inside = [
            r * grid[1] + c
            for r in range(row * grid[0] // 3, -(-(row + 1) * grid[0] // 3))
            for c in range(column * grid[1] // 3, -(-(column + 1) * grid[1] // 3))
        ]
        for n in range(3):
            counts = [s for s in inside if head.valid[n, s]]
            assert coarse.valid[n, g] == bool(counts)
            mean = head.probs[..., n, counts, :].mean(dim=-2) if counts else torch.zeros(*members, 4)
            worst = max(worst, (coarse.probs[..., n, g, :] - mean).abs().max().item())
    record("coarse posterior", "loop over cells and valid sites", worst)
    assert worst < 1e-6


def test_cell_without_a_valid_site_is_invalid():
    head = pixel_head((4, 4))
    valid = torch.ones(3, 16, dtype=torch.bool)
    valid[1, [0, 1, 4, 5]] = False
    coarse = coarse_posterior(HeadOutput("categorical", head.probs, valid, grid=(4, 4)), cells=2)
    assert coarse.valid.tolist() == [[True] * 4, [False, True, True, True], [True] * 4]
    assert coarse.probs[1, 0].tolist() == [0.0] * 4


def test_invalid_sites_have_no_say():
    head = pixel_head((6, 6), holes=True)
    other = head.probs.where(head.valid.unsqueeze(2), 1.0)
    moved = HeadOutput("categorical", other, head.valid, grid=(6, 6))
    assert torch.equal(coarse_posterior(moved).probs, coarse_posterior(head).probs)


@pytest.mark.parametrize(("grid", "size"), [((2, 9), (2, 4)), ((9, 1), (4, 1)), ((2, 3), (2, 3))])
def test_side_of_few_sites_keeps_them(grid, size):
    head = pixel_head(grid)
    coarse = coarse_posterior(head)
    assert coarse.grid == size
    if size == grid:
        torch.testing.assert_close(coarse.probs, head.probs.float())


@pytest.mark.parametrize("members", [(), (5,)])
def test_frame_head_keeps_all_but_its_features(members):
    probs = torch.rand(*members, 6, 1, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    valid = torch.tensor([[True], [False]] * 3)
    weights = torch.ones(3)
    coarse = coarse_posterior(HeadOutput("bernoulli", probs, valid, torch.ones(6, 1, 2), class_weights=weights))
    assert torch.equal(coarse.probs, probs.float())
    assert coarse.valid is valid
    assert coarse.class_weights is weights
    assert coarse.features is None
    assert coarse.grid is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_half_precision_is_averaged_in_float32(dtype):
    head = pixel_head((32, 32), dtype=dtype)
    coarse = coarse_posterior(head, cells=1)
    assert coarse.probs.dtype == torch.float32
    torch.testing.assert_close(coarse.probs[:, 0], head.probs.double().mean(dim=1).float(), rtol=1e-6, atol=1e-7)


def test_no_frame():
    assert coarse_posterior(HeadOutput("bernoulli", torch.zeros(0, 64, 2), grid=(8, 8))).probs.shape == (0, 16, 2)


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="cells must be 1 or more along each side of the frame, not 0"):
        coarse_posterior(pixel_head((4, 4)), cells=0)
    with pytest.raises(ValueError, match=r"64 sites but no grid; give HeadOutput\.grid"):
        coarse_posterior(HeadOutput("bernoulli", torch.zeros(2, 64, 1)))
