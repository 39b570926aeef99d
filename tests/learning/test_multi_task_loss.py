import math

import pytest
import torch

from mtal.datasets.label_map import IGNORE
from mtal.learning.multi_task_loss import MultiTaskLoss
from mtal.tasks.task import Task

LOGITS = {
    "tools": torch.zeros(2, 3),
    "bleeding": torch.full((2, 1), math.log(3)),
    "anatomy": torch.zeros(2, 3, 2, 2),
}
TARGETS = {
    "tools": torch.tensor([[0, 1, 1], [1, 0, 255]], dtype=torch.uint8),
    "bleeding": torch.ones(2, 1, dtype=torch.uint8),
    "anatomy": torch.zeros(2, 2, 2, dtype=torch.uint8),
}
NONE = {"tools": None, "bleeding": None, "anatomy": None}


class TestLoss:
    """Worked by hand: a Bernoulli head with logit 0 has loss log 2 whatever the label, one with logit log 3 and
    label 1 has log 4/3, and a categorical head with equal logits over three classes log 3."""

    def weighted(self, tasks):
        return [Task(t.label_map, w) for t, w in zip(tasks, (1.0, 2.0, 0.5), strict=True)]

    def test_fixed(self, tasks):
        total, losses = MultiTaskLoss(self.weighted(tasks), NONE, "fixed")(LOGITS, TARGETS)
        assert losses["tools"] == pytest.approx(math.log(2))
        assert losses["bleeding"] == pytest.approx(math.log(4 / 3))
        assert losses["anatomy"] == pytest.approx(math.log(3))
        assert total == pytest.approx(math.log(2) + 2 * math.log(4 / 3) + 0.5 * math.log(3))

    def test_uncertainty(self, tasks):
        loss = MultiTaskLoss(self.weighted(tasks), NONE, "uncertainty")
        with torch.no_grad():
            loss.log_variance.copy_(torch.tensor([math.log(2), 0.0, -math.log(4)]))
        total, _ = loss(LOGITS, TARGETS)
        by_hand = (
            1.0 * (math.log(2) / 2 + math.log(2) / 2)
            + 2.0 * math.log(4 / 3)
            + 0.5 * (4 * math.log(3) - math.log(4) / 2)
        )
        assert total.item() == pytest.approx(by_hand)

    def test_log_variance_settles_at_the_head_s_loss(self, tasks):
        """d/ds (e^-s L + s/2) = 0 at s = log 2L."""
        loss = MultiTaskLoss(self.weighted(tasks), NONE, "uncertainty")
        with torch.no_grad():
            loss.log_variance.copy_(2 * torch.tensor([math.log(2), math.log(4 / 3), math.log(3)]))
            loss.log_variance.log_()
        loss(LOGITS, TARGETS)[0].backward()
        torch.testing.assert_close(loss.log_variance.grad, torch.zeros(3), rtol=0, atol=1e-6)

    def test_head_without_label_in_the_batch_is_left_out(self, tasks):
        loss = MultiTaskLoss(self.weighted(tasks), NONE, "uncertainty")
        with torch.no_grad():
            loss.log_variance.copy_(torch.tensor([0.0, -1.0, 0.0]))
        silent = {**TARGETS, "bleeding": torch.full((2, 1), IGNORE, dtype=torch.uint8)}
        total, losses = loss(LOGITS, silent)
        assert losses["bleeding"] == 0
        assert total.item() == pytest.approx(math.log(2) + 0.5 * math.log(3))
        total.backward()
        assert loss.log_variance.grad[1] == 0
        assert (loss.log_variance.grad[[0, 2]] != 0).all()

    def test_fixed_has_nothing_to_learn(self, tasks):
        assert not MultiTaskLoss(tasks, NONE, "fixed").log_variance.requires_grad

    def test_class_weights_reach_the_loss(self, tasks):
        weights = {**NONE, "bleeding": torch.tensor([3.0])}
        _, losses = MultiTaskLoss(tasks, weights, "fixed")(LOGITS, TARGETS)
        assert losses["bleeding"] == pytest.approx(3 * math.log(4 / 3))

    def test_unknown_weighting(self, tasks):
        with pytest.raises(ValueError, match="must be fixed or uncertainty, not 'equal'"):
            MultiTaskLoss(tasks, NONE, "equal")


class TestDerived:
    def test_each_head_by_the_share_that_is_known(self, tasks):
        """Of tools 5 of 6 labels, of bleeding 1 of 2 and of anatomy 2 of 8 pixels; losses as above."""
        weighted = [Task(t.label_map, w) for t, w in zip(tasks, (1.0, 2.0, 0.5), strict=True)]
        known = {name: y.clone() for name, y in TARGETS.items()}
        known["bleeding"][0] = IGNORE
        known["anatomy"][:, 0] = IGNORE
        known["anatomy"][0] = IGNORE
        expected = [5 / 6 * math.log(2), 2 / 2 * math.log(4 / 3), 0.5 * 2 / 8 * math.log(3)]
        assert MultiTaskLoss(weighted, NONE, "fixed").of_derived(LOGITS, known).item() == pytest.approx(sum(expected))
        loss = MultiTaskLoss(weighted, NONE, "uncertainty")
        with torch.no_grad():
            loss.log_variance.copy_(torch.tensor([math.log(2), 0.0, -math.log(4)]))
        scaled = expected[0] / 2 + expected[1] + 4 * expected[2]
        assert loss.of_derived(LOGITS, known).item() == pytest.approx(scaled)
        assert not loss.of_derived(LOGITS, known).requires_grad  # the weights are not learnt by what nobody labelled

    def test_nothing_known(self, tasks):
        nothing = {name: torch.full_like(y, IGNORE) for name, y in TARGETS.items()}
        for frame, pixel in (("cross_entropy", "dice_cross_entropy"), ("focal", "focal")):
            loss = MultiTaskLoss(tasks, NONE, "fixed", frame, pixel)
            assert loss.of_derived(LOGITS, nothing) == 0
