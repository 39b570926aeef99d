"""Whether strategies come in the same order in two sweeps, such as of a short training and of a long one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy import stats

from mtal.reporting.comparison.comparison import compare
from mtal.reporting.comparison.found_runs import Read, find_runs, read_finished
from mtal.reporting.comparison.score_comparison import Versus
from mtal.reporting.comparison.strategies import repeat_of
from mtal.reporting.run_options import named_strategy

Cell = tuple[str, int, int]
"""Strategy, fold and seed."""


@dataclass(frozen=True)
class SameOrder:
    """What strategies gain over the baseline in the joint score, over the cells that two sweeps have in common.

    Args:
        gains: strategy → its gain in the one sweep and in the other, the largest in the other first.
        ranked: those of them that are strategies, and no bound.
        correlation: Spearman's, of the gains of ``ranked``; NaN for fewer than three.
        cells: runs of each sweep that were compared.
    """

    gains: Mapping[str, tuple[float, float]]
    ranked: tuple[str, ...]
    correlation: float
    cells: int


def same_order(one: Path, other: Path, read: Read = read_finished) -> SameOrder:
    """Compare the runs that are of one strategy, fold and seed in both of two sweeps.

    Raises:
        FileNotFoundError: a folder does not exist or holds no run.
        ValueError: the sweeps have no strategy beside the baseline in common.
    """
    cells = [_cells(sweep, read) for sweep in (one, other)]
    common = [cell for cell in cells[0] if cell in cells[1]]
    if len({strategy for strategy, _, _ in common}) < 2:
        raise ValueError(f"{one} and {other} have no two strategies in common, of the same fold and seed")
    short, long = ({row.strategy: row for row in _rows([of[cell] for cell in common], read)} for of in cells)
    both = sorted(short.keys() & long.keys(), key=lambda name: -long[name].gain)
    pairs = {name: (short[name].gain, long[name].gain) for name in both}
    ranked = tuple(name for name in both if not long[name].is_bound)
    gains = zip(*(pairs[name] for name in ranked), strict=True)
    rho = float(stats.spearmanr(*gains).statistic) if len(ranked) > 2 else float("nan")
    return SameOrder(pairs, ranked, rho, len(common))


def _cells(sweep: Path, read: Read) -> dict[Cell, Path]:
    runs, _ = read(find_runs([sweep]))
    return {(named_strategy(run.path) or "", *repeat_of(run)): run.path for run in runs}


def _rows(runs: Sequence[Path], read: Read) -> list[Versus]:
    (setting,) = compare(runs, read=read).settings
    return [row for row in setting.joint.rows if not row.is_baseline]
