"""One streaming pass of the model over the pool: every signal of every head, gradients and shared features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from mtal.acquisition import Acquisition, GradientBlock, ScoreTable, gradient_block
from mtal.frames.prefetch import prefetch
from mtal.learning.inputs import Inputs, batched, to_device
from mtal.models import MultiTaskModel
from mtal.models.network import ModelOutput
from mtal.progress import track
from mtal.tasks.posterior import HeadOutput
from mtal.tasks.task import Task


@dataclass
class PoolScores:
    """What one pass leaves behind; rows in the order of the candidates.

    Attributes:
        table: scores, one column per (task, signal).
        gradients: last-layer gradients by task; empty unless the selector needs them.
        shared: ``[N, D]`` float32, the encoder's pooled output.
    """

    table: ScoreTable
    gradients: dict[str, GradientBlock]
    shared: np.ndarray


@dataclass
class _Collector:
    """Arrays for the whole pool, allocated at the first batch and filled batch by batch."""

    size: int
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    filled: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, rows: np.ndarray) -> None:
        if name not in self.arrays:
            self.arrays[name] = np.empty((self.size, *rows.shape[1:]), dtype=rows.dtype)
            self.filled[name] = 0
        start = self.filled[name]
        self.arrays[name][start : start + len(rows)] = rows
        self.filled[name] = start + len(rows)


def score_pool(
    model: MultiTaskModel,
    tasks: Sequence[Task],
    inputs: Inputs,
    positions: np.ndarray,
    acquisition: Acquisition,
    device: torch.device,
    batch_size: int = 32,
) -> PoolScores:
    """Look at each candidate once.

    The next batch is read while the model works. Memory grows by a few numbers per frame (scores, gradient factors,
    pooled features) and never with the frames themselves.

    Args:
        model: scored in evaluation mode.
        tasks: heads to score.
        inputs: model inputs of all frames.
        positions: ``[N]`` candidates.
        acquisition: says which signals are wanted and whether gradients are.
        device: where the model runs.
        batch_size: frames at a time.
    """
    model = model.to(device).eval()
    collector = _Collector(len(positions))
    factors: dict[str, int | None] = {}
    columns: list[tuple[str, str]] = []
    batches = list(batched(positions, batch_size))
    loaded = prefetch(inputs.batch(b) for b in batches)
    with torch.inference_mode():
        for batch in track(loaded, "Scoring the pool", total=len(batches)):
            output = model(to_device(batch, device))
            collector.add("shared", output.shared.float().cpu().numpy())
            heads = head_outputs(output, tasks)
            scores = acquisition.score(heads)
            columns = list(scores)
            collector.add("scores", torch.stack([s.double() for s in scores.values()], dim=1).cpu().numpy())
            if "gradient" in acquisition.selector_needs:
                for name, head in heads.items():
                    block = gradient_block(head)
                    factors[name] = None if block.right is None else block.left.shape[1]
                    collector.add(f"gradient/{name}", block.to_array())
    return PoolScores(
        table=ScoreTable(tuple(columns), torch.from_numpy(collector.arrays["scores"])),
        gradients={n: GradientBlock.from_array(collector.arrays[f"gradient/{n}"], left) for n, left in factors.items()},
        shared=collector.arrays["shared"],
    )


def head_outputs(output: ModelOutput, tasks: Sequence[Task]) -> dict[str, HeadOutput]:
    """Posterior and last-layer features of each head."""
    return {t.name: t.head_output(*output.heads[t.name]) for t in tasks}


def shared_features(
    model: MultiTaskModel, inputs: Inputs, positions: np.ndarray, device: torch.device, batch_size: int = 32
) -> np.ndarray:
    """The encoder's pooled output for the frames at ``positions``: ``[N, D]`` float32."""
    encoder = model.to(device).eval().encoder
    rows = [np.empty((0, encoder.dim), dtype=np.float32)]
    with torch.inference_mode():
        for b in batched(positions, batch_size):
            batch = to_device(inputs.batch(b), device)
            levels = encoder(batch) if isinstance(batch, torch.Tensor) else batch
            rows.append(encoder.pool(levels).float().cpu().numpy())
    return np.concatenate(rows)
