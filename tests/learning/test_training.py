import json
import warnings
from functools import partial
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
from miniature import surgery
from safetensors.torch import load_file
from torch.nn import functional

from mtal.datasets.label_map import IGNORE
from mtal.learning.labelled_frames import LabelledFrames
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.multi_task_loss import MultiTaskLoss
from mtal.learning.trainer_settings import TrainerSettings
from mtal.learning.training import MultiTaskModule, Training, fit
from mtal.models import ranking_loss
from mtal.scoring.inputs import FrameInputs
from mtal.tasks.pixel_grid import PixelGrid

AT = np.array([3, 0, 17, 20, 9, 26])
QUICK = TrainerSettings(steps=3, batch_size=4, accelerator="cpu")


def labels_at(targets, at=AT):
    return {name: y[at] for name, y in targets.items()}


def trained(tasks, inputs, targets, settings=QUICK, *, seed=1, **options):
    model = surgery.make_model(tasks, **{k: options.pop(k) for k in ("frozen", "encoder") if k in options})
    fit(model, tasks, inputs, AT, labels_at(targets), settings, seed=seed, **options)
    return model


def changed(before, after) -> set[str]:
    now = after.state_dict()
    return {name for name, tensor in before.state_dict().items() if not torch.equal(tensor, now[name])}


@pytest.fixture(scope="module")
def plain(tasks, features, targets):
    """Trained quickly on features of a frozen encoder. Nobody may change it."""
    return trained(tasks, features, targets)


class TestFit:
    def test_same_seed_same_weights_to_the_bit(self, tasks, features, targets, plain):
        assert not changed(plain, trained(tasks, features, targets))
        assert changed(plain, trained(tasks, features, targets, seed=2))

    def test_global_state_does_not_matter(self, tasks, features, targets, plain):
        torch.manual_seed(99)
        np.random.seed(99)  # noqa: NPY002  the legacy global state is what is meant
        torch.rand(7)
        assert not changed(plain, trained(tasks, features, targets))

    def test_frozen_encoder_stays(self, tasks, frames, targets, plain):
        fresh = surgery.make_model(tasks)
        for model in (plain, trained(tasks, FrameInputs(frames), targets)):
            moved = changed(fresh, model)
            assert not any(name.startswith("encoder.") for name in moved)
            assert all(any(name.startswith(f"heads.{t.name}.last") for name in moved) for t in tasks)

    def test_free_encoder_learns(self, tasks, frames, targets):
        fresh = surgery.make_model(tasks, frozen=False)
        moved = changed(fresh, trained(tasks, FrameInputs(frames), targets, frozen=False))
        assert any(name.startswith("encoder.") and name.endswith("weight") for name in moved)
        assert any(name.endswith("running_mean") for name in moved)

    def test_loss_falls(self, tasks, features, targets):
        settings = TrainerSettings(steps=40, batch_size=6, accelerator="cpu", class_balance="none")
        model, fresh = trained(tasks, features, targets, settings), surgery.make_model(tasks).eval()
        y = {name: torch.from_numpy(v) for name, v in labels_at(targets).items()}
        for task in tasks:
            before, after = (
                task.loss(m(features.batch(AT)).heads[task.name].logits, y[task.name]) for m in (fresh, model)
            )
            assert after < 0.8 * before

    @pytest.mark.parametrize("weighting", ["fixed", "uncertainty"])
    def test_head_without_labels(self, tasks, features, targets, weighting):
        silent = {**targets, "bleeding": np.full_like(targets["bleeding"], IGNORE)}
        model = trained(tasks, features, silent, weighting=weighting)
        assert all(p.isfinite().all() for p in model.parameters())
        # no gradient reaches the head; weight decay only shrinks it, by the factor (1 - rate x decay) at each step
        before = surgery.make_model(tasks).heads["bleeding"].last.weight
        torch.testing.assert_close(model.heads["bleeding"].last.weight, before, rtol=1e-5, atol=0)

    def test_left_in_evaluation_mode(self, plain):
        assert not any(m.training for m in plain.modules())

    def test_trains_in_bfloat16(self, tasks, features, targets, plain):
        settings = TrainerSettings(steps=3, batch_size=4, accelerator="cpu", precision="bf16-mixed")
        model = trained(tasks, features, targets, settings)
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        assert changed(model, plain)
        last, wanted = (m.heads["anatomy"].last.weight for m in (model, plain))
        start = surgery.make_model(tasks).heads["anatomy"].last.weight
        assert torch.cosine_similarity((last - start).flatten(), (wanted - start).flatten(), dim=0) > 0.9

    @pytest.mark.parametrize("steps", [1, 2, 5])
    def test_few_steps(self, tasks, features, targets, steps):
        """A one-cycle schedule whose warm-up lasts a single step divides by zero."""
        settings = TrainerSettings(steps=steps, batch_size=4, accelerator="cpu")
        model, fresh = trained(tasks, features, targets, settings), surgery.make_model(tasks)
        # Adam's first step is as long as the rate, so a rate of zero would show
        moved = (model.heads["tools"].last.weight - fresh.heads["tools"].last.weight).abs().max()
        assert 1e-5 < moved < 2 * steps * settings.learning_rate

    def test_single_labelled_frame(self, tasks, features, targets):
        model = surgery.make_model(tasks)
        fit(model, tasks, features, AT[:1], labels_at(targets, AT[:1]), QUICK)
        assert all(p.isfinite().all() for p in model.parameters())

    def test_nothing_labelled(self, tasks, features, targets):
        with pytest.raises(ValueError, match="no labelled frame to train on"):
            fit(surgery.make_model(tasks), tasks, features, AT[:0], labels_at(targets, AT[:0]), QUICK)

    def test_divergence_is_told(self, tasks, features, targets):
        settings = TrainerSettings(steps=3, batch_size=4, accelerator="cpu", learning_rate=1e30)
        with pytest.raises(FloatingPointError, match=r"lower trainer\.learning_rate"):
            trained(tasks, features, targets, settings)

    def test_other_warnings_still_show(self, tasks, features, targets):
        before = list(warnings.filters)
        trained(tasks, features, targets)
        assert warnings.filters == before


