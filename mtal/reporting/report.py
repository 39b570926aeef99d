"""``report.html``: one page that shows a whole run and needs no other file and no network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtal.reporting import curves, minutes
from mtal.reporting.config_summary import summarize, title
from mtal.reporting.page import classes_in, clock, environment, layer_of, thumbnail
from mtal.reporting.pick import Pick, picks_of
from mtal.reporting.progress import Progress, read_progress
from mtal.reporting.run_reader import Round, Run, Task, main_metric, read_mask, read_run, trained_in_words
from mtal.whole_files import write_whole

THUMBNAIL = 160
"""Longer side of a picked frame on the page, in pixels: 20 rounds of 24 picks stay under 15 MB."""

MOST_CARDS = 120
"""Picks shown per round; an initial set may be the whole pool."""


@dataclass(frozen=True)
class Headline:
    """Main metric of one head, or the joint score, at the end of the run, and its change since a round."""

    name: str
    metric: str
    value: float
    change: float
    since: int


@dataclass(frozen=True)
class ClassRow:
    """One class of one head at the end of the run."""

    name: str
    color: tuple[int, int, int]
    metrics: Mapping[str, float]
    counts: tuple[int, ...]  # per round
    share: float  # of the frames of which the head has a label, 0..1


@dataclass(frozen=True)
class Card:
    """One picked frame with everything that is drawn for it, images as data URIs."""

    pick: Pick
    image: str | None
    alt: str
    size: tuple[int, int]
    labels: tuple[tuple[int, str], ...]  # which of the pixel heads, and what it shows
    predictions: tuple[tuple[int, str], ...]
    not_asked: tuple[str, ...]  # pixel heads that others were worth more than


def write_report(run_dir: Path | str) -> Path:
    """Draw ``<run_dir>/report.html`` from the run folder and return its path.

    A reader never sees half of the page, nor does it matter if others draw it at the same time.

    Raises:
        FileNotFoundError: ``run_dir`` is not a run folder.
        ValueError: the run has no complete round yet, and waits for nobody.
    """
    run = read_run(run_dir)
    progress = read_progress(run.path)
    if not run.rounds and progress is None:
        raise ValueError(f"{run.path}: no round is complete yet, so there is nothing to report")
    target = run.path / "report.html"
    write_whole(target, render(run, progress), several=True)
    return target


def render(run: Run, progress: Progress | None = None) -> str:
    """The page as a string; of a run without a round it tells what is waited for."""
    if not run.rounds:
        page = environment().get_template("waiting.html.j2")
        return page.render(title=title(run.config, run.name), progress=progress)
    last = run.rounds[-1]
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            progress=progress,
            minutes=minutes.all_minutes(run),
            minutes_in_words=minutes.in_words(run),
            round_minutes=[minutes.minutes(this) for this in run.rounds],
            title=title(run.config, run.name),
            last=last,
            config=summarize(run.config),
            config_text=(run.path / "config.yaml").read_text(encoding="utf-8"),
            pixel=run.pixel_tasks(),
            pool=int((run.frames["split"] == "pool").sum()),
            headlines=_headlines(run),
            figures=_figures(run),
            main={name: main_metric(name, last.metrics) for name in run.tasks},
            partly=any(last.answered(name) < last.labelled for name in run.tasks),
            class_rows={name: _class_rows(run, task) for name, task in run.tasks.items()},
            class_metrics={name: _class_metrics(last, name) for name in run.tasks},
            cards=[(this, _cards(run, this)) for this in run.rounds],
            trained=[trained_in_words(this.training) for this in run.rounds],
            stages=list({stage: None for this in run.rounds for stage in this.timings}),
            nan=math.nan,
            has_predictions=any(this.picks.shape[0] and this.number > 0 for this in run.rounds)
            and bool(run.pixel_tasks()),
        )
    )


def _headlines(run: Run) -> list[Headline]:
    keys = [(name, main_metric(name, run.rounds[-1].metrics)) for name in run.tasks]
    keys.append(("joint", "joint"))
    headlines = []
    for name, key in keys:
        values = [this.metrics.get(key, math.nan) for this in run.rounds] if key else [math.nan]
        known = [(this.number, v) for this, v in zip(run.rounds, values, strict=True) if math.isfinite(v)]
        since, first = known[0] if known else (0, math.nan)
        change = values[-1] - first if len(known) > 1 else math.nan  # NaN where the last round has no value
        headlines.append(Headline(name, _metric_name(key), values[-1], change, since))
    return headlines


def _metric_name(key: str | None) -> str:
    """``"tools/mAP"`` → ``"mAP"``; the joint score has no further name."""
    return key.split("/", 1)[1] if key and "/" in key else ""


def _figures(run: Run) -> list[tuple[str, str]]:
    panels = [(name, curves.head_curves(run, name)) for name in run.tasks]
    panels.append(("joint", [curves.curve(run, "joint")]))
    figures = []
    for name, drawn in panels:
        figure = curves.draw(drawn, empty="no labels to test this head on")
        figures.append((name, curves.to_svg(figure, curves.describe(drawn, name))))
    seconds = minutes.predicted_and_real(run)
    if len(seconds):
        told = minutes.describe(seconds)
        figures.append(("annotators' seconds a frame", curves.to_svg(minutes.draw(seconds), told)))
    return figures


def _class_metrics(last: Round, task: str) -> list[str]:
    """Names of the metrics that one head has per class, such as AP or IoU."""
    parts = [key.split("/", 2) for key in last.metrics]
    return list({p[1]: None for p in parts if len(p) == 3 and p[0] == task})


def _class_rows(run: Run, task: Task) -> list[ClassRow]:
    last = run.rounds[-1]
    rows = []
    for name, color in zip(task.classes, task.colors, strict=True):
        counts = tuple(int(this.class_counts.get(task.name, {}).get(name, 0)) for this in run.rounds)
        metrics = {m: last.metrics.get(f"{task.name}/{m}/{name}", math.nan) for m in _class_metrics(last, task.name)}
        rows.append(ClassRow(name, color, metrics, counts, counts[-1] / max(last.answered(task.name), 1)))
    return rows


def _cards(run: Run, this: Round) -> list[Card]:
    return [_card(this, pick, run.pixel_tasks()) for pick in picks_of(run, this.number)[:MOST_CARDS]]


def _card(this: Round, pick: Pick, pixel_tasks: Sequence[Task]) -> Card:
    image, size = None, (THUMBNAIL, THUMBNAIL)
    if (path := this.image(pick.order)) is not None:
        image, size = thumbnail(path, THUMBNAIL)
    labels, predictions, seen = [], [], []
    for head, task in enumerate(pixel_tasks):
        if (path := this.label_mask(pick.order, task.name)) is not None:
            mask = read_mask(path, task.family, task.classes)
            labels.append((head, layer_of(mask, task, size)))
            seen.append(f"{task.name}: {pick.in_words(task.name, classes_in(mask, task))}")
        if (path := this.predicted_mask(pick.order, task.name)) is not None:
            predictions.append((head, layer_of(read_mask(path, task.family, task.classes), task, size)))
    seen += [f"{task}: {pick.in_words(task, present)}" for task, present in pick.labels.items()]
    alt = f"Frame {pick.frame} of {pick.video}, {clock(pick.time_s)}. {'; '.join(seen)}."
    not_asked = tuple(task.name for task in pixel_tasks if task.name in pick.not_asked)
    return Card(pick, image, alt, size, tuple(labels), tuple(predictions), not_asked)
