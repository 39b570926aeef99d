"""A training is made once, and never taken for another."""

import errno
import json
from contextlib import contextmanager
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from miniature import surgery

from mtal.acquisition import Headroom, TopK
from mtal.datasets.masks import Masks
from mtal.frames.bounded_folder import BoundedFolder
from mtal.learning import trainings as trainings_module
from mtal.learning.augmentation import Augmentation
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.multi_task_loss import MultiTaskLoss
from mtal.learning.trainer_settings import TrainerSettings
from mtal.learning.trainings import FOLDER, Trainings
from mtal.learning.views import AugmentedInputs
from mtal.models import MultiTaskModel, build_encoder

AT = np.array([3, 0, 17, 20, 9, 26])
PATIENTS = ["a" if p < 16 else "b" for p in AT]
QUICK = TrainerSettings(steps=2, batch_size=4, accelerator="cpu")
UNTIL = replace(QUICK, until="plateau", patience=1, measure_every=1, most_steps=3)


@pytest.fixture
def bound(tmp_path):
    return BoundedFolder(tmp_path / "cache")


@pytest.fixture
def train(bound, tasks, features, targets):
    """Train as the loop does, with whatever is to be different: the weights after it and the record."""

    def run(bound=bound, **changes):
        model = changes.pop("model", None) or surgery.make_model(tasks)
        labels = changes.pop("labels", None) or {name: y[AT] for name, y in targets.items()}
        asked = {"inputs": features, "positions": AT, "settings": QUICK, "seed": 5, **changes}
        asked = {"tasks": tasks, "patients": PATIENTS, "videos": PATIENTS, **asked}
        training = Trainings(bound).fit_judged(model, labels=labels, **asked)
        assert model.training == (training.steps == 0)  # made or read, it is left in evaluation mode
        return {name: x.clone() for name, x in model.trained_state().items()}, training

    return run


def kept(bound) -> int:
    return len(list((bound.root / FOLDER).glob("*.safetensors")))


def never(*args, **kwargs):
    raise AssertionError("it was to be read")


@pytest.mark.parametrize("settings", [QUICK, UNTIL, replace(QUICK, ema=0.9)], ids=["steps", "plateau", "average"])
def test_read_as_it_was_made(train, bound, monkeypatch, settings):
    made, alone = train(settings=settings), train(bound=None, settings=settings)
    monkeypatch.setattr(trainings_module, "fit_judged", never)
    read = train(settings=settings)
    assert kept(bound) == 1
    for weights, training in (alone, read):
        assert all(torch.equal(weights[name], x) for name, x in made[0].items())
        assert training.record() == made[1].record()
    assert json.dumps(asdict(read[1])) == json.dumps(asdict(made[1]))  # not a number is equal to none


def test_a_model_that_goes_on_learns_as_if_trained_here(train, bound, tasks):
    """The next round begins from the weights that were read, in a model that trains as one does that made them."""
    models = [surgery.make_model(tasks) for _ in range(2)]
    ends = []
    for model in models:
        train(model=model)
        ends.append(train(model=model, seed=6, bound=None)[0])
    assert kept(bound) == 1
    assert all(torch.equal(ends[1][name], x) for name, x in ends[0].items())


def changed_label(targets):
    labels = {name: y[AT].copy() for name, y in targets.items()}
    labels["anatomy"][0, 0, 0] ^= 1
    return labels


def other_normalisation(tasks):
    """An encoder that learns sees pictures by it."""
    model = surgery.make_model(tasks)
    model.encoder.normalisation = model.encoder.normalisation._replace(channels="bgr")
    return model


def other_weights(tasks):
    model = surgery.make_model(tasks)
    with torch.no_grad():
        next(model.heads["tools"].parameters())[0] += 1e-6
    return model


