"""A training step: cached views against plain features, and Lightning against the bare loop."""

from __future__ import annotations

import tempfile
from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import torch
from benchmarks.clocks import Clock, Seconds
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from rich.table import Table
from torch import nn

from mtal.datasets.surgery.names import LABEL_MAPS
from mtal.frames.cache import FrameArray
from mtal.launch import register
from mtal.learning.labelled_frames import LabelledFrames
from mtal.learning.multi_task_loss import MultiTaskLoss
from mtal.learning.optimiser import parameter_groups, schedule
from mtal.learning.trainer_settings import TrainerSettings
from mtal.learning.training import fit
from mtal.learning.views import AugmentedInputs, CachedViews
from mtal.models import MultiTaskModel, build_encoder
from mtal.scoring.inputs import FeatureInputs, Inputs, to_device
from mtal.tasks.class_balance import class_weights
from mtal.tasks.pixel_grid import PixelGrid
from mtal.tasks.task import Task

FEW = 5
"""Steps whose time is taken from that of all, so that a step is measured and not the beginning of a training."""


def bare_loop(
    model: MultiTaskModel,
    tasks: list[Task],
    inputs: Inputs,
    positions: np.ndarray,
    targets: dict[str, np.ndarray],
    settings: TrainerSettings,
    seed: int = 0,
) -> None:
    """What ``fit`` does, without Lightning: the same batches, loss, optimiser, schedule and clipping."""
    device = settings.device()
    loss = MultiTaskLoss(tasks, {t.name: class_weights(t, targets[t.name]) for t in tasks}, "fixed").to(device)
    whole = nn.ModuleList([model.to(device), loss]).train()
    data = LabelledFrames(inputs, positions, targets, settings.steps * settings.batch_size, seed)
    groups = parameter_groups(whole, model.encoder.backbone.model, settings)
    optimizer = torch.optim.AdamW(groups, fused=True)
    rates = schedule(optimizer, settings, settings.steps, lambda: 1.0)
    torch.manual_seed(seed)
    for levels, labels, *_ in data.loader(settings.batch_size):
        output = model(to_device(levels, device))
        logits = {name: head.logits for name, head in output.heads.items()}
        total, _ = loss(logits, {t: y.to(device) for t, y in labels.items()}, PixelGrid.drawn(settings.mask_stride))
        optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(whole.parameters(), 1.0)
        optimizer.step()
        rates.step()


def compare(by_both_clocks: Clock, frames: int, size: int, steps: int, repeats: int) -> Table:
    """Milliseconds of a step of each kind, and their ratios, by both clocks."""
    tasks = [Task(m) for m in LABEL_MAPS]
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (frames, size, size, 3), dtype=np.uint8)
    positions = np.arange(frames)
    array = FrameArray([pixels], np.zeros_like(positions), positions, (size, size), key="benchmark")
    targets = {t.name: _labels(t, frames, size, generator) for t in tasks}
    model = MultiTaskModel(build_encoder("efficientnet_lite0"), tasks, channels=32, frozen=True)
    settings = partial(TrainerSettings, batch_size=16)
    device = settings().device()
    register()
    with initialize_config_dir(str(Path(__file__).resolve().parents[2] / "configs"), version_base=None):
        augmentation = instantiate(compose("config", ["augment=light"]).augment)
    with tempfile.TemporaryDirectory() as folder:
        plain = FeatureInputs.compute(model, array, Path(folder), device)
        cache = CachedViews(plain, model, array, augmentation, 0, Path(folder))
        cache.fill(model, positions, device)
        kinds = {
            "bare loop": (bare_loop, plain),
            "through Lightning": (fit, plain),
            "with cached views": (fit, AugmentedInputs(plain, augmentation, 0, cache)),
        }

        def train(kind: str, length: int) -> object:
            how, inputs = kinds[kind]
            return how(deepcopy(model), tasks, inputs, positions, targets, settings(steps=length))

        jobs = {f"{kind} {n}": partial(train, kind, n) for kind in kinds for n in (FEW, FEW + steps)}
        seconds = by_both_clocks(jobs, repeats)
    step = {
        kind: Seconds(*((long - short) / steps for long, short in zip(whole, few, strict=True)))
        for kind in kinds
        for whole, few in [(seconds[f"{kind} {FEW + steps}"], seconds[f"{kind} {FEW}"])]
    }
    table = Table("step", "against", title=f"A step on 16 of {frames} frames at {size}x{size}, frozen encoder")
    for clock in ("processor", "wall"):
        table.add_column(f"{clock}, ms", justify="right")
        table.add_column("ratio", justify="right")
    for kind, against in (
        ("bare loop", ""),
        ("through Lightning", "bare loop"),
        ("with cached views", "through Lightning"),
    ):
        cells = []
        for k in (1, 0):
            cells += [f"{1e3 * step[kind][k]:.1f}", f"{step[kind][k] / step[against][k]:.2f}" if against else ""]
        table.add_row(kind, against, *cells)
    return table


def _labels(task: Task, frames: int, size: int, generator: np.random.Generator) -> np.ndarray:
    shape = (frames, size, size) if task.support == "pixel" else (frames,)
    if task.family == "categorical":
        return generator.integers(0, len(task.classes), shape).astype(np.uint8)
    return generator.integers(0, 2, (frames, len(task.classes), *shape[1:])).astype(np.uint8)
