"""All that is said of the strategies of one setting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mtal.reporting.comparison import driving_head, redundancy
from mtal.reporting.comparison.annotator_time import minutes, prices
from mtal.reporting.comparison.chance import chance_level
from mtal.reporting.comparison.interquartile_mean import interquartile_interval, interquartile_mean
from mtal.reporting.comparison.learning_curve import Curves, area, common_axis, in_common, on_axis
from mtal.reporting.comparison.per_class import class_metrics, class_shares, rare_classes
from mtal.reporting.comparison.repeats import mean_by_fold, notes_of_folds, repeated, repeated_by, run_numbers
from mtal.reporting.comparison.score_comparison import ScoreComparison, Target, area_difference, compare_score
from mtal.reporting.comparison.strategies import RANDOM, Repeat, Setting, repeat_of
from mtal.reporting.comparison.training_lengths import TrainingLengths, training_lengths
from mtal.reporting.run_reader import Run, main_metric

Floats = npt.NDArray[np.float64]
FRAMES, MINUTES = "labelled frames", "annotator minutes after the initial set"
RARE_CLASSES = "rare classes"
MINUTE_POINTS = 15


@dataclass(frozen=True)
class ClassDifference:
    """One class of one strategy: its area under the curve, and by how much that is above the baseline's."""

    task: str
    name: str
    share: float
    rare: bool
    strategy: str
    area: float
    difference: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Aggregate:
    """Interquartile mean, over runs and heads, of the area under the curve as a share of the head's full-pool score."""

    strategy: str
    value: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class SettingComparison:
    """Figures of one setting.

    Args:
        name: of the setting.
        baseline: name of the strategy that all others are compared with.
        strategies: their names, the furthest ahead of the baseline in the joint score first.
        scores: joint first, then the heads and the rare classes, against labelled frames.
        timed: the joint score against annotators' minutes; None where no costs were recorded.
        classes: one entry per class and strategy, the baseline's with a difference of 0.
        aggregates: interquartile means, the highest first.
        driving: strategy → head → share of the picks.
        percentiles: strategy → head → mean percentile of the picks.
        redundancy: strategy → measure → value.
        seeds: strategy → its seeds.
        repeated: what a strategy was repeated with: ``"seed"``, or where patients are exchanged ``"fold"`` or, with few
            folds, ``"run"``.
        folds: number of a run → the fold it tests on, where ``repeated`` is ``"run"``.
        trained: how long heads were trained, where the runs tell.
        notes: what the reader must know: missing scores, where the full-pool score is from.
    """

    name: str
    baseline: str
    strategies: tuple[str, ...]
    scores: tuple[ScoreComparison, ...]
    timed: ScoreComparison | None
    classes: tuple[ClassDifference, ...]
    aggregates: tuple[Aggregate, ...]
    driving: Mapping[str, Mapping[str, float]]
    percentiles: Mapping[str, Mapping[str, float]]
    redundancy: Mapping[str, Mapping[str, float]]
    seeds: Mapping[str, tuple[int, ...]]
    repeated: str
    folds: Mapping[int, int]
    trained: TrainingLengths
    notes: tuple[str, ...]

    @property
    def joint(self) -> ScoreComparison:
        """The score that sums up all heads."""
        return self.scores[0]

    @property
    def heads(self) -> tuple[ScoreComparison, ...]:
        """The scores of single heads."""
        return tuple(s for s in self.scores if s.name not in ("joint", RARE_CLASSES))


def compare_setting(setting: Setting, baseline: str) -> SettingComparison:
    """Compare all strategies of ``setting`` with the one called ``baseline``.

    Raises:
        ValueError: the runs have no stretch of labelled frames in common, or no joint score.
    """
    notes: list[str] = []
    runs = [run for strategy in setting.strategies for run in strategy.runs.values()]
    axis = common_axis({str(run.path): _labelled(run) for run in runs})
    if any(len(_labelled(run)) != len(axis) or (_labelled(run) != axis).any() for run in runs):
        notes.append(
            f"The runs were measured at different numbers of labelled frames; all curves are read, by linear "
            f"interpolation, at {len(axis)} places from {axis[0]:g} to {axis[-1]:g} frames."
        )
    metrics = {key: value for run in runs for key, value in class_metrics(run).items()}
    counted, among = _counted(setting)
    shares = class_shares(counted)
    rare = rare_classes(metrics, shares)
    scores = _scores(setting, axis, baseline, [metrics[key] for key in rare], notes)
    if not scores or scores[0].name != "joint":
        raise ValueError(
            f"{setting.name}: no run has a joint score over the whole axis, so there is nothing to compare"
        )
    if rare:
        listed = ", ".join(f"{task} {name} ({shares.get((task, name), 0):.1%})" for task, name in rare)
        notes.append(f"Rare classes, in fewer than one labelled frame in ten of {among}: {listed}.")
    else:
        notes.append(f"No class is rare: each is in at least one labelled frame in ten of {among}.")
    notes.append(_source(setting))
    notes += notes_of_folds(setting)
    trained = training_lengths(runs)
    notes += trained.in_words()
    notes += [f"{name} reads the pool's hidden labels: a bound, no strategy." for name in sorted(setting.bounds)]
    ranked = [row.strategy for row in scores[0].rows]
    members = {name: list(setting.strategy(name).runs.values()) for name in ranked}
    return SettingComparison(
        name=setting.name,
        baseline=baseline,
        strategies=tuple(ranked),
        scores=tuple(scores),
        timed=_timed(setting, baseline, scores[0], notes),
        classes=tuple(_classes(setting, axis, baseline, ranked, metrics, shares)),
        aggregates=tuple(_aggregates(scores)),
        driving={name: found for name, r in members.items() if (found := driving_head.driving_shares(r))},
        percentiles={name: found for name, r in members.items() if (found := driving_head.mean_percentiles(r))},
        redundancy={name: redundancy.mean_of(r) for name, r in members.items()},
        seeds={s.name: s.seeds for s in setting.strategies},
        repeated=repeated_by(setting),
        folds=_folds_of_runs(setting),
        trained=trained,
        notes=tuple(notes),
    )


