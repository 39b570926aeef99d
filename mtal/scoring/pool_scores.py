"""What is kept of a pass of the model over the pool."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtal.acquisition import Acquisition, GradientBlock, ScoreTable, gradient_block
from mtal.acquisition.coarse import coarse_posterior
from mtal.acquisition.fisher import fisher_factor
from mtal.acquisition.gradients import shared_gradient_block
from mtal.acquisition.score_table import Column
from mtal.scoring.column_files import Columns
from mtal.tasks.posterior import HeadOutput


@dataclass
class PoolScores:
    """What one pass leaves behind; rows in the order of the candidates. What nobody needs is empty or ``None``.

    Attributes:
        table: scores, one column per (task, signal).
        shared: ``[N, D]`` float32, the encoder's pooled output.
        gradients: by task, of its last layer or of the shared representation.
        posteriors: by task, coarse, ``probs [N, G, C]``.
        members: by task, coarse, ``probs [K, N, G, C]`` float16.
        fisher: by task, factors ``[N, R, P]`` float32.
        gradient_length: by task, mean length of its shared-representation gradient.
        cost_s: ``[N]`` annotator seconds.
        cost_by_head: ``[N, T]`` annotator seconds of each head, where it is chosen which are asked for.
    """

    table: ScoreTable
    shared: np.ndarray
    gradients: dict[str, GradientBlock] = field(default_factory=dict)
    posteriors: dict[str, HeadOutput] = field(default_factory=dict)
    members: dict[str, HeadOutput] = field(default_factory=dict)
    fisher: dict[str, Tensor] = field(default_factory=dict)
    gradient_length: dict[str, float] = field(default_factory=dict)
    cost_s: np.ndarray | None = None
    cost_by_head: np.ndarray | None = None


@dataclass(frozen=True)
class Look:
    """What the model says of one batch.

    Attributes:
        shared: ``[n, D]`` pooled output of the encoder.
        heads: head outputs by task, calibrated.
        members: the same of Monte-Carlo dropout members, with a leading K; ``None`` where none were asked for.
    """

    shared: Tensor
    heads: dict[str, HeadOutput]
    members: dict[str, HeadOutput] | None = None


@dataclass
class Collector:
    """Arrays for the whole pool, allocated at the first batch and filled batch by batch."""

    size: int
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    filled: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, rows: np.ndarray) -> None:
        """Put the rows of one more batch under a name."""
        if name not in self.arrays:
            self.arrays[name] = np.empty((self.size, *rows.shape[1:]), dtype=rows.dtype)
            self.filled[name] = 0
        start = self.filled[name]
        self.arrays[name][start : start + len(rows)] = rows
        self.filled[name] = start + len(rows)

    def tensor(self, name: str) -> Tensor:
        """All rows under a name."""
        return torch.from_numpy(self.arrays[name])


class Kept:
    """What is kept of each batch of a segment, for those who need it.

    Args:
        acquisition: says what is needed.
        size: frames of the segment.
        silent: heads without a label so far.
    """

    def __init__(self, acquisition: Acquisition, size: int, silent: Collection[str]) -> None:
        self.acquisition = acquisition
        self.silent = silent
        self.batch_needs = acquisition.batch_needs
        self.pool_needs = acquisition.pool_needs
        self.selector_needs = acquisition.selector_needs
        self.collector = Collector(size)
        self.columns: list[Column] = []
        self.left_columns: dict[str, int | None] = {}
        self.heads: dict[str, dict[str, Any]] = {}

    def keep(self, look: Look) -> None:
        """One more batch."""
        self._add("shared", look.shared.float())
        scores = self.acquisition.score({t: self._heard(t, head) for t, head in look.heads.items()}, look.members)
        self.columns = list(scores)
        none = torch.empty(len(look.shared), 0, dtype=torch.float64)  # all signals may be of the whole pool
        self._add("scores", torch.stack(list(scores.values()), dim=1) if scores else none)
        if self.acquisition.limits.cost is not None:
            self._add("cost", self.acquisition.limits.cost(look.heads))
            if not self.acquisition.limits.query.asks_all:
                self._add("cost_by_head", self.acquisition.limits.cost.by_head(look.heads))
        for task, head in look.heads.items():
            self._keep_head(task, head)
        for task, head in (look.members or {}).items():
            if "members" in self.pool_needs or ("members" in self.selector_needs and head.probs.shape[2] == 1):
                coarse = coarse_posterior(head)
                self._add_head(f"members/{task}", coarse, coarse.probs.half().transpose(0, 1))  # [n, K, G, C]

    def all(self) -> Columns:
        """Of all batches."""
        return Columns(
            self.collector.arrays, {"columns": self.columns, "left_columns": self.left_columns, "heads": self.heads}
        )

    def _heard(self, task: str, head: HeadOutput) -> HeadOutput:
        """``head``; one that has learnt nothing pulls the encoder nowhere, whatever its random weights say."""
        if task not in self.silent or head.shared_gradient is None:
            return head
        return replace(head, shared_gradient=torch.zeros_like(head.shared_gradient))

    def _keep_head(self, task: str, head: HeadOutput) -> None:
        if "gradient" in self.selector_needs:
            block = (
                gradient_block(head)
                if self.acquisition.measurement.gradient == "last_layer"
                else shared_gradient_block(head)
            )
            self.left_columns[task] = None if block.right is None else block.left.shape[1]
            self.collector.add(f"gradient/{task}", block.to_array())
        if {"posterior", "previous"} & self.pool_needs or {"posterior", "shown"} & self.selector_needs:
            coarse = coarse_posterior(head)
            self._add_head(f"posterior/{task}", coarse, coarse.probs)
        if "fisher" in self.selector_needs:
            self._add(f"fisher/{task}", fisher_factor(head).float())
        if head.shared_gradient is not None:
            self._add(f"gradient_length/{task}", torch.linalg.vector_norm(head.shared_gradient.double(), dim=1))

    def _add(self, name: str, rows: Tensor) -> None:
        self.collector.add(name, rows.cpu().numpy())

    def _add_head(self, name: str, head: HeadOutput, probs: Tensor) -> None:
        self.heads[name] = {"family": head.family, "grid": head.grid}
        self._add(name, probs)
        if head.valid is not None:
            self._add(f"{name}/valid", head.valid)


def pool_scores(columns: Columns, class_weights: Mapping[str, Tensor]) -> PoolScores:
    """What one pass has left behind, of what was kept of all its segments.

    Args:
        columns: of all candidates, see :meth:`Kept.all`.
        class_weights: by task, ``[C]``, as the pass has seen them.
    """
    arrays, about = columns.arrays, columns.about

    def of_kind(kind: str) -> dict[str, str]:
        return {n.removeprefix(kind): n for n in arrays if n.startswith(kind) and not n.endswith("/valid")}

    def heads(kind: str) -> dict[str, HeadOutput]:
        found = {}
        for task, name in of_kind(kind).items():
            known, valid, weights = about["heads"][name], arrays.get(f"{name}/valid"), class_weights.get(task)
            probs = torch.from_numpy(arrays[name])
            found[task] = HeadOutput(
                known["family"],
                probs.transpose(0, 1) if kind == "members/" else probs,
                None if valid is None else torch.from_numpy(valid),
                grid=None if known["grid"] is None else tuple(known["grid"]),
                class_weights=None if weights is None else weights.cpu().float(),
            )
        return found

    return PoolScores(
        table=ScoreTable(
            tuple((task, signal) for task, signal in about["columns"]), torch.from_numpy(arrays["scores"])
        ),
        shared=arrays["shared"],
        gradients={
            task: GradientBlock.from_array(arrays[name], about["left_columns"][task])
            for task, name in of_kind("gradient/").items()
        },
        posteriors=heads("posterior/"),
        members=heads("members/"),
        fisher={task: torch.from_numpy(arrays[name]) for task, name in of_kind("fisher/").items()},
        gradient_length={  # exact, so that it does not matter in what pieces the frames came
            task: math.fsum(arrays[name]) / len(arrays[name]) for task, name in of_kind("gradient_length/").items()
        },
        cost_s=arrays.get("cost"),
        cost_by_head=arrays.get("cost_by_head"),
    )


def of_all(of_batch: HeadOutput, probs: Tensor, valid: Tensor | None) -> HeadOutput:
    """The head output of all batches, given that of one."""
    weights = of_batch.class_weights
    return HeadOutput(
        of_batch.family,
        probs,
        valid,
        grid=of_batch.grid,
        class_weights=None if weights is None else weights.cpu().clone(),
    )
