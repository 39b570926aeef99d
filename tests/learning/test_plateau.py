"""Scores that are laid down beforehand stand in for val, so that every decision can be worked out by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from miniature import surgery

from mtal.learning.plateau import SLOWER, UntilPlateau
from mtal.learning.trainer_settings import TrainerSettings
from mtal.learning.training import fit

AT = np.array([3, 0, 17, 20, 9, 26])


class Model(torch.nn.Linear):
    def __init__(self):
        super().__init__(1, 1, bias=False)

    def trained_state(self):
        return self.state_dict()


def walked(scores, patience=2, every=10, most=1000, batches=1):
    """A training of which step s has the weight s."""
    given = iter(scores)
    plateau = UntilPlateau(lambda model, device: {"joint": next(given)}, patience, every)
    module = SimpleNamespace(model=Model(), device=torch.device("cpu"), rate=1.0)
    trainer = SimpleNamespace(global_step=0, max_steps=most, should_stop=False)
    slowed = 0
    while not trainer.should_stop and trainer.global_step < most:
        for _ in range(batches - 1):
            plateau.on_train_batch_end(trainer, module)
        trainer.global_step += 1  # with the last of the batches whose gradients make a step
        module.model.weight.data.fill_(trainer.global_step)
        plateau.on_train_batch_end(trainer, module)
        slowed = slowed or (trainer.global_step if module.rate == SLOWER else 0)
    plateau.restore(module.model)
    return plateau, trainer.global_step, slowed, module.model.weight.item()


class TestUntilPlateau:
    def test_waits_at_both_rates_and_keeps_the_best(self):
        # best of the full rate at step 20, two without a rise: slower at 40; best at 50, two without: over at 70
        plateau, steps, slowed, weight = walked([0.1, 0.3, 0.2, 0.3, 0.5, 0.5, 0.4])
        assert (steps, slowed, weight) == (70, 40, 50)
        assert plateau.converged
        assert plateau.best_step == 50
        assert plateau.best == {"joint": 0.5}
        assert plateau.scores[:2] == [(10, 0.1), (20, 0.3)]

    def test_steps_run_out(self):
        plateau, steps, slowed, weight = walked([0.1, 0.2, 0.15, 0.3], most=35)
        assert (steps, slowed, weight) == (35, 0, 35)
        assert plateau.scores[-1] == (35, 0.3)  # the last step is measured
        assert not plateau.converged

    def test_nan_is_no_rise(self):
        plateau, steps, _, weight = walked([math.nan, 0.2, math.nan, math.nan, math.nan, 0.1])
        assert (steps, weight) == (60, 20)
        assert plateau.converged

    def test_what_cannot_be_measured_has_not_converged(self):
        plateau, steps, _, weight = walked([math.nan] * 4)
        assert (steps, weight) == (40, 40)
        assert not plateau.converged
        assert plateau.best == {}

    def test_a_step_of_several_batches_is_measured_once(self):
        """And none is before the first, when nothing has been learnt."""
        plateau, steps, slowed, weight = walked([0.3, 0.2, 0.1, 0.1, 0.1], batches=3)
        assert [step for step, _ in plateau.scores] == [10, 20, 30, 40, 50]
        assert (steps, slowed, weight, plateau.best_step) == (50, 30, 10, 10)


@pytest.fixture(scope="module")
def short(tasks, features, targets):
    """A training that val stops: what it was, the model, and what it was worth at each measurement."""
    given = iter([0.1, 0.4, 0.3, 0.2])
    seen = []

    def measure(model, device):
        model.eval()
        seen.append({name: x.clone() for name, x in model.trained_state().items()})
        return {"joint": next(given)}

    settings = TrainerSettings(
        until="plateau", patience=1, measure_every=2, batch_size=3, accelerator="cpu", learning_rate=0.01
    )
    model = surgery.make_model(tasks)
    labels = {name: y[AT] for name, y in targets.items()}
    return fit(model, tasks, features, AT, labels, settings, seed=1, measure=measure), model, seen


class TestFit:
    def test_stops_and_says_so(self, short):
        training, _, _ = short
        assert training.scores == [(2, 0.1), (4, 0.4), (6, 0.3), (8, 0.2)]
        assert (training.steps, training.passes, training.kept_step) == (8, 4.0, 4)
        assert training.converged is True
        assert training.val == {"joint": 0.4}

    def test_best_weights_are_kept(self, short):
        _, model, seen = short
        assert not model.training
        assert all(torch.equal(x, seen[1][name]) for name, x in model.trained_state().items())
        assert any(not torch.equal(x, seen[1][name]) for name, x in seen[3].items())

    def test_trains_on_after_a_measurement_and_slower_after_a_plateau(self, short):
        _, _, seen = short

        def way(a, b):
            return sum(float((b[n] - a[n]).abs().sum()) for n in a if n.endswith("last.weight"))

        assert way(seen[0], seen[1]) > 0
        assert way(seen[2], seen[3]) < 0.8 * way(seen[1], seen[2])  # one step as before, one of a tenth

    def test_nothing_to_measure_by(self, tasks, features, targets):
        with pytest.raises(ValueError, match=r"trainer\.until=plateau needs val to be measured, and there is nothing"):
            fit(surgery.make_model(tasks), tasks, features, AT, targets, TrainerSettings(until="plateau"))


@pytest.mark.parametrize(("frames", "batch", "devices", "expected"), [(24, 8, 1, 6), (25, 8, 1, 7), (3, 8, 2, 1)])
def test_epochs_are_passes(frames, batch, devices, expected):
    """Two passes over 24 frames are 48, which are six batches of 8."""
    assert TrainerSettings(until="epochs", epochs=2, batch_size=batch, devices=devices).length(frames) == expected


def test_epochs_are_trained(tasks, features, targets):
    settings = TrainerSettings(until="epochs", epochs=2, batch_size=4, accelerator="cpu")
    labels = {name: y[AT] for name, y in targets.items()}
    training = fit(surgery.make_model(tasks), tasks, features, AT, labels, settings)
    assert (training.steps, training.passes, training.converged) == (3, 2.0, None)