class TestLossPrediction:
    """Trained beside the heads, from images or from cached features, and at no cost to them."""

    def fitted(self, tasks, inputs, targets, steps=3, **options):
        model = surgery.make_model(tasks, loss_prediction=True)
        settings = TrainerSettings(steps=steps, batch_size=6, accelerator="cpu", **options)
        fit(model, tasks, inputs, AT, labels_at(targets), settings, seed=1)
        return model

    @pytest.mark.parametrize("source", ["frames", "features"])
    def test_the_rest_trains_to_the_bit_as_without_it(self, tasks, frames, features, targets, source):
        inputs = FrameInputs(frames) if source == "frames" else features
        model = self.fitted(tasks, inputs, targets, learning_rate=0.05)  # a rate at which gradients are clipped
        alone = trained(
            tasks,
            inputs,
            targets,
            TrainerSettings(steps=3, batch_size=6, accelerator="cpu", learning_rate=0.05),
        )
        assert not changed(alone, model)
        fresh = surgery.make_model(tasks, loss_prediction=True)
        assert {"loss_prediction.last.weight", "loss_prediction.bodies.0.1.weight"} <= changed(fresh, model)

    def test_learns_which_frame_has_the_larger_loss(self, tasks, features, targets):
        model = self.fitted(tasks, features, targets, steps=100, class_balance="none")
        output = model(features.batch(AT))
        y = {name: torch.from_numpy(v) for name, v in labels_at(targets).items()}
        right = total = 0
        for task in tasks:
            losses = task.frame_losses(output.heads[task.name].logits, y[task.name])
            predicted = output.predicted_losses[task.name]
            i, j = torch.triu_indices(len(AT), len(AT), offset=1)
            right += int(((losses[i] - losses[j]) * (predicted[i] - predicted[j]) > 0).sum())
            total += len(i)
        assert right > 0.75 * total

    def test_frames_without_a_label_are_left_out(self, tasks, features, targets):
        silent = {**targets, "anatomy": np.full_like(targets["anatomy"], IGNORE)}
        silent["tools"] = targets["tools"].copy()
        silent["tools"][AT[:5]] = IGNORE  # a single frame is left: no pair
        model = surgery.make_model(tasks, loss_prediction=True)
        loss = MultiTaskLoss(tasks, dict.fromkeys(silent), "fixed")
        output = model(features.batch(AT))
        y = {name: torch.from_numpy(v) for name, v in labels_at(silent).items()}
        total = loss.of_prediction(output, y)
        bleeding = next(t for t in tasks if t.name == "bleeding")
        alone = bleeding.frame_losses(output.heads["bleeding"].logits, y["bleeding"])
        torch.testing.assert_close(total, ranking_loss(output.predicted_losses["bleeding"], alone))
        assert total > 0

    def test_class_weights_reach_the_true_losses(self, tasks, features, targets):
        """With positives weighing 100 a frame's loss is about how many positives it has."""
        model = surgery.make_model(tasks, loss_prediction=True)
        output = model(features.batch(AT))
        y = {name: torch.from_numpy(v) for name, v in labels_at(targets).items()}
        weights = {"tools": torch.full((3,), 100.0), "bleeding": None, "anatomy": None}
        seen = {}

        def spy(predicted, losses):
            seen[len(seen)] = losses
            return predicted.sum()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mtal.learning.multi_task_loss.ranking_loss", spy)
            MultiTaskLoss(tasks, weights, "fixed").of_prediction(output, y)
        expected = tasks[0].frame_losses(output.heads["tools"].logits, y["tools"], weights["tools"])
        torch.testing.assert_close(seen[0], expected)
        assert not seen[0].requires_grad


