"""Tables of a comparison for a page in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from mtal.reporting.comparison import wording
from mtal.reporting.comparison.comparison import Comparison, Penalties
from mtal.reporting.comparison.over_settings import ahead_of, over_settings
from mtal.reporting.comparison.same_order import SameOrder
from mtal.reporting.comparison.setting_comparison import ClassDifference, SettingComparison
from mtal.reporting.comparison.tables import head_rows, joint_rows

Table = tuple[list[str], list[list[str]]]


def tables_of(setting: SettingComparison) -> dict[str, str]:
    """``joint``, ``heads`` and, where there are any, ``rare`` classes by name, as Markdown."""
    tables = {"joint": joint_rows(setting), "heads": _heads(setting)}
    if any(c.rare for c in setting.classes):
        tables["rare"] = _rare(setting)
    return {name: markdown(*table) for name, table in tables.items()}


def over_all(comparison: Comparison) -> dict[str, str]:
    """Tables of all settings together.

    ``gains`` over the baseline, ``winners``: what the best of each loses on the others, ``penalties``: who is behind,
    ``trained``: how many trainings came to their end.
    """
    joint = next(found for found in comparison.penalties if found.score == "joint")
    tables = {"gains": _gains(comparison), "winners": _winners(comparison), "penalties": _penalties(joint)}
    tables["trained"] = _trained(comparison)
    return {name: markdown(*table) for name, table in tables.items()}


def ahead(strategy: str, comparison: Comparison) -> str:
    """One strategy against every other over all settings, with the p that other units of repetition give."""
    head = [
        "ahead of",
        *(f"… on {s.name}" for s in comparison.settings),
        "mean",
        "p",
        "p (Holm)",
        "p by run",
        "p by fold",
    ]
    rows = []
    for row in ahead_of(strategy, comparison.settings):
        tested = map(wording.p_value, (row.p, row.corrected_p, row.p_of_runs, row.p_of_folds))
        mean = wording.with_interval(row.difference, row.interval)
        rows.append([row.other, *map(wording.signed, row.by_setting), mean, *tested])
    return markdown(head, rows)


def order_of(found: SameOrder, names: Sequence[str]) -> str:
    """Gains in two sweeps called ``names`` and, in the last row, how alike their order is, where that can be told."""
    table = markdown(["strategy", *names], ([name, *map(wording.signed, of)] for name, of in found.gains.items()))
    if math.isnan(found.correlation):
        return table
    told = f"rank correlation of the {len(found.ranked)} strategies"
    return f"{table}\n| {told} | {wording.number(found.correlation, 2)} | |"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; strategies, which stand first, as code.

    >>> print(markdown(["strategy", "score"], [["max", "0.5"]]))
    | strategy | score |
    |---|---|
    | `max` | 0.5 |
    """
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join([f'`{row[0]}`', *row[1:]])} |" for row in rows]
    return "\n".join(lines)


def _heads(setting: SettingComparison) -> Table:
    """Every head against the baseline, with its chance level and what the full pool gives."""
    head, rows = head_rows(setting)
    for k, score in enumerate(setting.scores[1:], start=1):
        chance = f"chance {wording.number(score.chance)}, " if score.chance else ""
        upper = "full pool" if score.full_pool else "best seen"
        head[k] = f"{score.name} {score.metric} ({chance}{upper} {wording.number(score.reference)})"
    return head, rows


def _rare(setting: SettingComparison) -> Table:
    rare = list({(c.task, c.name): c for c in setting.classes if c.rare}.values())
    found = {(c.strategy, c.task, c.name): c for c in setting.classes}
    head = ["strategy", *(f"{c.task} {c.name} (in {c.share:.1%} of frames)" for c in rare)]
    rows = [[s, *(_class_cell(found.get((s, c.task, c.name)), setting) for c in rare)] for s in setting.strategies]
    return head, rows


def _class_cell(found: ClassDifference | None, setting: SettingComparison) -> str:
    if found is None:
        return "–"
    if found.strategy == setting.baseline:
        return f"{wording.number(found.area)} (baseline)"
    return wording.with_interval(found.difference, found.interval)


def _gains(comparison: Comparison) -> Table:
    head = ["strategy", *(f"… on {s.name}" for s in comparison.settings), "mean", "p", "p (Holm)"]
    rows = []
    for row in over_settings(comparison.settings):
        mean = wording.with_interval(row.difference, row.interval)
        tested = [wording.p_value(row.p), wording.p_value(row.corrected_p)]
        rows.append([row.strategy, *map(wording.signed, row.by_setting), mean, *tested])
    return head, rows


def _winners(comparison: Comparison) -> Table:
    settings = comparison.settings
    head = ["best of …", *(f"… on {s.name}" for s in settings)]
    rows = []
    best = [next(row for row in s.joint.rows if not row.is_bound) for s in settings]  # no bound, the baseline perhaps
    for name in dict.fromkeys(row.strategy for row in best):
        cells = []
        for setting, first in zip(settings, best, strict=True):
            row = setting.joint.row(name)
            cells.append("not run" if row is None else wording.signed(row.gain - first.gain))
        rows.append([name, *cells])
    return head, rows


def _trained(comparison: Comparison) -> Table:
    rows = []
    for setting in comparison.settings:
        found = setting.trained
        rows.append([setting.name, str(found.trainings), str(found.converged), wording.number(found.median_steps, 0)])
    return ["data", "trainings", "converged", "median steps"], rows


def _penalties(joint: Penalties) -> Table:
    head = ["strategy", "is behind (mean of its column)", "is ahead (mean of its row)"]
    figures = zip(joint.strategies, joint.beaten, joint.beats, strict=True)
    return head, [[name, wording.number(beaten), wording.number(beats)] for name, beaten, beats in figures]
