"""What the model says of frames, batch by batch, with all that signals and selectors read of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from mtal.acquisition import Acquisition
from mtal.acquisition.coarse import coarse_posterior
from mtal.acquisition.fisher import fisher_factor, fisher_sum
from mtal.frames.prefetch import prefetch
from mtal.models import ModelOutput, MultiTaskModel
from mtal.models.shared_gradient import shared_gradients
from mtal.progress import track
from mtal.scoring.inputs import Inputs, ModelInput, batched, ready, to_device
from mtal.scoring.pool_scores import Collector, Look, of_all
from mtal.scoring.site_weights import SiteWeights
from mtal.tasks.posterior import HeadOutput
from mtal.tasks.task import Task


@dataclass
class LabelledView:
    """What a pass over the labelled frames leaves behind, rows in their order. What nobody needs is empty.

    Attributes:
        shared: ``[M, D]`` float32, the encoder's pooled output.
        posteriors: by task, coarse, ``probs [M, G, C]``.
        fisher: by task, summed Fisher information ``[P, P]`` float64.
    """

    shared: np.ndarray
    posteriors: dict[str, HeadOutput] = field(default_factory=dict)
    fisher: dict[str, Tensor] = field(default_factory=dict)


def look_at_labelled(
    model: MultiTaskModel,
    tasks: Sequence[Task],
    inputs: Inputs,
    positions: np.ndarray,
    acquisition: Acquisition,
    device: torch.device,
    batch_size: int = 32,
    *,
    temperatures: Mapping[str, float] | None = None,
    site_weights: SiteWeights | None = None,
) -> LabelledView:
    """Look at each labelled frame once, for what ``acquisition`` compares candidates with.

    Args:
        model: looks in evaluation mode.
        tasks: the heads.
        inputs: model inputs of all frames.
        positions: ``[M]`` labelled frames; there may be none.
        acquisition: says what is needed.
        device: where the model runs.
        batch_size: frames at a time.
        temperatures: by task, of calibrated heads; 1 where not given.
        site_weights: how much each site of a head counts; ``None`` counts all in full.
    """
    collector = Collector(len(positions))
    coarse: dict[str, HeadOutput] = {}
    fisher: dict[str, Tensor] = {}
    collector.add("shared", np.empty((0, model.encoder.dim), dtype=np.float32))
    looks = look_at(
        model, tasks, inputs, positions, device, batch_size, temperatures=temperatures, site_weights=site_weights
    )
    with torch.inference_mode():
        for look in looks:
            collector.add("shared", look.shared.float().cpu().numpy())
            for task, head in look.heads.items():
                if "labelled_posterior" in acquisition.pool_needs:
                    coarse[task] = coarse_posterior(head)
                    collector.add(task, coarse[task].probs.cpu().numpy())
                    if head.valid is not None:
                        collector.add(f"{task}/valid", coarse[task].site_weights.cpu().numpy())
                if "fisher" in acquisition.selector_needs:
                    of_batch = fisher_sum(fisher_factor(head)).cpu()  # [P, P]
                    fisher[task] = fisher[task] + of_batch if task in fisher else of_batch
    return LabelledView(
        shared=collector.arrays["shared"],
        posteriors={
            task: of_all(
                head, collector.tensor(task), None if head.valid is None else collector.tensor(f"{task}/valid")
            )
            for task, head in coarse.items()
        },
        fisher={task: information.clone() for task, information in fisher.items()},
    )


def look_at(
    model: MultiTaskModel,
    tasks: Sequence[Task],
    inputs: Inputs,
    positions: np.ndarray,
    device: torch.device,
    batch_size: int = 32,
    *,
    wanted: Collection[str] = (),
    members: int = 20,
    class_weights: Mapping[str, Tensor] | None = None,
    temperatures: Mapping[str, float] | None = None,
    site_weights: SiteWeights | None = None,
    seed: int = 0,
    first: int = 0,
    doing: str | None = "Looking at frames",
) -> Iterator[Look]:
    """What the model says of the frames at ``positions``, batch by batch in their order.

    The next batch is read while the model works. The encoder runs once whatever is asked: members and shared gradients
    start from its output.

    Args:
        model: looks in evaluation mode.
        tasks: the heads.
        inputs: model inputs of all frames.
        positions: ``[N]``.
        device: where the model runs, and where the results lie.
        batch_size: frames at a time.
        wanted: beyond posteriors and features: ``"members"`` and ``"shared_gradient"``; other words are passed over.
        members: number of Monte-Carlo dropout members.
        class_weights: by task, ``[C]``.
        temperatures: by task; 1 where not given.
        site_weights: how much each site of a head counts; ``None`` counts all in full.
        seed: of the members' dropout masks, which are the same for all frames.
        first: the row of the first of these frames, for ``site_weights``.
        doing: what the progress bar says; ``None`` for no bar.
    """
    model = ready(model, device)
    batches = list(batched(np.arange(len(positions)), batch_size))
    loaded = prefetch((rows, inputs.batch(positions[rows])) for rows in batches)
    options = _Options(frozenset(wanted), members, class_weights or {}, temperatures or {}, site_weights, seed)
    for rows, batch in loaded if doing is None else track(loaded, doing, total=len(batches), unit="batches"):
        with torch.inference_mode():
            look = _look(model, tasks, to_device(batch, device), first + rows, options)
        yield look


def head_outputs(
    output: ModelOutput,
    tasks: Sequence[Task],
    *,
    class_weights: Mapping[str, Tensor] | None = None,
    temperatures: Mapping[str, float] | None = None,
) -> dict[str, HeadOutput]:
    """Posterior, last-layer features and, where the model predicts it, loss of each head.

    Dividing a head's logits by its temperature is what :func:`mtal.acquisition.calibration.calibrated` does, without
    its rounding near 0 and 1.
    """
    heads = {}
    for task in tasks:
        logits, features = output.heads[task.name]
        head = task.head_output(_calibrated(logits, task, temperatures), features)
        predicted = None if output.predicted_losses is None else output.predicted_losses[task.name]
        heads[task.name] = replace(head, predicted_loss=predicted, class_weights=_weights(class_weights, task, logits))
    return heads


def shared_features(
    model: MultiTaskModel, inputs: Inputs, positions: np.ndarray, device: torch.device, batch_size: int = 32
) -> np.ndarray:
    """The encoder's pooled output for the frames at ``positions``: ``[N, D]`` float32."""
    encoder = ready(model, device).encoder
    rows = [np.empty((0, encoder.dim), dtype=np.float32)]
    with torch.inference_mode():
        for b in batched(positions, batch_size):
            batch = to_device(inputs.batch(b), device)
            levels = encoder(batch) if isinstance(batch, torch.Tensor) else batch
            rows.append(encoder.pool(levels).float().cpu().numpy())
    return np.concatenate(rows)