def _counted(setting: Setting) -> tuple[Sequence[Run], str]:
    """The runs that tell how common classes are in the pool, and what they are called: the least choosy there are."""
    if setting.full_pool:
        return setting.full_pool, "the full pool"
    at_random = [s for s in setting.strategies if s.name == RANDOM]
    chosen = at_random or [s for s in setting.strategies if not s.is_bound]
    return [run for s in chosen for run in s.runs.values()], RANDOM if at_random else "all strategies"


def _labelled(run: Run) -> Floats:
    return np.array([this.spent for this in run.rounds], dtype=np.float64)  # [rounds]


def _values(run: Run, keys: Sequence[str]) -> Floats:
    """Mean of the metrics ``keys`` in each round, NaN where none of them could be measured, ``[rounds]``."""
    table = np.array([[this.metrics.get(key, np.nan) for key in keys] for this in run.rounds])  # [rounds, keys]
    known = np.isfinite(table)
    total = np.where(known, table, 0).sum(axis=1)
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)


def _curves(
    setting: Setting, axis: Floats, keys: Sequence[str], x: Callable[[Run], Floats | None] = _labelled
) -> tuple[dict[str, Curves], int]:
    """Curves of the strategies for which the score is known all along the axis; how many runs are left out."""
    curves, lost = {}, 0
    for strategy in setting.strategies:
        found: dict[Repeat, Floats] = {}
        for repeat, run in sorted(strategy.runs.items(), key=lambda item: item[0]):
            at = x(run)
            values = None if at is None else on_axis(at, _values(run, keys), axis)
            if values is None:
                lost += 1
            else:
                found[repeat] = values
        if found:
            curves[strategy.name] = repeated(found, setting)
    return curves, lost


def _scores(
    setting: Setting, axis: Floats, baseline: str, rare: Sequence[str], notes: list[str]
) -> list[ScoreComparison]:
    first = next(iter(setting.strategies[0].runs.values()))
    wanted: dict[str, list[str]] = {"joint": ["joint"]}
    for task in first.tasks:
        key = main_metric(task, first.rounds[-1].metrics)
        if key is not None:
            wanted[task] = [key]
    if rare:
        wanted[RARE_CLASSES] = list(rare)
    scores = []
    for name, keys in wanted.items():
        curves, lost = _curves(setting, axis, keys)
        metric = "mean of the heads' main metrics" if name == "joint" else keys[0].split("/")[1]
        metric = "mean over the rare classes" if name == RARE_CLASSES else metric
        if baseline not in curves:
            notes.append(f"{name} could not be measured in the runs of {baseline}, so it is not compared.")
            continue
        if lost:
            notes.append(f"{name}: {lost} runs are left out, in which it could not be measured from start to end.")
        target = _target(setting, baseline, keys, curves)
        scores.append(compare_score(name, metric, FRAMES, axis, curves, baseline, target, setting.bounds))
    return scores


def _target(setting: Setting, baseline: str, keys: Sequence[str], curves: Mapping[str, Curves]) -> Target:
    """Final scores of the full-pool runs, else the highest point that any strategy reached."""
    chances = _chances(setting, keys)
    chance = float(chances.values.mean())
    full = {repeat_of(run): _values(run, keys)[-1:] for run in setting.full_pool}
    known = {repeat: score for repeat, score in full.items() if np.isfinite(score).all()}
    if not known:
        best = _best_seen(curves[baseline], [c for s, c in curves.items() if s not in setting.bounds])
        return Target(best, chance)
    folds = _folds_of_runs(setting)  # each run of a strategy has the reference of its fold
    found = mean_by_fold(known) if folds else repeated(known, setting)
    return Target(float(found.values.mean()), chance, chances, found, folds)


