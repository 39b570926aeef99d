import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from agreement import record
from axioms.heads import KINDS, posterior, random_head
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from mtal.acquisition.calibration import calibrated, fit_temperature
from mtal.datasets.label_map import IGNORE
from mtal.tasks.posterior import HeadOutput


def labelled_head(family, sites, temperature=3.0, frames=300, classes=3, members=None, seed=0):
    """Labels drawn from the posterior of logits z, and a head that believes in z·temperature; a third unlabelled."""
    generator = torch.Generator().manual_seed(seed)
    lead = () if members is None else (members,)
    logits = torch.randn(*lead, frames, sites, classes, generator=generator, dtype=torch.float64)
    truth = posterior(family, logits if members is None else logits.mean(dim=0))
    if family == "bernoulli":
        targets = truth.bernoulli(generator=generator)
    else:
        targets = truth.flatten(0, 1).multinomial(1, generator=generator).reshape(frames, sites)
    targets = targets.to(torch.uint8)
    targets[torch.rand(targets.shape, generator=generator) < 0.3] = IGNORE
    return HeadOutput(family, posterior(family, logits * temperature)), targets, logits * temperature


def negative_log_likelihood(family, logits, targets):
    """Of a single posterior, by torch's own losses."""
    if family == "bernoulli":
        known = targets != IGNORE
        return binary_cross_entropy_with_logits(logits[known], targets[known].double())
    return cross_entropy(logits.flatten(0, 1), targets.flatten().long(), ignore_index=IGNORE)


