"""Everything that is found in the run folders of one or more sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mtal.reporting.comparison.found_runs import LeftOut, Read, find_runs, read_finished
from mtal.reporting.comparison.penalty_matrix import mean_of_known, penalty_matrix
from mtal.reporting.comparison.setting_comparison import SettingComparison, compare_setting
from mtal.reporting.comparison.strategies import Repeat, Setting, find_baseline, of_their_settings, sort_runs


@dataclass(frozen=True)
class Penalties:
    """Penalty matrix of one score over all settings, the strategy that is beaten least first.

    Args:
        score: ``"joint"`` or a head.
        strategies: M names; no bounds.
        matrix: ``[M, M]``, see :func:`~mtal.reporting.comparison.penalty_matrix.penalty_matrix`.
    """

    score: str
    strategies: tuple[str, ...]
    matrix: npt.NDArray[np.float64]

    @property
    def beaten(self) -> npt.NDArray[np.float64]:
        """How often each is beaten, the mean over those it met, ``[M]``."""
        return mean_of_known(self.matrix, axis=0)

    @property
    def beats(self) -> npt.NDArray[np.float64]:
        """How often each beats another, the mean over those it met, ``[M]``."""
        return mean_of_known(self.matrix, axis=1)


@dataclass(frozen=True)
class Comparison:
    """What ``scripts/compare.py`` shows.

    Args:
        settings: compared one by one.
        penalties: over all settings.
        run_paths: setting → strategy → repeat → run folder.
        left_out: runs that are not compared, with reasons.
    """

    settings: tuple[SettingComparison, ...]
    penalties: tuple[Penalties, ...]
    run_paths: Mapping[str, Mapping[str, Mapping[Repeat, Path]]]
    left_out: tuple[LeftOut, ...]


def compare(
    folders: Sequence[Path], full_pool: Sequence[Path] = (), baseline: str | None = None, read: Read = read_finished
) -> Comparison:
    """Compare the runs in ``folders``.

    Args:
        folders: sweep or run folders.
        full_pool: run folders, or sweeps of them, trained on the whole pool.
        baseline: strategy that the others are compared with; the one that picks at random if None.
        read: reads the runs.

    Raises:
        FileNotFoundError: a folder does not exist or holds no run.
        ValueError: nothing is there to compare: no finished run, no baseline, or runs that have nothing in common.
    """
    references, unread = read(find_runs(full_pool))
    if unread:
        raise ValueError(f"{unread[0].path} is no reference: {unread[0].reason}")
    paths = {run.path for run in references}
    runs, left_out = read([p for p in find_runs(folders) if p not in paths])
    if not runs:
        reasons = "; ".join(f"{out.path.name}: {out.reason}" for out in left_out[:3])
        raise ValueError(f"there is no finished run to compare ({reasons})")
    settings, repeated = sort_runs(runs, references)
    name = find_baseline(settings, baseline)
    compared = tuple(compare_setting(setting, name) for setting in settings)
    return Comparison(
        settings=compared,
        penalties=tuple(_penalties(compared)),
        run_paths={s.name: _paths(s) for s in settings},
        left_out=(*left_out, *repeated),
    )


def are_references(full_pool: Path, sweep: Path, read: Read = read_finished) -> bool:
    """Whether the full-pool runs in one folder are of the data, frames, encoder and heads of the runs in another.

    Raises:
        FileNotFoundError: a folder does not exist or holds no run.
    """
    (references, _), (runs, _) = (read(find_runs([folder])) for folder in (full_pool, sweep))
    return bool(references) and len(of_their_settings(references, runs)) == len(references)


def _penalties(settings: Sequence[SettingComparison]) -> list[Penalties]:
    names = list({score.name: None for setting in settings for score in setting.scores})
    found = []
    for name in names:
        scores = [score for setting in settings for score in setting.scores if score.name == name]
        curves = [{row.strategy: s.curves[row.strategy] for row in s.rows if not row.is_bound} for s in scores]
        strategies = sorted({strategy for these in curves for strategy in these})
        matrix = penalty_matrix(curves, strategies)
        order = np.argsort(mean_of_known(matrix, axis=0), kind="stable")  # NaN last
        ranked = tuple(strategies[i] for i in order)
        found.append(Penalties(name, ranked, matrix[np.ix_(order, order)]))
    return found


def _paths(setting: Setting) -> dict[str, dict[Repeat, Path]]:
    return {s.name: {repeat: s.runs[repeat].path for repeat in sorted(s.runs)} for s in setting.strategies}
