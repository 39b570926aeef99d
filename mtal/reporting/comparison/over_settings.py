"""One strategy on all data sets at once: what it gains over the baseline on average, each counting the same."""

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
    """A strategy against the baseline on the joint score, over K settings.

    Args:
        strategy: its name.
        is_bound: whether it is a bound, no strategy, and so has no corrected p.
        by_setting: difference of the areas in each setting, K.
        difference: their mean.
        interval: of it, by Student's distribution; NaN where a setting has fewer than five repeats.
        p: of a two-sided test that it is 0; NaN where a setting has fewer than two repeats.
        corrected_p: after Holm over the strategies.
    """

    strategy: str
    is_bound: bool
    by_setting: tuple[float, ...]
    difference: float
    interval: tuple[float, float]
    p: float
    corrected_p: float = np.nan


def over_settings(settings: Sequence[SettingComparison]) -> list[OverSettings]:
    """The strategies that were run in every setting, the largest mean difference first."""
    names = [s for s in settings[0].strategies if all(setting.joint.row(s) is not None for setting in settings)]
    found = [_over(name, settings) for name in names if name != settings[0].baseline]
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


def _over(name: str, settings: Sequence[SettingComparison]) -> OverSettings:
    differences = []
    for setting in settings:
        one, other = in_common(setting.joint.curves[name], setting.joint.curves[setting.baseline])
        differences.append(area(setting.joint.axis, one.values) - area(setting.joint.axis, other.values))
    row = settings[0].joint.row(name)
    is_bound = row is not None and row.is_bound
    by_setting = tuple(float(x.mean()) if len(x) else np.nan for x in differences)
    if any(not len(x) for x in differences):
        return OverSettings(name, is_bound, by_setting, np.nan, (np.nan, np.nan), np.nan)
    return OverSettings(name, is_bound, by_setting, *mean_of_means(differences))
