from dataclasses import replace

import numpy as np
import pytest
import torch
from miniature import surgery
from torch.nn.functional import adaptive_avg_pool2d

from mtal.acquisition import Entropy, SharedGradientNorm
from mtal.acquisition.signals import Contrastive
from mtal.datasets.label_map import IGNORE
from mtal.models.annotatability import Annotatability
from mtal.scoring.look import look_at, look_at_labelled
from mtal.scoring.pool import score_pool
from mtal.scoring.site_weights import (
    AskedSites,
    LabelledSites,
    learn_site_weights,
    read_annotatable,
    write_annotatable,
)

CPU = torch.device("cpu")
AT = np.array([3, 30, 7, 12, 21])
GRID = (16, 16)


@pytest.fixture(scope="module")
def model(tasks):
    return surgery.make_model(tasks).eval()


@pytest.fixture(scope="module")
def learnt(model, tasks, features, targets):
    """From the miniature's masks, whose upper border nobody annotated."""
    rows = np.arange(32)
    return learn_site_weights(model, tasks, features, rows, {t: y[rows] for t, y in targets.items()}, CPU, seed=0)


def looks(model, tasks, features, site_weights, wanted=()):
    return list(look_at(model, tasks, features, AT, CPU, 2, wanted=wanted, members=3, site_weights=site_weights))


def test_the_border_that_nobody_annotates_is_found(learnt, model, tasks, features, targets):
    assert list(learnt) == ["anatomy"]
    held_out = np.arange(32, 48)
    weights = learnt["anatomy"](features.batch(held_out), GRID).view(-1, *GRID)  # [n, h, w]
    labelled = torch.from_numpy((targets["anatomy"][held_out] != IGNORE).astype(np.float32))
    known = adaptive_avg_pool2d(labelled.unsqueeze(1), GRID).squeeze(1)
    assert (weights - known).abs().mean() < 0.7 * (known.mean() - known).abs().mean()


def test_whole_masks_teach_nothing(model, tasks, features, targets):
    whole = {**targets, "anatomy": np.where(targets["anatomy"] == IGNORE, 0, targets["anatomy"])}
    assert learn_site_weights(model, tasks, features, np.arange(48), whole, CPU, seed=0) == {}


def test_frames_without_a_mask_are_no_masks_without_a_label(model, tasks, features, targets, learnt):
    """Nobody was asked for them, so they say nothing of where annotators label."""
    half = targets["anatomy"].copy()
    half[::2] = IGNORE
    found = learn_site_weights(model, tasks, features, np.arange(32), {**targets, "anatomy": half[:32]}, CPU, seed=0)
    share = found["anatomy"](features.batch(np.arange(48)), GRID).mean()
    assert share == pytest.approx((targets["anatomy"] != IGNORE).mean(), abs=0.03)


def test_is_kept_with_the_round(learnt, tmp_path, features):
    assert read_annotatable(tmp_path) == {}
    write_annotatable(tmp_path, {})
    assert list(tmp_path.iterdir()) == []
    write_annotatable(tmp_path, {**learnt, "vessels/deep": Annotatability((torch.ones(3),), 0.5)})
    again = read_annotatable(tmp_path)
    assert set(again) == {"anatomy", "vessels/deep"}
    levels = features.batch(AT)
    assert torch.equal(again["anatomy"](levels, GRID), learnt["anatomy"](levels, GRID))


