"""Against sums over pixels, and segmentation-models-pytorch's own focal loss."""

import pytest
import torch
from agreement import record
from segmentation_models_pytorch.losses import FocalLoss

from mtal.datasets.label_map import IGNORE
from mtal.tasks.focused_losses import dice_loss, focal_loss


def drawn(family, seed=0):
    """Logits and labels of 2 frames of 3 classes, 5 x 4 pixels, a third of them not annotated."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, 3, 5, 4, generator=generator)
    shape, classes = ((2, 5, 4), 3) if family == "categorical" else ((2, 3, 5, 4), 2)
    y = torch.randint(classes, shape, generator=generator)
    unknown = torch.rand(shape, generator=generator) < 1 / 3
    return logits, torch.where(unknown, IGNORE, y).to(torch.uint8)


def sites(family, logits, y):
    """Probability of each class, whether it is the label, and whether anything is known; site by site."""
    if family == "categorical":
        probs, known = logits.double().softmax(1), (y != IGNORE).unsqueeze(1).expand(logits.shape)
        return probs, (torch.arange(3).view(1, 3, 1, 1) == y.unsqueeze(1)).double(), known
    return logits.double().sigmoid(), (y == 1).double(), y != IGNORE


@pytest.mark.parametrize("family", ["categorical", "bernoulli"])
class TestDice:
    def test_sums_over_pixels(self, family):
        logits, y = drawn(family)
        probs, is_label, known = sites(family, logits, y)
        total = 0.0
        for c in range(3):
            p, t = probs[:, c][known[:, c]], is_label[:, c][known[:, c]]
            total += float(1 - 2 * (p * t).sum() / (p.sum() + t.sum())) / 3
        found = dice_loss(family, logits, y).item()
        record(f"dice loss, {family}", "sums over pixels", abs(found - total))
        assert found == pytest.approx(total, abs=1e-6)

    def test_what_nobody_annotated_has_no_gradient(self, family):
        logits, y = drawn(family)
        logits.requires_grad_()
        dice_loss(family, logits, y).backward()
        known = sites(family, logits.detach(), y)[2]
        assert (logits.grad[~known] == 0).all()
        assert (logits.grad[known] != 0).any()

    def test_nothing_annotated(self, family):
        logits, y = drawn(family)
        logits.requires_grad_()
        loss = dice_loss(family, logits, torch.full_like(y, IGNORE))
        loss.backward()
        assert loss.item() == 0
        assert (logits.grad == 0).all()

    def test_an_empty_mask_is_no_class(self, family):
        """The first class alone is seen, so the others add nothing."""
        logits, y = drawn(family)
        y[:] = 0
        if family == "bernoulli":
            y[:, 0] = 1
        p = sites(family, logits, y)[0][:, 0]
        expected = float(1 - 2 * p.sum() / (p.sum() + p.numel())) / 3
        assert dice_loss(family, logits, y).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("family", ["categorical", "bernoulli"])
class TestFocal:
    @pytest.mark.parametrize("weighted", [False, True])
    def test_sums_over_sites(self, family, weighted):
        logits, y = drawn(family)
        w = torch.tensor([0.5, 2.0, 3.0]) if weighted else None
        weight = [1.0] * 3 if w is None else w.tolist()
        probs, is_label, known = sites(family, logits, y)
        total = count = 0.0
        for n, c, i, j in known.nonzero().tolist():
            p, t = probs[n, c, i, j], is_label[n, c, i, j]
            right = p if t else 1 - p
            loss = -((1 - right) ** 2) * right.log()
            if family == "categorical":
                total, count = total + weight[c] * t * loss, count + weight[c] * t
            else:
                total, count = total + (weight[c] if t else 1.0) * loss, count + 1
        assert focal_loss(family, logits, y, w).item() == pytest.approx(float(total / count), rel=1e-5)

    def test_nothing_annotated(self, family):
        logits, y = drawn(family)
        logits.requires_grad_()
        loss = focal_loss(family, logits, torch.full_like(y, IGNORE))
        loss.backward()
        assert loss.item() == 0
        assert (logits.grad == 0).all()

    def test_what_nobody_annotated_has_no_gradient(self, family):
        logits, y = drawn(family)
        logits.requires_grad_()
        focal_loss(family, logits, y).backward()
        assert (logits.grad[~sites(family, logits.detach(), y)[2]] == 0).all()


def test_focal_as_the_library_has_it():
    logits, y = drawn("bernoulli")
    theirs = FocalLoss("binary", gamma=2.0, ignore_index=IGNORE)(logits, y.float())
    ours = focal_loss("bernoulli", logits, y)
    record("focal loss, bernoulli", "segmentation-models-pytorch", (theirs - ours).abs().item())
    torch.testing.assert_close(ours, theirs)