@pytest.mark.slow
class TestSeveralDevices:
    """The weights that other processes trained come back to this one."""

    settings = TrainerSettings(steps=2, batch_size=2, accelerator="cpu", devices=2)

    def assert_trained(self, moved, tasks):
        assert all(any(name.startswith(f"heads.{t.name}.last") for name in moved) for t in tasks)
        assert any(name.startswith("encoder.") for name in moved)
        assert not list(Path().iterdir())  # the file that carried the weights is gone

    def test_run_with_a_free_encoder(self, tasks, frames, experiment, start, tmp_path, monkeypatch, warm_children):
        """Processes are spawned, so all that they need is pickled, the pictures of the cache too."""
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        make = partial(surgery.make_model, tasks, frozen=False)
        made = experiment(
            inputs=FrameInputs(frames), make_model=make, trainer=self.settings, loop=LoopSettings(6, 4, 0)
        )
        start(made, tmp_path / "run")
        trained = load_file(tmp_path / "run/rounds/00/model.safetensors")
        before = make().state_dict()
        assert trained.keys() <= before.keys()
        self.assert_trained({n for n, t in trained.items() if not torch.equal(t, before[n])}, tasks)
        told = json.loads((tmp_path / "run/rounds/00/metrics.json").read_text())["training"]
        assert told["steps"] == 2  # which the other processes counted
        assert told["passes"] == pytest.approx(2 * 2 * 2 / 6, abs=0.005)  # steps, frames and devices

    def test_free_vit(self, tasks, frames, targets, tmp_path, monkeypatch):
        """Its last norm gets no gradient, which DDP refuses unless told. Forked, to import nothing anew."""
        monkeypatch.chdir(tmp_path)
        trainer = lightning.Trainer
        monkeypatch.setattr(
            "mtal.learning.training.lightning.Trainer",
            lambda *, strategy, **options: trainer(strategy=strategy.replace("spawn", "fork"), **options),
        )
        model = trained(tasks, FrameInputs(frames), targets, self.settings, encoder="test_vit", frozen=False)
        before = surgery.make_model(tasks, encoder="test_vit", frozen=False)
        self.assert_trained(changed(before, model), tasks)


class TestRestart:
    def test_warm_goes_on_and_cold_begins_anew(self, experiment, start, tmp_path):
        settings = {"steps": 3, "batch_size": 4, "accelerator": "cpu"}
        for restart in ("warm", "cold"):
            start(experiment(trainer=TrainerSettings(**settings, restart=restart)), tmp_path / restart)
        models = {
            (restart, r): (tmp_path / restart / "rounds" / f"0{r}" / "model.safetensors").read_bytes()
            for restart in ("warm", "cold")
            for r in range(3)
        }
        assert models["warm", 0] == models["cold", 0]
        assert models["warm", 1] != models["cold", 1]

    def test_warm_starts_at_the_weights_of_the_round_before(self, experiment, start, tmp_path, monkeypatch):
        seen = []

        def spy(model, *args, **kwargs):
            seen.append({k: v.clone() for k, v in model.trained_state().items()})
            with torch.no_grad():
                model.heads["tools"].last.bias += 1
            return Training(1, 1.0, 1)

        monkeypatch.setattr("mtal.learning.validation.fit", spy)
        for restart, expected in (("warm", [0, 1, 2]), ("cold", [0, 0, 0])):
            start(experiment(trainer=TrainerSettings(accelerator="cpu", restart=restart)), tmp_path / restart)
            biases = [s["heads.tools.last.bias"] for s in seen]
            assert [round(float((b - biases[0]).mean())) for b in biases] == expected
            seen.clear()


