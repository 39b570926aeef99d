import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from miniature import surgery
from torch.nn import functional

from mtal.datasets.label_map import IGNORE
from mtal.learning.augmentation import Augmentation
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.pseudo_labels import confident, pseudo_labels, temperatures
from mtal.learning.trainer_settings import TrainerSettings
from mtal.learning.training import fit
from mtal.learning.unlabelled_settings import PseudoLabelling
from mtal.learning.views import AugmentedInputs, CachedViews
from mtal.scoring.inputs import FrameInputs
from mtal.tasks.posterior import HeadOutput

CPU = torch.device("cpu")
AT = np.arange(0, 32, 3)
SIZE = (surgery.SIZE, surgery.SIZE)
STRONG = Augmentation(flip=True, scale=0.7, brightness=0.2, views=3)
SETTINGS = PseudoLabelling(weight=1.0, threshold=0.7, share=1.0, frames=12)
TRAINER = TrainerSettings(steps=12, batch_size=4, accelerator="cpu", pseudo_labels=SETTINGS)


@pytest.fixture(scope="module")
def teacher(tasks, features, targets):
    model = surgery.make_model(tasks)
    learnt = np.arange(1, 32, 3)
    labels = {name: y[learnt] for name, y in targets.items()}
    fit(model, tasks, features, learnt, labels, TrainerSettings(steps=30, batch_size=8, accelerator="cpu"))
    return model


def made(teacher, tasks, features, *, scale=None, silent=(), site_weights=None):
    scale = {t.name: 1.0 for t in tasks} if scale is None else scale
    ids, videos = [f"f{k}" for k in AT], np.array(["v"] * len(AT))
    return pseudo_labels(
        teacher,
        tasks,
        features,
        ids,
        AT,
        videos,
        SETTINGS,
        CPU,
        SIZE,
        temperatures=scale,
        silent=silent,
        site_weights=site_weights,
    )


@torch.no_grad()
def logits_of(model, features, at=AT):
    return {name: head.logits for name, head in model.eval()(features.batch(at)).heads.items()}


class TestConfident:
    def test_one_of_several(self):
        probs = torch.tensor([[[0.9, 0.1], [0.89, 0.11], [0.05, 0.95]], [[0.5, 0.5]] * 3])
        valid = torch.tensor([[1.0, 1.0, 0.4], [1.0, 1.0, 1.0]])
        head = HeadOutput("categorical", probs, valid=valid)
        assert confident(head, 0.9).tolist() == [[0, IGNORE, IGNORE], [IGNORE] * 3]

    def test_any_number(self):
        head = HeadOutput("bernoulli", torch.tensor([[[0.95, 0.5, 0.125]], [[0.875, 0.2, 0.0]]]))
        assert confident(head, 0.875).tolist() == [[[1, IGNORE, 0]], [[1, IGNORE, 0]]]