class TestLook:
    def test_heads_and_members_get_the_weights_of_their_frames(self, model, tasks, features, learnt):
        askable = {"tools": np.array([True, False, True, True, False]), "anatomy": np.array([True] * 4 + [False])}
        seen = looks(model, tasks, features, AskedSites(learnt, askable), wanted={"members"})
        for found in (lambda look: look.heads, lambda look: look.members):
            tools = torch.cat([found(look)["tools"].valid for look in seen])
            assert tools[:, 0].tolist() == askable["tools"].tolist()
            anatomy = torch.cat([found(look)["anatomy"].valid for look in seen])
            expected = learnt["anatomy"](features.batch(AT), GRID) * torch.from_numpy(askable["anatomy"])[:, None]
            torch.testing.assert_close(anatomy, expected)
            assert all(found(look)["bleeding"].valid is None for look in seen)

    def test_no_batch_goes_through_the_pool(self, model, tasks, features):
        class Counted(np.ndarray):
            times = 0

            def all(self, *arguments, **options):
                Counted.times += 1
                return super().all(*arguments, **options)

        sites = AskedSites({}, {"tools": np.ones(len(AT), dtype=bool).view(Counted)})
        before = Counted.times
        seen = looks(model, tasks, features, sites)
        assert len(seen) > 1
        assert Counted.times == before
        assert all(look.heads["tools"].valid is None for look in seen)

    def test_without_them_all_sites_count(self, model, tasks, features):
        assert all(head.valid is None for look in looks(model, tasks, features, None) for head in look.heads.values())

    def test_shared_gradients_are_of_the_weighted_loss(self, model, tasks, features, learnt):
        """Of two frames that differ in nothing, the one whose right half counts has that half's gradient."""
        half = torch.zeros(GRID).index_fill(1, torch.arange(8, 16), 1.0).flatten()

        def right_half(task, rows, levels, grid):
            return half.expand(len(rows), -1) if task.name == "anatomy" else None

        (task,) = (t for t in tasks if t.name == "anatomy")
        (look, *_) = looks(model, tasks, features, right_half, wanted={"shared_gradient"})
        leaves = [x.clone().requires_grad_() for x in features.batch(AT[:2])]
        logits = model(leaves).heads["anatomy"].logits
        loss = torch.nn.functional.cross_entropy(logits, logits.argmax(dim=1), reduction="none")[:, :, 8:].mean((1, 2))
        grads = torch.autograd.grad(loss.sum(), leaves, allow_unused=True, materialize_grads=True)
        length = torch.cat([g.flatten(1) for g in grads], dim=1).norm(dim=1)
        torch.testing.assert_close(look.heads[task.name].shared_gradient.norm(dim=1), length, rtol=1e-3, atol=1e-6)

    def test_labelled_frames_count_where_they_are_labelled(self, model, tasks, features, targets):
        labels = {t: y[AT].copy() for t, y in targets.items()}
        labels["tools"][1] = IGNORE
        seen = looks(model, tasks, features, LabelledSites(labels))
        share = torch.from_numpy((labels["anatomy"] != IGNORE).astype(np.float32)).unsqueeze(1)
        expected = adaptive_avg_pool2d(share, GRID).flatten(1)
        torch.testing.assert_close(torch.cat([look.heads["anatomy"].valid for look in seen]), expected)
        assert torch.cat([look.heads["tools"].valid for look in seen])[:, 0].tolist() == [True, False, True, True, True]


class TestPool:
    def test_a_head_that_cannot_be_asked_for_says_nothing_of_a_frame(self, model, tasks, features):
        askable = {"tools": np.array([True, False, True, True, False]), "anatomy": np.array([False] + [True] * 4)}
        acquisition = surgery.make_acquisition(
            signals={"entropy": Entropy(), "shared_gradient_norm": SharedGradientNorm()}, gradient="shared"
        )
        seen = score_pool(model, tasks, features, AT, acquisition, CPU, 2, site_weights=AskedSites({}, askable))
        for (task, signal), column in zip(seen.table.columns, seen.table.values.T, strict=True):
            assert (column > 0).tolist() == askable.get(task, np.array([True] * 5)).tolist(), (task, signal)
        for task, block in seen.gradients.items():
            assert (block.sq_norm > 0).tolist() == askable.get(task, np.array([True] * 5)).tolist(), task

    def test_coarse_posteriors_keep_the_weights(self, model, tasks, features, learnt, targets):
        acquisition = surgery.make_acquisition(signals={"contrastive": Contrastive(k=2)})
        seen = score_pool(model, tasks, features, AT, acquisition, CPU, 2, site_weights=AskedSites(learnt))
        expected = adaptive_avg_pool2d(learnt["anatomy"](features.batch(AT), GRID).view(-1, 1, *GRID), 4).flatten(1)
        torch.testing.assert_close(seen.posteriors["anatomy"].valid, expected)
        assert seen.posteriors["tools"].valid is None
        labelled = look_at_labelled(
            model,
            tasks,
            features,
            AT,
            acquisition,
            CPU,
            2,
            site_weights=LabelledSites({t: y[AT] for t, y in targets.items()}),
        )
        assert labelled.posteriors["anatomy"].valid.min() < 1
        assert replace(labelled.posteriors["tools"], valid=None).probs.shape == (5, 1, 3)