DIFFERENT = {
    "seed": lambda **k: {"seed": 6},
    "order of frames": lambda targets, **k: {
        "positions": AT[::-1].copy(), "labels": {t: y[AT[::-1]] for t, y in targets.items()}
    },
    "frames": lambda **k: {"positions": AT + 1},
    "one pixel": lambda targets, **k: {"labels": changed_label(targets)},
    "settings": lambda **k: {"settings": replace(QUICK, learning_rate=0.003)},
    "weighting": lambda **k: {"weighting": "uncertainty"},
    "patients": lambda **k: {"patients": PATIENTS[::-1]},
    "dropout": lambda tasks, **k: {"model": surgery.make_model(tasks, dropout=0.6)},
    "normalisation": lambda tasks, **k: {"model": other_normalisation(tasks)},
    "one weight": lambda tasks, **k: {"model": other_weights(tasks)},
    "weight of a head": lambda tasks, **k: {"tasks": [replace(tasks[0], weight=2.0), *tasks[1:]]},
    "views": lambda features, **k: {"inputs": AugmentedInputs(features, Augmentation(flip=True), 0)},
    "frames' content": lambda features, **k: {"inputs": Renamed(features)},
}  # fmt: skip


class Renamed:
    """Inputs of other pictures: their key is another."""

    def __init__(self, inputs):
        self.inputs, self.key = inputs, "other"

    def __len__(self):
        return len(self.inputs)

    def batch(self, positions):
        return self.inputs.batch(positions)


@pytest.mark.parametrize("what", DIFFERENT)
def test_another_training_is_another(train, bound, tasks, features, targets, monkeypatch, what):
    train()
    made = []
    monkeypatch.setattr(trainings_module, "fit_judged", lambda *a, **k: made.append(1) or train_nothing())
    train(**DIFFERENT[what](tasks=tasks, features=features, targets=targets))
    assert made
    assert kept(bound) == 2


def train_nothing():
    return trainings_module.Training(steps=0, passes=0.0, kept_step=0)


def test_neighbours_of_the_past_are_others_than_those_of_both_sides(bound, tasks, features, monkeypatch):
    """Both models have as many weights, and the same."""
    monkeypatch.setattr(trainings_module, "fit_judged", lambda *a, **k: train_nothing())
    models = []
    for window, causal in ((1, False), (2, True)):
        torch.manual_seed(0)
        options = {
            "channels": 32,
            "hidden": 16,
            "frozen": True,
            "temporal": "attention",
            "window": window,
            "causal": causal,
        }
        models.append(MultiTaskModel(build_encoder(surgery.ENCODER), tasks, **options))
    states = [model.trained_state() for model in models]
    assert all(torch.equal(states[1][name], x) for name, x in states[0].items())
    for model in models:
        Trainings(bound).fit_judged(model, tasks, features, AT, {}, QUICK, patients=PATIENTS, videos=PATIENTS, seed=5)
    assert kept(bound) == 2


@pytest.mark.parametrize("part", ["code", "threads", "library"])
def test_other_surroundings_are_others(train, bound, monkeypatch, part):
    train()
    if part == "code":
        monkeypatch.setattr(trainings_module, "_code", lambda: "other")
    elif part == "threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: 97)
    else:
        monkeypatch.setattr(trainings_module, "version", lambda name: "0")
    train()
    assert kept(bound) == 2


def test_masks_one_by_one_are_told_apart_too(train, bound, targets):
    labels = {name: y[AT] for name, y in targets.items()}
    for pixel in (0, 1):
        anatomy = labels["anatomy"].copy()
        anatomy[2, 3, 3] = pixel
        train(labels={**labels, "anatomy": Masks.of(anatomy)})
    assert kept(bound) == 2


def test_val_and_frames_without_a_label_are_not_in_the_digest_so_nothing_is_kept(train, bound, monkeypatch):
    monkeypatch.setattr(trainings_module, "fit_judged", lambda *a, **k: train_nothing())
    train(settings=UNTIL, measure_val=never)
    train(derived=["some"])
    assert kept(bound) == 0
    train(settings=QUICK, measure_val=never)  # nobody measures it
    assert kept(bound) == 1


