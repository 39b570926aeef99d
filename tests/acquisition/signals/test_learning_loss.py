import torch
from axioms.signals import GradientAxioms

from mtal.acquisition.signals import LearningLoss
from mtal.tasks.posterior import HeadOutput


class TestLearningLoss(GradientAxioms):
    signal = LearningLoss()
    field = "predicted_loss"


def test_is_the_predicted_loss_but_not_below_zero():
    predicted = torch.tensor([1.5, -0.5, 0.0, 200.0])
    head = HeadOutput("bernoulli", torch.full((4, 1, 2), 0.5), predicted_loss=predicted)
    assert LearningLoss()(head).tolist() == [1.5, 0.0, 0.0, 200.0]


def test_gradient_stops_here():
    predicted = torch.ones(2, requires_grad=True)
    head = HeadOutput("bernoulli", torch.full((2, 1, 2), 0.5), predicted_loss=predicted)
    assert not LearningLoss()(head).requires_grad
