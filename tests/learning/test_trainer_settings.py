import math
import re

import pytest
import torch
from miniature import surgery

from mtal.learning.trainer_settings import TrainerSettings
from mtal.learning.unlabelled_settings import Propagation, PseudoLabelling

from .test_training import changed, trained


class TestSettings:
    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"steps": 0}, "trainer.steps must be a whole number of at least 1, not 0"),
            ({"ema": 1.0}, "trainer.ema must be a number above 0 and below 1, or null, not 1.0"),
            ({"clip": 0}, "trainer.clip must be a number above 0, or null, not 0"),
            ({"layer_decay": 1.5}, "trainer.layer_decay must be a number above 0 and at most 1, or null, not 1.5"),
            ({"warm_up_steps": 0.5}, "trainer.warm_up_steps must be a whole number of at least 1, not 0.5"),
            ({"pixel_loss": "dise"}, "trainer.pixel_loss must be .* not 'dise', did you mean 'dice'"),
            ({"until": "plateau", "schedule": "cosine"}, "trainer.schedule=cosine needs a length"),
            ({"until": "plateu"}, "steps, epochs or plateau, not 'plateu', did you mean 'plateau'"),
            ({"patience": 0}, "trainer.patience must be a whole number of at least 1, not 0"),
            ({"pseudo_labels": PseudoLabelling(1.0), "devices": 2}, "trainer.pseudo_labels trains on one device, not"),
            ({"propagation": Propagation(1.0), "devices": 2}, "trainer.propagation trains on one device, not on 2"),
            ({"until": "plateau", "devices": 2}, "trainer.until=plateau trains on one device, not on 2"),
            ({"steps": "many"}, "trainer.steps must be a whole number of at least 1, not 'many'"),
            ({"steps": 2.5}, "trainer.steps .* not 2.5"),
            ({"batch_size": True}, "trainer.batch_size .* not True"),
            ({"devices": -1}, "trainer.devices .* not -1"),
            ({"learning_rate": 0}, "trainer.learning_rate must be a number above 0, not 0"),
            ({"learning_rate": math.nan}, "trainer.learning_rate must be a number above 0, not nan"),
            ({"learning_rate": "fast"}, "trainer.learning_rate .* not 'fast'"),
            ({"weight_decay": -0.1}, "trainer.weight_decay must be a number of at least 0, not -0.1"),
            ({"deterministic": 1}, "trainer.deterministic must be true or false, not 1"),
            ({"class_balance": "invers"}, "none, sqrt or inverse, not 'invers', did you mean 'inverse'"),
            ({"restart": "hot"}, "trainer.restart must be cold or warm, not 'hot'"),
            ({"accelerator": "gpuu"}, "trainer.accelerator must be .* not 'gpuu', did you mean 'gpu'"),
            ({"precision": "bf16"}, "not 'bf16', did you mean 'bf16-mixed'"),
            (
                {"devices": 2, "strategy": "ddp"},
                "trainer.strategy=ddp would run the loop once per device; use ddp_spawn",
            ),
            (
                {"strategy": "ddp_spawn"},
                "trainer.strategy=ddp_spawn is for several devices, and trainer.devices is 1",
            ),
        ],
    )
    def test_wrong_values(self, wrong, message):
        with pytest.raises(ValueError, match=message):
            TrainerSettings(**wrong)

    def test_all_that_is_wrong_at_once(self):
        told = r"^4 wrong options:\n.*trainer\.steps must.*\n.*_rate must.*\n.*deterministic must.*\n.*restart must.*$"
        with pytest.raises(ValueError, match=told):
            TrainerSettings(steps=0, learning_rate=0, deterministic=1, restart="hot")
        told = r"^2 wrong options:\n.*schedule=cosine needs a length.*\n.*trains on one device.*$"
        with pytest.raises(ValueError, match=told):
            TrainerSettings(until="plateau", schedule="cosine", devices=2)

    def test_what_was_learnt_is_not_held_out(self):
        warm = TrainerSettings(until="plateau", restart="warm")
        warm.check(val_frames=1)
        TrainerSettings(until="plateau").check(val_frames=0)
        TrainerSettings(restart="warm").check(val_frames=0)
        with pytest.raises(ValueError, match=r"restart=warm goes on from weights that have learnt them: name patients"):
            warm.check(val_frames=0)

    @pytest.mark.parametrize("accelerator", ["gpu", "cuda"])
    def test_gpu_that_is_not_there(self, accelerator, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        with pytest.raises(ValueError, match=f"trainer.accelerator={accelerator}, but no GPU is found"):
            TrainerSettings(accelerator=accelerator).device()
        assert TrainerSettings(accelerator="auto").device() == torch.device("cpu")

    def test_device(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        assert TrainerSettings().device() == torch.device("cuda")
        assert TrainerSettings(accelerator="cpu").device() == torch.device("cpu")

    def test_a_scheduler_that_started_several_tasks_does_not_matter(self, tasks, features, targets, monkeypatch):
        """Lightning would take them for its own processes: the loop is one."""
        for name, value in {"NTASKS": "2", "JOB_ID": "7", "JOB_NAME": "mtal", "PROCID": "0", "LOCALID": "0"}.items():
            monkeypatch.setenv(f"SLURM_{name}", value)
        monkeypatch.delenv("SLURM_NTASKS_PER_NODE", raising=False)
        assert changed(surgery.make_model(tasks), trained(tasks, features, targets))

    def test_options_that_lightning_refuses(self, tasks, features, targets, monkeypatch):
        with pytest.raises(ValueError, match=re.escape("the options of trainer do not go together")):
            trained(tasks, features, targets, TrainerSettings(accelerator="mps"))
