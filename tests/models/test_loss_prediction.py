import math

import pytest
import torch
from agreement import record
from torch.nn import functional

from mtal.models import LossPrediction, MultiTaskModel, build_encoder, ranking_loss


@pytest.fixture(scope="module")
def models(tasks):
    """The same model with a loss prediction and without."""

    def build(loss_prediction):
        torch.manual_seed(0)
        encoder = build_encoder("test_efficientnet")
        return MultiTaskModel(encoder, tasks, "fpn", 32, hidden=16, loss_prediction=loss_prediction).eval()

    return build(True), build(False)


class TestLossPrediction:
    def test_one_positive_number_per_head_and_frame(self, models, tasks, images):
        with torch.no_grad():
            predicted = models[0](images).predicted_losses
        assert list(predicted) == [t.name for t in tasks]
        for values in predicted.values():
            assert values.shape == (2,)
            assert (values > 0).all()
            assert values[0] != values[1]

    def test_the_rest_of_the_model_is_as_without_it(self, models, images):
        with_it, without = models
        state = with_it.state_dict()
        assert all(torch.equal(v, state[k]) for k, v in without.state_dict().items())
        with torch.no_grad():
            a, b = with_it(images), without(images)
        assert b.predicted_losses is None
        assert all(torch.equal(a.heads[n].logits, b.heads[n].logits) for n in a.heads)

    def test_no_gradient_flows_into_the_model(self, models, images):
        model = models[0]
        sum(p.sum() for p in model(images).predicted_losses.values()).backward()
        assert all(p.grad is not None for p in model.loss_prediction.parameters())
        assert all(p.grad is None for n, p in model.named_parameters() if not n.startswith("loss_prediction."))
        model.zero_grad()

    def test_is_part_of_what_is_saved(self, models):
        assert any(k.startswith("loss_prediction.") for k in models[0].trained_state())

    def test_every_view_is_read(self):
        torch.manual_seed(0)
        module = LossPrediction((4, 3, 5), ["tools", "anatomy"], hidden=6)
        views = [torch.randn(2, n) for n in (4, 3, 5)]
        before = module(views)["anatomy"]
        for i in range(3):
            changed = [v + torch.randn_like(v) if i == j else v for j, v in enumerate(views)]
            assert not torch.equal(module(changed)["anatomy"], before)


class TestRankingLoss:
    def test_worked_example(self):
        # pairs (0, 2) and (1, 3): larger true loss first, lead 0.5 of 1: 0.5; smaller first, lead −2 of 1: 0
        loss = ranking_loss(torch.tensor([0.5, 1.0, 0.0, 3.0]), torch.tensor([2.0, 1.0, 1.0, 5.0]))
        assert loss.item() == pytest.approx(0.25)

    @pytest.mark.parametrize("margin", [0.5, 1.0, 2.0])
    def test_agrees_with_margin_ranking_loss(self, margin):
        generator = torch.Generator().manual_seed(0)
        predicted, losses = torch.randn(2, 12, generator=generator)
        sign = torch.where(losses[:6] > losses[6:], 1.0, -1.0)
        expected = functional.margin_ranking_loss(predicted[:6], predicted[6:], sign, margin=margin)
        loss = ranking_loss(predicted, losses, margin)
        record("loss-prediction ranking loss", "torch margin_ranking_loss", (loss - expected).abs().item())
        torch.testing.assert_close(loss, expected)

    def test_odd_one_out(self):
        predicted, losses = torch.tensor([0.0, 0.0, 9.0]), torch.tensor([1.0, 2.0, 3.0])
        assert ranking_loss(predicted, losses) == ranking_loss(predicted[:2], losses[:2]) == 1

    def test_equal_losses_say_nothing(self):
        assert ranking_loss(torch.tensor([0.0, 3.0, 0.0, 0.0]), torch.tensor([1.0, 2.0, 1.0, 1.0])).item() == 0
        assert ranking_loss(torch.tensor([0.0, 0.0]), torch.ones(2)).item() == 0

    @pytest.mark.parametrize("frames", [0, 1])
    def test_without_a_pair(self, frames):
        predicted = torch.full((frames,), math.inf, requires_grad=True)
        loss = ranking_loss(predicted, torch.ones(frames))
        assert loss == 0
        loss.backward()
        assert (predicted.grad == 0).all()

    def test_true_losses_get_no_gradient(self):
        losses = torch.tensor([1.0, 2.0], requires_grad=True)
        ranking_loss(torch.zeros(2, requires_grad=True), losses).backward()
        assert losses.grad is None