def test_cross_validation_is_read_as_it_was_made(bound, tasks, features, targets, monkeypatch):
    labels = {name: y[AT] for name, y in targets.items()}

    def run(bound=bound, **options):
        make = lambda: surgery.make_model(tasks)  # noqa: E731
        options = {"folds": 2, "groups": [PATIENTS], **options}
        return Trainings(bound).out_of_fold(make, tasks, features, AT, labels, QUICK, **options)

    made = run()
    run(folds=3)
    assert kept(bound) == 2
    monkeypatch.setattr(trainings_module, "out_of_fold", never)
    read = run()
    assert read.scores == made.scores
    assert set(read.heads) == {t.name for t in tasks}
    for name, head in made.heads.items():
        assert torch.equal(read.heads[name].probs, head.probs)
        assert read.heads[name].probs.dtype == torch.float64
        assert (read.heads[name].family, read.heads[name].grid) == (head.family, head.grid)
        assert torch.equal(read.targets[name], made.targets[name])
    with pytest.raises(AssertionError, match="to be read"):
        run(bound=None)


def test_oldest_are_deleted_when_room_is_short(tmp_path, train):
    small = BoundedFolder(tmp_path / "small", 2**31)
    train(bound=small)
    (first,) = (small.root / FOLDER).iterdir()
    del small  # what a living process uses never goes
    tight = BoundedFolder(tmp_path / "small", int(1.5 * first.stat().st_size))
    train(bound=tight, seed=7)
    (second,) = (tight.root / FOLDER).iterdir()
    assert second != first


def test_a_damaged_file_is_trained_again(train, bound, caplog):
    made = train()[0]
    (file,) = (bound.root / FOLDER).iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    again = train()[0]
    assert all(torch.equal(again[name], x) for name, x in made.items())
    assert file.read_bytes() == whole
    assert [r.getMessage().split(": damaged (")[0] for r in caplog.records] == [str(file)]


def test_a_full_disk_costs_no_training(train, bound, caplog, monkeypatch):
    @contextmanager
    def full(file, **options):
        raise OSError(errno.ENOSPC, "No space left on device")
        yield

    monkeypatch.setattr(trainings_module, "whole_or_not", full)
    assert train()[1].steps == QUICK.steps
    (told,) = [r.getMessage() for r in caplog.records]
    assert told.endswith(": not kept (No space left on device), so a run that begins alike trains again")


def test_runs_that_pick_otherwise_share_their_first_round(experiment, start, bound, tmp_path, monkeypatch):
    """Two strategies, the second with cross-validation: one first training in all, and both as if they ran alone."""
    headroom = surgery.make_acquisition(weights=Headroom(), selector=TopK())
    steps = []
    seen = MultiTaskLoss.forward

    def counted(self, *args):
        steps.append(1)
        return seen(self, *args)

    monkeypatch.setattr(MultiTaskLoss, "forward", counted)
    loop = LoopSettings(6, 3, 1, folds=2)

    def run(name, trainings, acquisition=None):
        changes = {} if acquisition is None else {"acquisition": acquisition}
        made = experiment(loop=loop, trainer=QUICK, trainings=trainings, **changes)
        steps.clear()
        start(made, tmp_path / name)
        files = sorted((tmp_path / name).glob("rounds/*/metrics.json"))
        return len(steps), [{**json.loads(f.read_text()), "seconds": 0} for f in files]

    alone = run("alone", Trainings(), headroom)
    first = run("first", Trainings(bound))
    second = run("second", Trainings(bound), headroom)
    again = run("again", Trainings(bound), headroom)
    assert alone[1] == second[1] == again[1]
    assert first[0] == 2 * QUICK.steps
    assert alone[0] == 4 * QUICK.steps  # two rounds, two folds
    assert second[0] == 3 * QUICK.steps
    assert again[0] == 0