class TestLabels:
    def test_as_probabilities_of_the_logits_say(self, teacher, tasks, features):
        found = made(teacher, tasks, features, scale={"tools": 0.25, "bleeding": 1.0, "anatomy": 1.5})
        logits = logits_of(teacher, features)
        tools = (logits["tools"].double() / 0.25).sigmoid().numpy()
        expected = np.where(tools >= 0.7, 1, np.where(1 - tools >= 0.7, 0, IGNORE))
        anatomy = np.exp(logits["anatomy"].double().numpy() / 1.5)
        anatomy /= anatomy.sum(axis=1, keepdims=True)
        masks = np.where(anatomy.max(axis=1) >= 0.7, anatomy.argmax(axis=1), IGNORE)
        masks = masks.repeat(SIZE[0] // masks.shape[1], axis=1).repeat(SIZE[1] // masks.shape[2], axis=2)
        rows = np.searchsorted(AT, found.positions)
        assert 0 < (expected != IGNORE).mean() < 1
        assert 0 < (masks != IGNORE).mean() < 1
        np.testing.assert_array_equal(found.targets["tools"], expected[rows])
        np.testing.assert_array_equal(found.targets["anatomy"][:], masks[rows])
        np.testing.assert_allclose(found.shares()["anatomy"], (masks[rows] != IGNORE).mean(axis=(1, 2)))

    def test_a_head_without_a_label_so_far_teaches_nothing(self, teacher, tasks, features):
        found = made(teacher, tasks, features, silent=["anatomy", "bleeding"])
        assert not found.shares()["anatomy"].any()
        assert (found.targets["bleeding"] == IGNORE).all()
        assert found.shares()["tools"].all()  # frames of which nothing is known are not there
        assert len(made(teacher, tasks, features, silent=[t.name for t in tasks])) == 0

    def test_where_nobody_would_label(self, teacher, tasks, features):
        def upper_half(task, rows, levels, grid):
            weights = torch.zeros(len(rows), *grid)
            weights[:, : grid[0] // 2] = 1
            return weights.flatten(1) if task.support == "pixel" else None

        masks = made(teacher, tasks, features, site_weights=upper_half).targets["anatomy"][:]
        assert (masks[:, SIZE[0] // 2 :] == IGNORE).all()
        assert (masks[:, : SIZE[0] // 2] != IGNORE).any()


class TestTemperatures:
    def test_of_least_loss_on_the_labels(self, tasks, features, targets):
        model = surgery.make_model(tasks)
        with torch.no_grad():
            model.heads["tools"].last.weight *= 8  # far too sure of itself
        labels = {name: y[AT] for name, y in targets.items()}
        found = temperatures(model, tasks, features, AT, labels, CPU)
        logits, y = logits_of(model, features)["tools"].double(), torch.from_numpy(labels["tools"]).double()

        def loss(temperature):
            return functional.binary_cross_entropy_with_logits(logits / temperature, y).item()

        assert found["tools"] > 1
        assert loss(found["tools"]) <= min(loss(found["tools"] * factor) for factor in (0.9, 0.99, 1.01, 1.1))
        with torch.no_grad():
            model.heads["tools"].last.weight /= 800  # and far too unsure
        assert temperatures(model, tasks, features, AT, labels, CPU)["tools"] == 1


class TestTraining:
    def fitted(self, tasks, inputs, targets, derived=()):
        model = surgery.make_model(tasks, dropout=0.0)
        labels = {name: y[AT] for name, y in targets.items()}
        fit(
            model, tasks, inputs, AT, labels, TrainerSettings(steps=3, batch_size=4, accelerator="cpu"), derived=derived
        )
        return model.trained_state()

    def test_without_weight_they_change_nothing_and_with_it_they_do(self, teacher, tasks, features, targets):
        derived = made(teacher, tasks, features)
        alone = self.fitted(tasks, features, targets)
        for weight, same in ((0.0, True), (1.0, False)):
            beside = self.fitted(tasks, features, targets, [replace(derived, weight=weight)])
            assert all(torch.equal(alone[name], beside[name]) for name in alone) is same

    def test_views_of_them_and_never_themselves(self, teacher, tasks, features, frames, targets, monkeypatch, tmp_path):
        shown = []
        draw = Augmentation.draw

        def watched(self, seed, positions, views):
            shown.append((positions.tolist(), views.tolist()))
            return draw(self, seed, positions, views)

        derived = made(teacher, tasks, features).take(np.array([0, 1]))
        cache = CachedViews(features, teacher, frames, STRONG, 0, tmp_path)
        for inputs, views in (
            (AugmentedInputs(features, STRONG, 0, cache), {1, 2}),
            (AugmentedInputs(FrameInputs(frames), STRONG, 0), {1, 2, 3, 4, 5, 6}),
        ):
            inputs.prepare(teacher, np.concatenate([AT, derived.positions]), CPU)
            with monkeypatch.context() as patched:
                patched.setattr(Augmentation, "draw", watched)
                shown.clear()
                self.fitted(tasks, inputs, targets, [derived])
            theirs = [v for at, v in shown if set(at) == set(derived.positions.tolist()) and len(at) == 4]
            assert len(theirs) == 3
            assert {view for batch in theirs for view in batch} == views


def test_a_round_marks_them_and_counts_none(experiment, start, tmp_path):
    """The second and third round have a teacher; that a resumed run is the same, ``test_propagation`` sees."""
    whole, without = (tmp_path / name / "rounds" for name in ("whole", "without"))
    start(experiment(loop=LoopSettings(5, 3, 2), trainer=TRAINER), whole.parent)
    plain = replace(TRAINER, pseudo_labels=PseudoLabelling())
    start(experiment(loop=LoopSettings(5, 3, 1), trainer=plain), without.parent)
    assert not (whole / "00/pseudo_labels.parquet").exists()
    for number in (1, 2):
        told = json.loads((whole / f"{number:02d}/metrics.json").read_text())
        table = pd.read_parquet(whole / f"{number:02d}/pseudo_labels.parquet")
        picked = pd.concat(pd.read_parquet(whole / f"{n:02d}/picks.parquet") for n in range(number + 1))
        assert told["labelled"] == len(picked)
        assert told["answers"] == {"tools": len(picked), "bleeding": len(picked), "anatomy": len(picked)}
        assert 0 < len(table) <= 12
        assert not set(table["frame_id"]) & set(picked["frame_id"])
        assert not table["frame_id"].str.startswith("video_c").any()  # test
        assert (table["of"] == -1).all()
        assert told["pseudo_labels"]["frames"] == len(table)
        for task, share in told["pseudo_labels"]["share"].items():
            assert share == pytest.approx(table[f"share/{task}"].mean(), abs=1e-4)
        assert min(told["pseudo_labels"]["temperature"].values()) >= 1
    # round 0 has none, so round 1 picks the same with them and without, and has the same labels
    first, plain = (json.loads((run / "01/metrics.json").read_text()) for run in (whole, without))
    assert (whole / "01/picks.parquet").read_bytes() == (without / "01/picks.parquet").read_bytes()
    assert first["class_counts"] == plain["class_counts"]
    assert "pseudo_labels" not in plain


def test_a_round_that_takes_the_last_frames_has_none_to_learn_from(experiment, start, tmp_path, dataset):
    pool = len(dataset.index.pool)
    start(experiment(loop=LoopSettings(pool - 3, 3, 1), trainer=TRAINER), tmp_path)
    told = json.loads((tmp_path / "rounds/01/metrics.json").read_text())
    assert told["labelled"] == pool
    assert "pseudo_labels" not in told
