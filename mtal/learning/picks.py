"""What a round keeps of its picks: where they are, why they were picked, what they showed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from mtal.acquisition import ScoreTable
from mtal.annotation import Availability
from mtal.datasets.label_map import IGNORE
from mtal.datasets.masks import HeldOut, SomeLabels, in_parts, labelled_rows
from mtal.frames.cache import FrameArray
from mtal.frames.fit import padding
from mtal.frames.frame_files import frame_files
from mtal.frames.window import WHOLE, Window, Windows, of_rows
from mtal.models import MultiTaskModel
from mtal.scoring.inputs import Inputs, batched, ready, to_device
from mtal.tasks.on_frame import inside, said_at
from mtal.tasks.task import Task


@dataclass(frozen=True)
class Picks:
    """Frames of one round, and why.

    Attributes:
        frame_ids: in order of choice.
        rows: the picks' rows among the round's N candidates.
        because: what decided beyond scores or gradients, in words; empty for nothing.
        why: candidate to what made just this one be picked, in words, in place of ``because``.
        table: scores of the candidates; ``None`` where nothing was scored.
        utility: ``[N]`` of the candidates.
        went_by: what the selector read of the candidates by head and signal; ``None`` where nothing was scored.
        cost_s: ``[N]`` annotator seconds expected of the candidates; ``None`` where nothing asked for them.
        asked: ``[N, T]`` which heads each candidate is asked for; all that can be where ``None``.
    """

    frame_ids: list[str]
    rows: npt.NDArray[np.int64]
    because: str = ""
    table: ScoreTable | None = None
    utility: npt.NDArray[np.float64] | None = None
    went_by: ScoreTable | None = None
    cost_s: npt.NDArray[np.float64] | None = None
    asked: npt.NDArray[np.bool_] | None = None
    why: Mapping[int, str] = field(default_factory=dict)


_AT_ONCE = 32  # pictures, or maps of all pixels, in memory


def picks_table(
    rows: pd.DataFrame, labels: Mapping[str, SomeLabels], tasks: Sequence[Task], picks: Picks
) -> pd.DataFrame:
    """``picks.parquet``: one row per pick in order of choice.

    Args:
        rows: rows of the frame index.
        labels: the oracle's answer for these frames.
        tasks: the heads.
        picks: these frames, and why.

    Returns:
        Columns ``order, frame_id, patient, video, frame, time_s, file, utility``, where ``file`` is the picture or the
        video on disk (runs of before have none); ``reason_task, reason_signal,
        reason_percentile`` (of what the selector read, that in which the frame stands highest; none where it read
        nothing of a head) and ``reason_because`` (what else decided, in words); ``cost_s`` where it is known,
        ``score/<task>/<signal>`` and ``percentile/<task>/<signal>`` (0 to 100 within the pool), and ``label/<task>``
        for frame tasks.
    """
    at = picks.rows
    table = rows[["frame_id", "patient", "video", "frame", "time_s"]].reset_index(drop=True)
    table.insert(0, "order", np.arange(len(table)))
    table["file"] = frame_files(rows)
    table["utility"] = np.nan if picks.utility is None else picks.utility[at]
    table = table.join(_reasons(picks))
    if picks.cost_s is not None:
        table["cost_s"] = picks.cost_s[at]
    if picks.table is not None:
        values, percentiles = picks.table.values.numpy()[at], picks.table.percentiles_at(at).numpy()  # noqa: PD011
        columns = {}
        for c, (name, signal) in enumerate(picks.table.columns):
            columns[f"score/{name}/{signal}"] = values[:, c]
            columns[f"percentile/{name}/{signal}"] = percentiles[:, c]
        table = pd.concat([table, pd.DataFrame(columns)], axis=1)  # at once: one by one is slow from 100 on
    return with_labels(table, labels, tasks)


def with_asked(table: pd.DataFrame, availability: Availability, picks: Picks) -> pd.DataFrame:
    """A table of picks with the columns ``asked/<task>``: which heads annotators are asked for."""
    asked = availability.askable(picks.frame_ids)  # [n, T]
    if picks.asked is not None:
        asked &= picks.asked[picks.rows]
    return table.assign(**{f"asked/{task}": asked[:, i] for i, task in enumerate(availability.tasks)})


def with_labels(table: pd.DataFrame, labels: Mapping[str, SomeLabels], tasks: Sequence[Task]) -> pd.DataFrame:
    """A table of picks with the columns ``label/<task>`` of frame tasks at its end."""
    columns = {
        f"label/{task.name}": [np.atleast_1d(y).astype(int).tolist() for y in labels[task.name]]
        for task in tasks
        if task.support == "frame"
    }
    return table.assign(**columns)


def _reasons(picks: Picks) -> pd.DataFrame:
    """The four columns ``reason_…``."""
    n, read = len(picks.rows), picks.went_by
    scored = np.ones(n, dtype=bool)  # or nothing was scored at all
    nothing = pd.Series([None] * n, dtype="object")
    reasons = pd.DataFrame({"reason_task": nothing, "reason_signal": nothing, "reason_percentile": np.nan})
    if read is not None:
        percentiles = read.percentiles_at(picks.rows).numpy()  # [n, columns]
        scored = ~np.isnan(percentiles).all(axis=1)  # [n], none where there is no column
    if read is not None and scored.any():
        best = np.nan_to_num(percentiles, nan=-1.0).argmax(axis=1)
        columns = [read.columns[b] if known else (None, None) for b, known in zip(best, scored, strict=True)]
        reasons[["reason_task", "reason_signal"]] = pd.DataFrame(columns, dtype="object")  # None stays None
        reasons["reason_percentile"] = percentiles[np.arange(n), best]
    told = [picks.why.get(int(i), picks.because) for i in picks.rows]
    unscored = "no score told it from the other frames"
    reasons["reason_because"] = [why if known else why or unscored for why, known in zip(told, scored, strict=True)]
    return reasons


def write_images(
    folder: Path,
    frames: FrameArray,
    positions: np.ndarray,
    labels: Mapping[str, SomeLabels],
    predictions: Mapping[str, np.ndarray],
) -> None:
    """``images/0000.jpg`` and, per pixel task, ``.<task>.png`` (label) and ``.<task>.pred.png`` (prediction before).

    Layers of classes that overlap are one below the other; :func:`mtal.reporting.run_reader.read_mask` reads them.
    """
    folder.mkdir()
    for rows in batched(np.arange(len(positions)), _AT_ONCE):
        for k, picture in zip(rows, frames[positions[rows]], strict=True):
            Image.fromarray(picture).save(folder / f"{k:04d}.jpg", quality=88)
    for suffix, masks in ((".png", labels), (".pred.png", predictions)):
        for task, stack in masks.items():
            if len(stack.shape) > 2:  # of pixels: [n, H, W] or [n, C, H, W]
                for k, mask in enumerate(stack):
                    Image.fromarray(mask.reshape(-1, mask.shape[-1])).save(folder / f"{k:04d}.{task}{suffix}")


def predict_masks(
    model: MultiTaskModel,
    tasks: Sequence[Task],
    inputs: Inputs,
    positions: np.ndarray,
    size: tuple[int, int],
    device: torch.device,
    windows: Sequence[Window] = (),
) -> dict[str, np.ndarray]:
    """What each pixel head says of every pixel of the pictures that the model is shown.

    Args:
        model: predicts in evaluation mode.
        tasks: the heads.
        inputs: model inputs of all frames.
        positions: ``[n]``.
        size: (H, W) of the masks.
        device: where the model runs.
        windows: what each picture shows of its frame; all of it where not given.

    Returns:
        uint8, 255 beyond the frame. The most probable class, ``[n, H, W]``; where classes overlap 1 for each that is
        more probable than not, else 0, ``[n, C, H, W]``.
    """
    heads = [t for t in tasks if t.support == "pixel"]
    layers = {t.name: () if t.family == "categorical" else (len(t.classes),) for t in heads}
    masks = {t.name: np.empty((len(positions), *layers[t.name], *size), dtype=np.uint8) for t in heads}
    for row, logits in enumerate(_logits(model, heads, inputs, positions, device)):
        beyond = padding(size, windows[row]) if windows else np.zeros(size, dtype=bool)
        for task in heads:
            masks[task.name][row] = np.where(beyond, IGNORE, said_at(task, logits[task.name], size))
    return masks


def said_on_frame(
    model: MultiTaskModel,
    tasks: Sequence[Task],
    inputs: Inputs,
    position: int,
    size: tuple[int, int],
    device: torch.device,
    windows: Windows | None = None,
) -> dict[str, np.ndarray]:
    """What heads say of one frame, or of every pixel of it.

    Args:
        model: predicts in evaluation mode.
        tasks: the heads.
        inputs: model inputs of all frames.
        position: of the frame among them.
        size: (H, W) of the frame.
        device: where the model runs.
        windows: what the model is shown of each frame; all of it where ``None``.

    Returns:
        uint8 by task. The most probable class, ``[]`` or ``[H, W]``; of classes that may be together 1 for each that is
        more probable than not, else 0, ``[C]`` or ``[C, H, W]``; 255 for pixels that the model was not shown.
    """
    (logits,) = _logits(model, tasks, inputs, np.array([position]), device)
    (window,) = of_rows(windows, [position]) or [WHOLE]
    shown = inside(size, window)

    def said(task: Task) -> np.ndarray:
        x = logits[task.name]
        if task.support == "pixel":
            return np.where(shown, said_at(task, x, size, window), np.uint8(IGNORE))
        return (x.argmax(dim=0) if task.family == "categorical" else x > 0).numpy().astype(np.uint8)

    return {t.name: said(t) for t in tasks}


def _logits(
    model: MultiTaskModel, heads: Sequence[Task], inputs: Inputs, positions: np.ndarray, device: torch.device
) -> Iterator[dict[str, Tensor]]:
    """``[C]`` of heads with one answer per frame and maps ``[C, h, w]`` of pixel heads, frame by frame."""
    model = ready(model, device)
    for rows in batched(np.arange(len(positions)), _AT_ONCE):
        with torch.inference_mode():
            output = model(to_device(inputs.batch(positions[rows]), device))
            maps = {t.name: output.heads[t.name].logits.cpu() for t in heads}
        for k in range(len(rows)):
            yield {name: x[k] for name, x in maps.items()}


def class_counts(tasks: Sequence[Task], labels: Mapping[str, SomeLabels]) -> dict[str, dict[str, int]]:
    """How many labelled frames show each class."""
    counts: dict[str, dict[str, int]] = {}
    for task in tasks:
        total = np.zeros(len(task.classes), dtype=np.int64)  # [C]
        for y in in_parts(labels[task.name]):
            if task.family == "bernoulli":
                shown = (y == 1).reshape(*y.shape[:2], -1).any(axis=2)  # [n, C]
            else:
                flat = y.reshape(len(y), -1)
                shown = np.stack([(flat == c).any(axis=1) for c in range(len(total))], axis=1)  # [n, C]
            total += shown.sum(axis=0)
        counts[task.name] = {name: int(n) for name, n in zip(task.classes, total, strict=True)}
    return counts


def labelled_frames(tasks: Sequence[Task], labels: Mapping[str, HeldOut]) -> dict[str, npt.NDArray[np.bool_]]:
    """Which frames have any label of each task, ``[N]``; nothing where there are no labels."""
    return {t.name: labelled_rows(labels[t.name]) for t in tasks if t.name in labels}


def annotated(tasks: Sequence[Task], labels: Mapping[str, SomeLabels]) -> dict[str, bool]:
    """Whether each task has any label at all."""
    return {task: bool(some.any()) for task, some in labelled_frames(tasks, labels).items()}