class TestMaskStride:
    def test_masks_are_whole_and_strides_drawn(self, tasks, features, targets, monkeypatch):
        seen = []
        forward = MultiTaskLoss.forward

        def spy(self, logits, y, grid):
            seen.append((y["anatomy"].shape, grid))
            return forward(self, logits, y, grid)

        monkeypatch.setattr(MultiTaskLoss, "forward", spy)
        settings = TrainerSettings(steps=8, batch_size=4, accelerator="cpu", mask_stride=2)
        trained(tasks, features, targets, settings)
        assert {shape for shape, _ in seen} == {(4, 64, 64)}
        assert {grid.stride for _, grid in seen} == {2}
        assert len({(grid.row, grid.column) for _, grid in seen}) > 1

    def test_predicted_losses_are_of_the_same_pixels(self, tasks, features, targets):
        output = surgery.make_model(tasks, loss_prediction=True)(features.batch(AT))
        y = {name: torch.from_numpy(v) for name, v in labels_at(targets).items()}
        grid = PixelGrid(3, 1, 2)
        anatomy = next(t for t in tasks if t.name == "anatomy")
        loss = MultiTaskLoss([anatomy], {"anatomy": None}, "fixed")
        logits = functional.interpolate(output.heads["anatomy"].logits, (64, 64), mode="bilinear")
        losses = anatomy.frame_losses(logits[..., 1::3, 2::3], y["anatomy"][:, 1::3, 2::3])
        torch.testing.assert_close(
            loss.of_prediction(output, y, grid), ranking_loss(output.predicted_losses["anatomy"], losses)
        )


class TestLabelledFrames:
    def order(self, features, targets, length=20, seed=4):
        return LabelledFrames(features, AT, labels_at(targets), length, seed)

    def test_every_frame_once_per_pass(self, features, targets):
        data = self.order(features, targets)
        assert len(data) == 20
        passes = [data.order[i : i + 6].tolist() for i in (0, 6, 12)]
        assert all(sorted(p) == list(range(6)) for p in passes)
        assert len({tuple(p) for p in passes}) > 1
        assert len(set(data.order[18:].tolist())) == 2

    def test_labels_stay_with_their_frames(self, features, targets):
        data = self.order(features, targets)
        inputs, y, draw, beside = data.__getitems__([0, 7, 13])
        assert draw is None
        assert beside == ()
        rows = AT[data.order[[0, 7, 13]]]
        for level, expected in zip(inputs, features.batch(rows), strict=True):
            assert torch.equal(level, expected)
        for name, labels in targets.items():
            np.testing.assert_array_equal(y[name].numpy(), labels[rows])
        np.testing.assert_array_equal(data[7][1]["tools"].numpy(), targets["tools"][rows[1:2]])

    def test_seed(self, features, targets):
        first, again, other = (self.order(features, targets, 60, seed).order.tolist() for seed in (4, 4, 5))
        assert first == again != other


class TestSchedule:
    @pytest.mark.parametrize("steps", [2, 3, 5, 10, 50])
    def test_rises_to_the_rate_and_falls(self, tasks, steps):
        settings = TrainerSettings(steps=steps, learning_rate=0.01)
        loss = MultiTaskLoss(tasks, {t.name: None for t in tasks}, "uncertainty")
        module = MultiTaskModule(surgery.make_model(tasks), loss, settings, steps)
        parts = module.configure_optimizers()
        rates = []
        for _ in range(steps):
            rates.append(parts["optimizer"].param_groups[0]["lr"])
            parts["optimizer"].step()
            parts["lr_scheduler"]["scheduler"].step() if len(rates) < steps else None
        assert max(rates) == pytest.approx(0.01)
        assert rates[0] < 0.01
        assert rates.index(max(rates)) == max(1, steps // 5 - 1)
        optimised = {id(p) for group in parts["optimizer"].param_groups for p in group["params"]}
        assert id(loss.log_variance) in optimised
        assert not optimised & {id(p) for p in module.model.encoder.parameters()}
