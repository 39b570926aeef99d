import math

import pytest
import timm
import torch
from miniature import surgery

from mtal.learning.multi_task_loss import MultiTaskLoss
from mtal.learning.optimiser import parameter_groups, schedule
from mtal.learning.trainer_settings import TrainerSettings
from mtal.learning.training import MultiTaskModule


@pytest.fixture(scope="module")
def made(tasks):
    """A module with a free encoder of a kind, and every parameter's rate and decay by its name."""
    modules = {}

    def make(encoder=surgery.ENCODER, frozen=False, **options):
        if (encoder, frozen) not in modules:
            model = surgery.make_model(tasks, encoder=encoder, frozen=frozen)
            loss = MultiTaskLoss(tasks, {t.name: None for t in tasks}, "uncertainty")
            modules[encoder, frozen] = MultiTaskModule(model, loss, TrainerSettings(), 10)
        module = modules[encoder, frozen]
        groups = parameter_groups(module, module.model.encoder.backbone.model, TrainerSettings(**options))
        names = {p: name for name, p in module.named_parameters()}
        found = [(names[p], (g["lr"], g["weight_decay"])) for g in groups for p in g["params"]]
        assert len(found) == len(dict(found))  # none twice
        return {name: p for p, name in names.items()}, dict(found)

    return make


BACKBONE = "model.encoder.backbone.model."


class TestParameterGroups:
    def test_one_group_of_all_that_learns(self, made):
        parameters, found = made()
        assert set(found) == {name for name, p in parameters.items() if p.requires_grad}
        assert set(found.values()) == {(2e-3, 1e-4)}

    def test_encoder_and_heads(self, made):
        _, found = made(encoder_learning_rate=1e-5)
        assert {rate for name, (rate, _) in found.items() if name.startswith(BACKBONE)} == {1e-5}
        assert {rate for name, (rate, _) in found.items() if not name.startswith(BACKBONE)} == {2e-3}
        assert {decay for _, decay in found.values()} == {1e-4}
        assert set(found) == set(made()[1])

    @pytest.mark.parametrize("rate", [None, 1e-5])
    def test_matrices_alone_decay(self, made, rate):
        parameters, found = made(decay="matrices", encoder_learning_rate=rate)
        for name, (_, decay) in found.items():
            assert decay == (1e-4 if parameters[name].ndim > 1 else 0.0), name
        assert set(found) == set(made()[1])

    def test_a_frozen_encoder_has_no_group(self, made):
        _, found = made(frozen=True, decay="matrices")
        assert found
        assert not any(name.startswith(BACKBONE) for name in found)

    def test_rates_fall_layer_by_layer_from_the_end_of_a_vit(self, made):
        """Half for each block, worked by hand: ½·lr in the last, and the norm with it; our heads follow."""
        _, found = made("test_vit", layer_decay=0.5, encoder_learning_rate=1e-3, decay="matrices")
        blocks = sorted({int(n.split("blocks.")[1].split(".")[0]) for n in found if "blocks." in n})
        for block in blocks:
            rates = {rate for name, (rate, _) in found.items() if f"{BACKBONE}blocks.{block}." in name}
            assert rates == {1e-3 * 0.5 ** (len(blocks) - block)}
        assert found[f"{BACKBONE}norm.weight"] == (1e-3 * 0.5, 0.0)
        assert found[f"{BACKBONE}patch_embed.proj.weight"] == (1e-3 * 0.5 ** (len(blocks) + 1), 1e-4)
        assert found[f"{BACKBONE}pos_embed"][1] == 0.0  # timm wants it left alone, though it is no vector
        assert found["model.heads.tools.last.weight"] == (2e-3, 1e-4)


def rates(steps, settings, rate=lambda: 1.0):
    optimizer = torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.01, 0.001)])
    made, seen = schedule(optimizer, settings, steps, rate), []
    for step in range(steps):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        if step < steps - 1:
            made.step() if isinstance(made, torch.optim.lr_scheduler.LRScheduler) else made.step_update(step + 2)
    return torch.tensor(seen, dtype=torch.float64)  # [steps, groups]


class TestSchedule:
    @pytest.mark.parametrize("warm_up", [10, 50])
    def test_cosine_after_a_warm_up(self, warm_up):
        seen = rates(100, TrainerSettings(schedule="cosine", warm_up_steps=warm_up))
        torch.testing.assert_close(seen[:, 0], 10 * seen[:, 1])
        for step in (1, 5, 9, warm_up):  # of 100, counted from 1: neither the first nor the last is of rate 0
            assert seen[step - 1, 0] == pytest.approx(0.01 * step / warm_up)
        for step in (warm_up, 60, 100):
            share = (step - warm_up) / (101 - warm_up)
            assert seen[step - 1, 0] == pytest.approx(0.01 * (1 + math.cos(math.pi * share)) / 2)

    @pytest.mark.parametrize("name", ["one_cycle", "cosine"])
    def test_layers_keep_their_share_of_the_rate(self, name):
        """timm's schedules scale the rate of a group in which they find a scale."""
        backbone = timm.create_model("test_vit")
        settings = TrainerSettings(schedule=name, layer_decay=0.5)
        groups = parameter_groups(torch.nn.ModuleList([torch.nn.Linear(1, 1), backbone]), backbone, settings)
        peaks = [group["lr"] for group in groups]
        schedule(torch.optim.SGD(groups), settings, 20, lambda: 1.0)
        assert max(peaks) > 10 * min(peaks)
        assert [group["lr"] for group in groups] == pytest.approx([groups[0]["lr"] / peaks[0] * lr for lr in peaks])

    @pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
    def test_a_single_step_moves_the_weights(self, schedule):
        assert (rates(1, TrainerSettings(schedule=schedule)) > 0).all()

    def test_each_group_has_its_peak_in_one_cycle(self):
        seen = rates(50, TrainerSettings())
        assert seen.amax(dim=0).tolist() == pytest.approx([0.01, 0.001])
        assert seen[:, 0].argmax() == 9
        assert rates(50, TrainerSettings(warm_up_steps=25))[:, 0].argmax() == 24

    def test_until_val_says(self):
        share = [1.0]
        seen = rates(12, TrainerSettings(until="plateau", measure_every=4), lambda: share[0])
        assert seen[:6, 0].tolist() == pytest.approx([0.002, 0.004, 0.006, 0.008, 0.01, 0.01])
        share[0] = 0.1
        assert rates(12, TrainerSettings(until="plateau", measure_every=4), lambda: 0.1)[-1, 1] == pytest.approx(1e-4)
