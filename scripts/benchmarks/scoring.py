"""The scoring pass against the bare forward pass: streaming signals, shared gradients, dropout members."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from rich.table import Table

from mtal.acquisition import Acquisition, Badge, PercentileRank, TopK, WeightedMean
from mtal.acquisition.signals import (
    Bald,
    CrossTaskInconsistency,
    Disagreement,
    Entropy,
    ExpectedGradientLength,
    GradientAgreement,
    HallucinatedGradientNorm,
    JointGradientNorm,
    LearningLoss,
    LeastConfidence,
    Margin,
    MeanStd,
    PredictiveEntropy,
    Relation,
    SharedGradientNorm,
    Variance,
    VariationRatio,
)
from mtal.datasets.surgery.names import LABEL_MAPS
from mtal.frames.cache import FrameArray
from mtal.frames.prefetch import prefetch
from mtal.models import MultiTaskModel, build_encoder
from mtal.scoring.inputs import FeatureInputs, FrameInputs, Inputs, batched, fitting, to_device
from mtal.scoring.pool import score_pool
from mtal.tasks.task import Task

Clock = Callable[[dict[str, Callable[[], object]], int], dict[str, float]]
MEMBERS = 20
CLIPPED_DUCT = Relation("tools", 4, "anatomy", (5,))
GROUPS = {
    "streaming signals": (
        LeastConfidence,
        Margin,
        Entropy,
        ExpectedGradientLength,
        HallucinatedGradientNorm,
        LearningLoss,
    ),
    "shared gradients": (SharedGradientNorm, JointGradientNorm, GradientAgreement),
    f"{MEMBERS} members": (Bald, PredictiveEntropy, VariationRatio, Variance, MeanStd, Disagreement),
}


def bare_forward(model: MultiTaskModel, inputs: Inputs, positions: np.ndarray, device: torch.device) -> None:
    """In the batches of the pass."""
    batch_size = fitting(inputs.batch(positions[:1]))
    with torch.inference_mode():
        for batch in prefetch(inputs.batch(b) for b in batched(positions, batch_size)):
            model(to_device(batch, device)).shared.cpu()  # waits for the device


def acquisitions() -> dict[str, Acquisition]:
    """One for each group of signals; the streaming ones come with BADGE's gradients."""
    made = {}
    for group, signals in GROUPS.items():
        named = {signal.name: signal() for signal in signals}
        selector = TopK()
        if group == "streaming signals":
            named[CrossTaskInconsistency.name] = CrossTaskInconsistency([CLIPPED_DUCT])
            selector = Badge()
        made[group] = Acquisition(named, PercentileRank(), WeightedMean(), selector, members=MEMBERS)
    return made


def compare(side_by_side: Clock, encoders: Sequence[str], frames: int, size: int, repeats: int) -> Table:
    """Seconds of each kind of pass over those of the bare forward pass, for every encoder and kind of input."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tasks = [Task(m) for m in LABEL_MAPS]
    kinds = acquisitions()
    pixels = np.random.default_rng(0).integers(0, 256, (frames, size, size, 3), dtype=np.uint8)
    positions = np.arange(frames)
    array = FrameArray([pixels], np.zeros_like(positions), positions, (size, size), key="benchmark")
    table = Table("encoder", "input", "bare forward, frames/s", *(f"{k}, ratio" for k in kinds), title="Scoring pass")
    for name in encoders:
        model = (
            MultiTaskModel(build_encoder(name), tasks, channels=32, frozen=True, loss_prediction=True).to(device).eval()
        )
        with tempfile.TemporaryDirectory() as folder:
            sources: dict[str, Inputs] = {
                "frames": FrameInputs(array),
                "cached features": FeatureInputs.compute(model, array, Path(folder), device),
            }
            for source, inputs in sources.items():
                seconds = side_by_side(_passes(model, tasks, inputs, positions, device, kinds), repeats)
                bare = seconds.pop("bare")
                table.add_row(name, source, f"{frames / bare:.0f}", *(f"{s / bare:.2f}" for s in seconds.values()))
    return table


def _passes(
    model: MultiTaskModel,
    tasks: Sequence[Task],
    inputs: Inputs,
    positions: np.ndarray,
    device: torch.device,
    kinds: Mapping[str, Acquisition],
) -> dict[str, Callable[[], object]]:
    def score(acquisition: Acquisition) -> Callable[[], object]:
        return lambda: score_pool(model, tasks, inputs, positions, acquisition, device)

    passes: dict[str, Callable[[], object]] = {"bare": lambda: bare_forward(model, inputs, positions, device)}
    return passes | {kind: score(acquisition) for kind, acquisition in kinds.items()}
