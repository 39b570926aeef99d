"""One strategy on all data sets at once: what it gains over another on average, each set counting the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import stats

from mtal.reporting.comparison.bootstrap import CONFIDENCE, FEWEST
from mtal.reporting.comparison.learning_curve import area, in_common
from mtal.reporting.comparison.setting_comparison import SettingComparison
from mtal.reporting.comparison.significance import holm

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OverSettings:
    """A strategy against another on the joint score, over K settings.

    Args:
        strategy: its name.
        other: name of the other, such as the baseline.
        is_bound: whether one of them is a bound, no strategy, and so has no corrected p.
        by_setting: difference of the areas in each setting, K.
        difference: their mean.
        interval: of it, by Student's distribution; NaN where a setting has fewer than five repeats.
        p: of a two-sided test that it is 0; NaN where a setting has fewer than two repeats.
        p_of_runs: the same where every run counts, as if runs of a fold had nothing in common.
        p_of_folds: the same where a fold of patients counts once, however few there are; of a setting without folds its
            runs count.
        corrected_p: after Holm over the strategies.
    """

    strategy: str
    other: str
    is_bound: bool
    by_setting: tuple[float, ...]
    difference: float
    interval: tuple[float, float]
    p: float
    p_of_runs: float
    p_of_folds: float
    corrected_p: float = np.nan


def over_settings(settings: Sequence[SettingComparison]) -> list[OverSettings]:
    """The strategies that were run in every setting against the baseline, the largest mean difference first."""
    baseline = settings[0].baseline
    return _corrected([_over(name, baseline, settings) for name in _everywhere(settings) if name != baseline])


def ahead_of(strategy: str, settings: Sequence[SettingComparison]) -> list[OverSettings]:
    """One strategy against every other that was run in every setting, the one it is furthest ahead of first.

    Raises:
        ValueError: it was not run in every setting.
    """
    names = _everywhere(settings)
    if strategy not in names:
        raise ValueError(f"{strategy!r} was not run on every data set; those that were: {', '.join(names)}")
    return _corrected([_over(strategy, name, settings) for name in names if name != strategy])


def _everywhere(settings: Sequence[SettingComparison]) -> list[str]:
    return [s for s in settings[0].strategies if all(setting.joint.row(s) is not None for setting in settings)]


def _corrected(found: Sequence[OverSettings]) -> list[OverSettings]:
    corrected = holm([np.nan if row.is_bound else row.p for row in found])
    rows = [replace(row, corrected_p=p) for row, p in zip(found, corrected, strict=True)]
    return sorted(rows, key=lambda row: -row.difference)


def mean_of_means(samples: Sequence[Floats]) -> tuple[float, tuple[float, float], float]:
    """Mean of the means of K independent samples, its 95 % interval, and p of a two-sided test that it is 0.

    Samples may be of any sizes and spreads: Welch, Biometrika 34, 1947, with Satterthwaite's degrees of freedom.

    >>> mean, (low, high), p = mean_of_means([np.array([0.1, 0.3, 0.2]), np.array([0.0, 0.2])])
    >>> round(mean, 3), round(p, 3)
    (0.15, 0.144)
    """
    mean = float(np.mean([x.mean() for x in samples]))
    sizes = np.array([len(x) for x in samples])
    if sizes.min() < 2:
        return mean, (np.nan, np.nan), np.nan
    parts = np.array([x.var(ddof=1) / len(x) for x in samples]) / len(samples) ** 2  # [K]
    if not parts.any():
        return mean, (mean, mean) if sizes.min() >= FEWEST else (np.nan, np.nan), 1.0 if mean == 0 else 0.0
    freedom = parts.sum() ** 2 / (parts**2 / (sizes - 1)).sum()
    error = float(np.sqrt(parts.sum()))
    reach = error * float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) if sizes.min() >= FEWEST else np.nan
    return mean, (mean - reach, mean + reach), float(2 * stats.t.sf(abs(mean) / error, freedom))


def _over(name: str, other: str, settings: Sequence[SettingComparison]) -> OverSettings:
    rows = [settings[0].joint.row(each) for each in (name, other)]
    is_bound = any(row is not None and row.is_bound for row in rows)
    differences = [_differences(name, other, setting) for setting in settings]
    by_setting = tuple(float(x.mean()) if len(x) else np.nan for x, _, _ in differences)
    if any(not len(x) for x, _, _ in differences):
        return OverSettings(name, other, is_bound, by_setting, np.nan, (np.nan, np.nan), np.nan, np.nan, np.nan)
    repeats, runs, folds = zip(*differences, strict=True)
    return OverSettings(
        name, other, is_bound, by_setting, *mean_of_means(repeats), mean_of_means(runs)[2], mean_of_means(folds)[2]
    )


def _differences(name: str, other: str, setting: SettingComparison) -> tuple[Floats, Floats, Floats]:
    """Differences of the areas by repeat, by run and by fold of patients."""
    joint = setting.joint
    one, two = in_common(joint.curves[name], joint.curves[other])
    repeats = area(joint.axis, one.values) - area(joint.axis, two.values)
    if one.runs:  # a repeat is a fold
        pairs = [(values, two.runs[fold][seed]) for fold, of in one.runs.items() for seed, values in of.items()]
        runs = np.array([area(joint.axis, a) - area(joint.axis, b) for a, b in pairs])
        return repeats, runs, repeats
    of_fold: dict[int, list[float]] = {}
    for number, found in zip(one.seeds, repeats, strict=True):
        of_fold.setdefault(setting.folds.get(number, number), []).append(float(found))
    return repeats, repeats, np.array([np.mean(found) for found in of_fold.values()])