def _folds_of_runs(setting: Setting) -> dict[int, int]:
    """Number of a run → its fold; empty where what is repeated are folds or seeds."""
    by_run = repeated_by(setting) == "run"
    return {number: repeat.fold for repeat, number in run_numbers(setting).items()} if by_run else {}


def _chances(setting: Setting, keys: Sequence[str]) -> Curves:
    """Chance level by repeat: how common classes are differs between the frames that folds are tested on."""
    runs: dict[Repeat, list[Run]] = {}
    for strategy in setting.strategies:
        for repeat, run in strategy.runs.items():
            runs.setdefault(repeat, []).append(run)
    return repeated({repeat: np.array([chance_level(of, keys)]) for repeat, of in runs.items()}, setting)


def _best_seen(baseline: Curves, members: Sequence[Curves]) -> float:
    """The highest point of any mean curve, as it would be on the baseline's repeats: easy folds set no target."""
    highest = float(baseline.mean.max())
    for curves in members:
        mine, others = in_common(curves, baseline)
        if mine.seeds:
            highest = max(highest, float((baseline.mean + mine.mean - others.mean).max()))
    return highest


def _source(setting: Setting) -> str:
    if setting.full_pool:
        count = len(setting.full_pool)
        if count == 1:
            return f"The full-pool score is that of one run trained on the whole pool, {setting.full_pool[0].name}."
        folders = ", ".join(sorted({run.path.parent.name for run in setting.full_pool}))
        return f"The full-pool score is the mean of {count} runs trained on the whole pool, in {folders}."
    return (
        "There is no full-pool run (--full-pool RUN), so label saving is measured at 90% and 95% of the best mean "
        "score, above chance, that any strategy reached: an easier target, which depends on the strategies compared."
    )


def _timed(setting: Setting, baseline: str, joint: ScoreComparison, notes: list[str]) -> ScoreComparison | None:
    runs = [run for strategy in setting.strategies for run in strategy.runs.values()]
    price = prices(runs)
    spent = {str(run.path): m for run in runs if (m := minutes(run, price)) is not None}
    own = [str(run.path) for run in setting.strategy(baseline).runs.values()]
    if not any(path in spent for path in own):
        notes.append(
            "Annotators' time was not recorded (acquisition/cost=annotator_seconds records it), so effort is counted "
            "in frames only."
            if price.empty
            else f"No run recorded the cost of frames that {baseline} picked, so effort is counted in frames only."
        )
        return None
    notes.append("By minutes, a frame costs what it was predicted to cost on average over all rounds of all runs.")
    end = min(m[-1] for m in spent.values())
    if end <= 0:
        notes.append("No annotators' time was spent after the initial set, so effort is counted in frames only.")
        return None
    axis = np.linspace(0, end, MINUTE_POINTS)
    curves, lost = _curves(setting, axis, ["joint"], x=lambda run: spent.get(str(run.path)))
    if lost:
        notes.append(f"{lost} runs picked frames that no run recorded the cost of; they aren't compared by minutes.")
    target = _target(setting, baseline, ["joint"], joint.curves)
    return compare_score("joint", joint.metric, MINUTES, axis, curves, baseline, target, setting.bounds)


def _classes(
    setting: Setting,
    axis: Floats,
    baseline: str,
    ranked: Sequence[str],
    metrics: Mapping[tuple[str, str], str],
    shares: Mapping[tuple[str, str], float],
) -> list[ClassDifference]:
    """One entry per strategy, in the order ``ranked``, and class that could be measured."""
    rare = rare_classes(metrics, shares)
    measured = {class_: _curves(setting, axis, [key])[0] for class_, key in metrics.items()}
    found = []
    for strategy in ranked:
        for (task, name), curves in measured.items():
            if baseline not in curves or strategy not in curves:
                continue
            difference, ends, _ = area_difference(axis, curves[strategy], curves[baseline])
            found.append(
                ClassDifference(
                    task=task,
                    name=name,
                    share=shares.get((task, name), 0.0),
                    rare=(task, name) in rare,
                    strategy=strategy,
                    area=float(area(axis, curves[strategy].mean)),
                    difference=difference,
                    interval=ends,
                )
            )
    return found


def _aggregates(scores: Sequence[ScoreComparison]) -> list[Aggregate]:
    heads = [s for s in scores if s.name not in ("joint", RARE_CLASSES) and s.reference > 0]
    aggregates = []
    for strategy in scores[0].curves:
        if not heads or any(strategy not in s.curves for s in heads):
            continue
        seeds = [
            seed for seed in heads[0].curves[strategy].seeds if all(seed in s.curves[strategy].seeds for s in heads)
        ]
        if not seeds:
            continue
        table = np.stack([area(s.axis, s.curves[strategy].at(seeds)) / s.reference for s in heads], axis=1)  # [S, T]
        aggregates.append(Aggregate(strategy, interquartile_mean(table), interquartile_interval(table)))
    return sorted(aggregates, key=lambda a: -a.value)