@dataclass(frozen=True)
class _Options:
    wanted: frozenset[str]
    members: int
    class_weights: Mapping[str, Tensor]
    temperatures: Mapping[str, float]
    site_weights: SiteWeights | None
    seed: int


def _look(model: MultiTaskModel, tasks: Sequence[Task], batch: ModelInput, rows: np.ndarray, options: _Options) -> Look:
    with torch.inference_mode(mode=False), torch.no_grad():  # shared gradients go back to these levels
        levels = model.encode(batch)

    counts: dict[str, Tensor | None] = {}

    def weigh(task: Task, grid: tuple[int, int]) -> Tensor | None:
        if task.name not in counts:
            counts[task.name] = None if options.site_weights is None else options.site_weights(task, rows, levels, grid)
        return counts[task.name]

    gradients: dict[str, Tensor] = {}
    if "shared_gradient" in options.wanted:
        gradients, output, represented = shared_gradients(
            model, levels, tasks, temperatures=options.temperatures, weigh=weigh
        )
    else:
        represented = model.represent(levels)
        output = model.answer(represented)
    heads = head_outputs(output, tasks, class_weights=options.class_weights, temperatures=options.temperatures)
    for task in tasks:
        head = heads[task.name]
        valid = weigh(task, head.grid or (1, 1))
        heads[task.name] = replace(head, shared_gradient=gradients.get(task.name), valid=valid)
    if "members" not in options.wanted:
        return Look(represented.shared, heads)
    logits = model.members(represented, options.members, options.seed)
    members = {t.name: t.members_output(_calibrated(logits[t.name], t, options.temperatures)) for t in tasks}
    members = {
        task: replace(head, class_weights=heads[task].class_weights, valid=heads[task].valid)
        for task, head in members.items()
    }
    return Look(represented.shared, heads, members)


def _calibrated(logits: Tensor, task: Task, temperatures: Mapping[str, float] | None) -> Tensor:
    temperature = (temperatures or {}).get(task.name, 1.0)
    return logits if temperature == 1 else logits / temperature


def _weights(class_weights: Mapping[str, Tensor] | None, task: Task, like: Tensor) -> Tensor | None:
    weights = (class_weights or {}).get(task.name)
    return None if weights is None else weights.to(like)
