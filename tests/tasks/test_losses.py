import math

import pytest
import torch
from torch.nn import functional

from mtal.datasets.label_map import IGNORE
from mtal.tasks.losses import bernoulli_loss, categorical_loss


def bernoulli_example(*shape):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(0, 2, shape, generator=generator).to(torch.uint8)
    targets[torch.rand(shape, generator=generator) < 0.3] = IGNORE
    return logits, targets


def categorical_example(classes, *shape):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((shape[0], classes, *shape[1:]), generator=generator, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(0, classes, shape, generator=generator).to(torch.uint8)
    targets[torch.rand(shape, generator=generator) < 0.3] = IGNORE
    return logits, targets


class TestBernoulliLoss:
    def test_worked_example(self):
        # p = 3/4, 1/2, 1/5; y = 1, 0, 255: (ln 4/3 + ln 2) / 2 = ln(8/3) / 2
        logits = torch.tensor([[math.log(3), 0.0, math.log(1 / 4)]])
        assert bernoulli_loss(logits, torch.tensor([[1, 0, IGNORE]]).byte()).item() == pytest.approx(
            math.log(8 / 3) / 2
        )

    def test_positive_weight_multiplies_positives_only(self):
        # (3 ln 4/3 + ln 2) / 2: the second class has a weight, but no positive
        logits = torch.tensor([[math.log(3), 0.0]])
        loss = bernoulli_loss(logits, torch.tensor([[1, 0]]).byte(), torch.tensor([3.0, 7.0]))
        assert loss.item() == pytest.approx((3 * math.log(4 / 3) + math.log(2)) / 2)

    @pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5, 2)])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_equals_the_loss_without_the_ignored_labels(self, shape, weighted):
        logits, targets = bernoulli_example(*shape)
        weights = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64) if weighted else None
        kept = targets != IGNORE
        by_class = torch.ones(shape, dtype=torch.float64)
        if weighted:
            by_class *= weights.view(1, 3, *[1] * (len(shape) - 2))
        alone = functional.binary_cross_entropy_with_logits(
            logits[kept], targets[kept].double(), pos_weight=by_class[kept]
        )
        torch.testing.assert_close(bernoulli_loss(logits, targets, weights), alone, rtol=1e-14, atol=0)

    def test_ignored_labels_have_no_gradient_and_the_others_have_the_residual(self):
        logits, targets = bernoulli_example(6, 3)
        bernoulli_loss(logits, targets).backward()
        kept = targets != IGNORE
        assert (logits.grad[~kept] == 0).all()
        residual = (logits.detach().sigmoid() - targets) / kept.sum()
        torch.testing.assert_close(logits.grad[kept], residual[kept])

    def test_changing_an_ignored_logit_changes_nothing(self):
        logits, targets = bernoulli_example(6, 3)
        other = torch.where(targets == IGNORE, 1e4, logits)
        assert bernoulli_loss(other, targets).item() == bernoulli_loss(logits, targets).item()

    def test_finite_for_extreme_logits(self):
        logits = torch.tensor([[1e4, -1e4]], requires_grad=True)
        loss = bernoulli_loss(logits, torch.tensor([[0, 1]]).byte())
        loss.backward()
        assert loss.item() == 1e4
        assert logits.grad.tolist() == [[0.5, -0.5]]


class TestCategoricalLoss:
    def test_worked_example(self):
        # p_y = 1/2 and 3/4, third site left out: (ln 2 + ln 4/3) / 2
        logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0], [5.0, 0.0]])
        loss = categorical_loss(logits, torch.tensor([1, 0, IGNORE]).byte())
        assert loss.item() == pytest.approx(math.log(8 / 3) / 2)

    def test_weighted_worked_example(self):
        # (4 ln 2 + 1 ln 4/3) / 5
        logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0], [5.0, 0.0]])
        loss = categorical_loss(logits, torch.tensor([1, 0, IGNORE]).byte(), torch.tensor([1.0, 4.0]))
        assert loss.item() == pytest.approx((4 * math.log(2) + math.log(4 / 3)) / 5)

    @pytest.mark.parametrize("shape", [(7,), (3, 4, 5)])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_equals_the_loss_without_the_ignored_sites(self, shape, weighted):
        logits, targets = categorical_example(4, *shape)
        weights = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64) if weighted else None
        kept = targets != IGNORE
        sites = logits.movedim(1, -1)[kept]  # [M, C]
        alone = functional.cross_entropy(sites, targets[kept].long(), weight=weights)
        torch.testing.assert_close(categorical_loss(logits, targets, weights), alone, rtol=1e-14, atol=0)

    def test_ignored_sites_have_no_gradient_and_the_others_have_the_residual(self):
        logits, targets = categorical_example(4, 3, 4, 5)
        categorical_loss(logits, targets).backward()
        kept = targets != IGNORE
        grad = logits.grad.movedim(1, -1)  # [N, H, W, C]
        assert (grad[~kept] == 0).all()
        truth = functional.one_hot(targets[kept].long(), 4)
        residual = (logits.detach().movedim(1, -1)[kept].softmax(dim=1) - truth) / kept.sum()
        torch.testing.assert_close(grad[kept], residual)


@pytest.mark.parametrize(
    ("loss", "target_shape"),
    [(bernoulli_loss, (2, 3)), (bernoulli_loss, (2, 3, 4, 4)), (categorical_loss, (2,)), (categorical_loss, (2, 4, 4))],
)
@pytest.mark.parametrize("value", [1.0, math.inf, math.nan])
class TestNothingAnnotated:
    def test_zero_with_a_gradient_of_zero(self, loss, target_shape, value):
        shape = target_shape if loss is bernoulli_loss else (target_shape[0], 3, *target_shape[1:])
        logits = torch.full(shape, value, requires_grad=True)
        result = loss(logits, torch.full(target_shape, IGNORE, dtype=torch.uint8))
        result.backward()
        assert result.shape == ()
        assert result.item() == 0
        assert (logits.grad == 0).all()
