import pytest
import torch
from torch import nn
from torch.nn import functional

from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.tasks.pixel_grid import PixelGrid
from mtal.tasks.task import Task

SIZES = [((16, 24), (64, 96)), ((7, 11), (27, 41)), ((8, 8), (16, 31)), ((5, 4), (5, 3)), ((3, 2), (1, 2))]
STRUCTURES = Task(LabelMap("structures", "pixel", False, ("duct", "artery"), ((0, 0, 0), (1, 0, 0))))
ANATOMY = Task(LabelMap("anatomy", "pixel", True, ("a", "b", "c"), ((0, 0, 0), (1, 0, 0), (2, 0, 0))))
PHASE = Task(LabelMap("phase", "frame", True, ("early", "late"), ((0, 0, 0), (1, 0, 0))))


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("stride", range(1, 9))
def test_loss_is_that_of_the_whole_map_at_the_kept_pixels(stride, sizes, generator):
    cells, size = sizes
    row, column = torch.randint(stride, (2,), generator=generator).tolist()
    rows, columns = (
        [p for p in range(side) if p % stride == first % side % stride and p >= first % side]
        for side, first in zip(size, (row, column), strict=True)
    )
    for task, shape in ((ANATOMY, (2, *size)), (STRUCTURES, (2, 2, *size))):
        classes = len(task.classes)
        logits = torch.randn(2, classes, *cells, generator=generator, requires_grad=True)
        targets = torch.randint(0, classes, shape, generator=generator, dtype=torch.uint8)
        targets[torch.rand(shape, generator=generator) < 0.2] = IGNORE
        whole = functional.interpolate(logits, size, mode="bilinear", align_corners=False)
        expected = task.loss(whole[..., rows, :][..., columns], targets[..., rows, :][..., columns])
        found = task.loss(*task.at(PixelGrid(stride, row, column), logits, targets))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
        for a, b in zip(*(torch.autograd.grad(loss, logits) for loss in (found, expected)), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_worked_example():
    """Cells 0 and 4 over eight pixels. The middles of pixels 1 and 5 lie at 1.5/4 − 0.5 < 0, the rim, and at
    5.5/4 − 0.5 = ⅞ of the way from the middle of the first cell to that of the second."""
    logits = torch.tensor([0.0, 4.0]).expand(1, 1, 2, 2)
    grid = PixelGrid(4, 0, 1)
    assert grid.of_logits(logits, (8, 8))[0, 0].tolist() == [[0.0, 3.5], [0.0, 3.5]]
    assert grid.of_mask(torch.arange(8).expand(8, 8)).tolist() == [[1, 5], [1, 5]]


def test_frame_heads_and_whole_masks_are_as_they_are():
    logits, y = torch.rand(2, 2), torch.zeros(2)
    assert PHASE.at(PixelGrid(4), logits, y) == (logits, y)
    assert ANATOMY.at(PixelGrid(), logits, y) == (logits, y)


def test_drawn():
    torch.manual_seed(0)
    grids = [PixelGrid.drawn(3) for _ in range(200)]
    assert {(g.row, g.column) for g in grids} == {(r, c) for r in range(3) for c in range(3)}
    before = torch.get_rng_state()
    assert PixelGrid.drawn(1) == PixelGrid()
    assert torch.equal(torch.get_rng_state(), before)


def test_places_are_exact_in_mixed_precision():
    logits = torch.linspace(0, 1, 5, dtype=torch.bfloat16).view(1, 1, 1, 5).expand(1, 1, 5, 5)
    exact = PixelGrid(2).of_logits(logits.float(), (23, 23))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(PixelGrid(2).of_logits(logits, (23, 23)), exact)


def trained(stride, masks):
    """Mean IoU of a small network whose map has a stride of 4, and whose pictures show the classes as they are."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1))
    cells = functional.avg_pool2d(functional.one_hot(masks, 3).movedim(-1, 1).float(), 4)  # [N, 3, h, w]
    steps = 120
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.03, total_steps=steps)
    for _ in range(steps):
        optimizer.zero_grad()
        ANATOMY.loss(*ANATOMY.at(PixelGrid.drawn(stride), network(cells), masks)).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        said = functional.interpolate(network(cells), masks.shape[-2:], mode="bilinear").argmax(dim=1)
    shares = [((said == c) & (masks == c)).sum() / ((said == c) | (masks == c)).sum() for c in range(3)]
    return torch.stack(shares).mean().item()


def test_what_is_learnt_does_not_move_with_the_stride(generator):
    """Pixels that are compared with logits beside them teach a map that lies beside the picture: at a stride of 4,
    1.5 pixels off cost 14 points."""
    fields = torch.randn(16, 3, 4, 4, generator=generator)
    masks = functional.interpolate(fields, (64, 64), mode="bicubic").argmax(dim=1)
    scores = {stride: trained(stride, masks) for stride in (1, 2, 4)}
    assert all(abs(score - scores[1]) < 0.002 for score in scores.values()), scores