class TestFit:
    @pytest.mark.parametrize(("family", "sites"), KINDS)
    @pytest.mark.parametrize("sureness", [0.4, 1.0, 3.0])
    def test_loss_is_stationary(self, family, sites, sureness):
        head, targets, logits = labelled_head(family, sites, sureness)
        temperature = torch.tensor(fit_temperature(head, targets), dtype=torch.float64, requires_grad=True)
        loss = negative_log_likelihood(family, logits / temperature, targets)
        (slope,) = torch.autograd.grad(loss, temperature)
        record("temperature", "autograd, slope of the loss at the fit", slope.abs())
        assert slope.abs() < 1e-6
        for nearby in (0.99, 1.01):
            assert negative_log_likelihood(family, logits / (temperature * nearby), targets) > loss

    @pytest.mark.parametrize(("family", "sites"), KINDS)
    def test_agrees_with_a_grid(self, family, sites):
        head, targets, logits = labelled_head(family, sites)
        grid = torch.linspace(-math.log(20), math.log(20), 2401, dtype=torch.float64).exp()
        losses = torch.stack([negative_log_likelihood(family, logits / t, targets) for t in grid])
        steps = math.log(fit_temperature(head, targets) / grid[losses.argmin()]) / (2 * math.log(20) / 2400)
        assert abs(steps) <= 0.51

    def test_agrees_with_sklearn_loss_minimised_by_scipy(self):
        head, targets, logits = labelled_head("categorical", 4)
        known = (targets != IGNORE).numpy()

        def loss(temperature):
            return log_loss(
                targets.numpy()[known], (logits / temperature).softmax(dim=-1).numpy()[known], labels=range(3)
            )

        expected = minimize_scalar(loss, bounds=(1.0, 9.0), method="bounded", options={"xatol": 1e-9}).x
        error = abs(fit_temperature(head, targets) / expected - 1)
        record("temperature", "sklearn log_loss minimised by scipy, relative", error)
        assert error < 1e-6

    @pytest.mark.parametrize(("family", "sites"), KINDS)
    def test_finds_the_temperature_that_labels_were_drawn_with(self, family, sites):
        head, targets, _ = labelled_head(family, sites, temperature=2.5, frames=6000 // sites)
        assert fit_temperature(head, targets) == pytest.approx(2.5, rel=0.1)

    def test_worked_example(self):
        # says 0.9 and is right 4 times of 5: σ(logit(0.9)/T) = 0.8, T = log 9/log 4
        head = HeadOutput("bernoulli", torch.full((5, 1, 1), 0.9, dtype=torch.float64))
        targets = torch.tensor([1, 1, 1, 1, 0], dtype=torch.uint8).reshape(5, 1, 1)
        assert fit_temperature(head, targets) == pytest.approx(math.log(9) / math.log(4), rel=1e-6)
        # the same with the classes exchanged, and as one of two classes
        assert fit_temperature(replace(head, probs=1 - head.probs), 1 - targets) == pytest.approx(1.584963, rel=1e-6)
        either = HeadOutput("categorical", torch.cat([1 - head.probs, head.probs], dim=2))
        assert fit_temperature(either, targets[..., 0]) == pytest.approx(1.584963, rel=1e-6)

    @pytest.mark.parametrize(("family", "sites"), KINDS)
    def test_members_are_averaged_after_calibration(self, family, sites):
        head, targets, _ = labelled_head(family, sites, members=4)
        known = targets != IGNORE

        def loss(temperature):
            probs = calibrated(head, temperature).probs.mean(dim=0)  # [N, S, C]
            if family == "bernoulli":
                return -torch.where(targets == 1, probs, 1 - probs)[known].log().mean().item()
            return -probs[known].gather(1, targets[known].long()[:, None]).log().mean().item()

        fitted = fit_temperature(head, targets)
        assert loss(fitted) < min(loss(fitted * 0.999), loss(fitted * 1.001), loss(1.0))
        expected = minimize_scalar(
            lambda t: loss(math.exp(t)), bounds=(-2, 2), method="bounded", options={"xatol": 1e-9}
        )
        error = abs(fitted / math.exp(expected.x) - 1)
        record("temperature of members", "loss of the mean posterior minimised by scipy, relative", error)
        assert error < 1e-6

    def test_equal_members_are_as_one(self):
        head, targets, _ = labelled_head("categorical", 4)
        members = replace(head, probs=head.probs.repeat(3, 1, 1, 1))
        assert fit_temperature(members, targets) == pytest.approx(fit_temperature(head, targets), rel=1e-6)

    @pytest.mark.parametrize(("family", "sites"), KINDS)
    def test_unlabelled_answers_do_not_count(self, family, sites):
        head, targets, _ = labelled_head(family, sites)
        other = head.probs.clone()
        unlabelled = targets == IGNORE
        other[unlabelled] = 0.5 if family == "bernoulli" else torch.tensor([0.1, 0.1, 0.8]).double()
        assert fit_temperature(replace(head, probs=other), targets) == fit_temperature(head, targets)

    def test_sites_that_are_not_valid_do_not_count(self):
        for family in ("bernoulli", "categorical"):
            head, targets, _ = labelled_head(family, 4)
            valid = torch.rand(300, 4, generator=torch.Generator().manual_seed(1)) > 0.4
            hidden = targets.clone()
            hidden[~valid] = IGNORE
            expected = fit_temperature(head, hidden)
            assert fit_temperature(replace(head, valid=valid), targets) == expected
            assert expected != fit_temperature(head, targets)

    def test_nothing_labelled_changes_nothing(self):
        head, targets, _ = labelled_head("categorical", 4)
        assert fit_temperature(head, torch.full_like(targets, IGNORE)) == 1.0
        assert fit_temperature(HeadOutput("bernoulli", torch.zeros(0, 1, 2)), torch.zeros(0, 1, 2)) == 1.0

    def test_no_error_changes_nothing(self):
        """The likelihood has no maximum then: every smaller temperature is better."""
        probs = torch.tensor([[[0.9, 0.2]], [[0.6, 0.5]]])
        assert fit_temperature(HeadOutput("bernoulli", probs), torch.tensor([[[1, 0]], [[1, 1]]])) == 1.0
        head = HeadOutput("categorical", torch.tensor([[[0.9, 0.1]], [[0.4, 0.6]]]))
        assert fit_temperature(head, torch.tensor([[0], [1]])) == 1.0
        assert fit_temperature(head, torch.tensor([[0], [0]])) != 1.0

    def test_a_head_worse_than_chance_is_levelled(self):
        head = HeadOutput("bernoulli", torch.full((3, 1, 1), 0.9))
        assert fit_temperature(head, torch.zeros(3, 1, 1)) == pytest.approx(20.0, rel=1e-6)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
    def test_probabilities_of_exactly_zero_and_one(self, dtype):
        probs = torch.tensor([1.0] * 30 + [0.0, 0.3], dtype=dtype).reshape(-1, 1, 1)
        targets = torch.ones(32, 1, 1, dtype=torch.uint8)
        fitted = fit_temperature(HeadOutput("bernoulli", probs), targets)
        either = HeadOutput("categorical", torch.cat([1 - probs, probs], dim=2))
        assert 1 < fitted < 20
        assert fit_temperature(either, targets[..., 0]) == pytest.approx(fitted, rel=1e-3)

    @pytest.mark.parametrize("shape", [(6, 1), (6, 1, 2), (5, 1, 3)])
    def test_other_shapes_are_refused(self, shape):
        with pytest.raises(ValueError, match=r"targets of a bernoulli head must be \[6, 1, 3\], not"):
            fit_temperature(random_head("bernoulli", 1), torch.zeros(shape))
        with pytest.raises(ValueError, match=r"targets of a categorical head must be \[6, 4\], not"):
            fit_temperature(random_head("categorical", 4), torch.zeros(shape))

    def test_numbers_that_are_no_class_are_refused(self):
        with pytest.raises(ValueError, match="targets hold 2; they must be below 2, or 255"):
            fit_temperature(random_head("bernoulli", 1), torch.full((6, 1, 3), 2))
        with pytest.raises(ValueError, match="targets hold 3; they must be below 3, or 255"):
            fit_temperature(random_head("categorical", 1), torch.full((6, 1), 3))
        with pytest.raises(ValueError, match="targets hold -1;"):
            fit_temperature(random_head("categorical", 1), torch.full((6, 1), -1))


class TestCalibrated:
    @pytest.mark.parametrize(("family", "sites"), KINDS)
    @pytest.mark.parametrize("members", [None, 4])
    def test_agrees_with_scaled_logits(self, family, sites, members):
        head, _, logits = labelled_head(family, sites, temperature=1.0, members=members)
        for temperature in (0.3, 1.0, 4.0):
            error = (calibrated(head, temperature).probs - posterior(family, logits / temperature)).abs().max()
            record("calibrated posterior", "sigmoid or softmax of the scaled logits", error)
            assert error < 1e-14

    @pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
    def test_one_is_the_identity(self, dtype):
        for family in ("bernoulli", "categorical"):
            probs = torch.tensor([[[0.0, 1.0]], [[0.25, 0.75]], [[0.5, 0.5]], [[0.001, 0.999]]], dtype=dtype)
            again = calibrated(HeadOutput(family, probs), 1.0).probs
            torch.testing.assert_close(again, probs.to(again.dtype), rtol=0, atol=3 * torch.finfo(dtype).eps)

    @pytest.mark.parametrize(("family", "sites"), KINDS)
    @pytest.mark.parametrize("temperature", [0.05, 0.7, 20.0])
    def test_likeliest_answer_and_order_stay(self, family, sites, temperature):
        head = random_head(family, sites, frames=50)
        probs = calibrated(head, temperature).probs
        if family == "bernoulli":
            assert torch.equal(probs > 0.5, head.probs > 0.5)
        else:
            torch.testing.assert_close(probs.sum(dim=-1), torch.ones(50, sites).double())
            assert torch.equal(probs.argmax(dim=-1), head.probs.argmax(dim=-1))
        surer = probs.amax(dim=-1) > head.probs.amax(dim=-1)
        if family == "categorical":
            assert surer.all() == (temperature < 1)

    def test_other_fields_stay(self):
        head = HeadOutput(
            "categorical",
            torch.full((2, 3, 4, 2), 0.5),
            torch.ones(3, 4, dtype=torch.bool),
            torch.zeros(3, 4, 5),
            bias=False,
            grid=(2, 2),
            shared_gradient=torch.zeros(3, 7),
            predicted_loss=torch.zeros(3),
            class_weights=torch.ones(2),
        )
        cooler = calibrated(head, 2.0)
        assert cooler.members is not None
        for field in fields(HeadOutput):
            assert getattr(head, field.name) is not None
            assert field.name == "probs" or getattr(cooler, field.name) is getattr(head, field.name)

    def test_calibration_closes_the_gap_between_belief_and_truth(self):
        """Mean probability of the likeliest class against how often it is right."""
        head, targets, _ = labelled_head("categorical", 4, temperature=4.0, frames=3000)
        known = (targets != IGNORE).numpy()

        def gap(some):
            probs = some.probs.numpy()[known]
            return np.mean(probs.max(axis=1)) - np.mean(probs.argmax(axis=1) == targets.numpy()[known])

        assert gap(head) > 0.1
        assert abs(gap(calibrated(head, fit_temperature(head, targets)))) < 0.02

    @pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
    def test_impossible_temperatures_are_refused(self, temperature):
        with pytest.raises(ValueError, match=f"temperature must be above 0 and finite, not {temperature}"):
            calibrated(random_head("bernoulli", 1), temperature)
