from types import SimpleNamespace

import numpy as np
import pytest
import torch
from miniature import surgery

from mtal.learning.trainer_settings import TrainerSettings
from mtal.learning.training import fit
from mtal.learning.weight_average import WeightAverage

AT = np.array([3, 0, 17, 20, 9, 26])


def test_worked_by_hand():
    """Step 1 takes the weight; step s keeps min(decay, 1 − s^(−2/3)) of the average, s counted from the second."""
    model = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False))
    module, trainer = SimpleNamespace(model=model), SimpleNamespace(global_step=0)
    average = WeightAverage(0.5)
    average.on_train_start(trainer, module)
    expected = None
    for step in range(1, 6):
        trainer.global_step = step
        model[0].weight.data.fill_(step)
        for _ in range(2):  # two batches a step
            average.on_train_batch_end(trainer, module)
        keep = 0.0 if step < 2 else min(0.5, 1 - step ** (-2 / 3))
        expected = float(step) if expected is None else keep * expected + (1 - keep) * step
        assert average.model[0].weight.item() == pytest.approx(expected, rel=1e-6)
    average.on_train_end(trainer, module)
    assert model[0].weight.item() == pytest.approx(expected, rel=1e-6)


class Trained:
    """Six steps of four frames."""

    def __init__(self, tasks, inputs, targets):
        self.tasks, self.inputs, self.labels = tasks, inputs, {name: y[AT] for name, y in targets.items()}

    def __call__(self, measure=None, **options):
        settings = TrainerSettings(**{"steps": 6, "batch_size": 4, "accelerator": "cpu", **options})
        model = surgery.make_model(self.tasks)
        training = fit(model, self.tasks, self.inputs, AT, self.labels, settings, seed=1, measure=measure)
        return training, {k: v.clone() for k, v in model.trained_state().items()}


@pytest.fixture
def trained(tasks, features, targets):
    return Trained(tasks, features, targets)


def apart(a, b):
    return sum(float((a[k] - b[k]).abs().sum()) for k in a if a[k].is_floating_point())


@pytest.mark.parametrize("frozen", [True, False])
def test_all_that_training_changes_is_followed(tasks, frozen):
    model = surgery.make_model(tasks)
    model.frozen = frozen
    model.encoder.requires_grad_(not frozen)
    average = WeightAverage(0.5)
    average.on_train_start(SimpleNamespace(global_step=0), SimpleNamespace(model=model))
    with torch.no_grad():
        for value in model.state_dict().values():
            value.add_(1)
    average.on_train_batch_end(SimpleNamespace(global_step=1), SimpleNamespace(model=model))  # takes what is there
    changed = {
        name for name, value in average.model.state_dict().items() if torch.equal(value, model.state_dict()[name])
    }
    assert changed >= {n for n, v in model.trained_state().items() if v.is_floating_point()}
    assert any(name.startswith("encoder.") for name in changed) == (not frozen)


class TestFit:
    def test_the_average_is_kept(self, trained):
        _, plain = trained()
        _, averaged = trained(ema=0.9)
        _, again = trained(ema=0.9)
        start = surgery.make_model(trained.tasks).trained_state()
        assert apart(averaged, again) == 0
        assert apart(averaged, plain) > 0
        assert apart(averaged, start) < apart(plain, start)  # it lags behind

    def test_val_measures_the_average(self, trained):
        seen = []

        def measure(model, device):
            seen.append({k: v.clone() for k, v in model.trained_state().items()})
            return {"joint": float(len(seen))}

        options = {"until": "plateau", "most_steps": 4, "measure_every": 2}
        training, averaged = trained(measure, ema=0.9, **options)
        assert training.kept_step == 4
        assert apart(averaged, seen[-1]) == 0
        assert apart(seen[-1], trained(measure, **options)[1]) > 0

    def test_a_step_of_several_batches_is_one_step(self, trained):
        training, _ = trained(accumulate=3, steps=2)
        assert (training.steps, training.passes) == (2, 4.0)

    def test_clip_can_be_left_out(self, trained):
        options = {"learning_rate": 0.05, "steps": 2}
        _, clipped = trained(clip=1e-4, **options)
        _, free = trained(clip=None, **options)
        assert apart(clipped, free) > 0
