"""The comparison as CSV, with every digit, and as LaTeX tables (booktabs) with those that matter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd

from mtal.reporting.comparison import wording
from mtal.reporting.comparison.comparison import Comparison
from mtal.reporting.comparison.score_comparison import SHARES, ScoreComparison, Versus
from mtal.reporting.comparison.setting_comparison import SettingComparison

_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {c: f"\\{c}" for c in "&%$#_{}"}
_LATEX |= {"−": "$-$", "–": "--", "·": r"$\cdot$", "<": "$<$", ">": "$>$"}


def write_tables(comparison: Comparison, folder: Path) -> list[Path]:
    """Write all tables to ``folder`` and return their paths."""
    tables: dict[str, pd.DataFrame] = {
        "results": _results(comparison),
        "curves": _curves(comparison),
        "classes": _classes(comparison),
        "interquartile_means": _aggregates(comparison),
        "picks": _picks(comparison),
        "runs": _runs(comparison),
    }
    named = slugs(penalties.score for penalties in comparison.penalties)
    for penalties in comparison.penalties:
        matrix = pd.DataFrame(penalties.matrix, columns=list(penalties.strategies))
        matrix.insert(0, "beats", penalties.strategies)
        tables[f"penalties_{named[penalties.score]}"] = matrix
    written = []
    for name, table in tables.items():
        path = folder / f"{name}.csv"
        table.to_csv(path, index=False)
        written.append(path)
    for setting in comparison.settings:
        prefix = prefix_of(setting, comparison)
        for name, (head, rows) in {"joint": joint_rows(setting), "heads": head_rows(setting)}.items():
            path = folder / f"{prefix}{name}.tex"
            path.write_text(latex(head, rows), encoding="utf-8")
            written.append(path)
    return written


def slug(name: str) -> str:
    """A name as part of a file's name."""
    return re.sub(r"[\W_]+", "_", name).strip("_").lower()


def slugs(names: Iterable[str]) -> dict[str, str]:
    """Names to parts of files' names, which are all different.

    >>> slugs(["tool tip", "tool-tip", "анатомия"])
    {'tool tip': 'tool_tip', 'tool-tip': 'tool_tip_2', 'анатомия': 'анатомия'}
    """
    found: dict[str, str] = {}
    for name in dict.fromkeys(names):
        made = (slug(name) if k == 1 else f"{slug(name)}_{k}" for k in count(1))
        found[name] = next(part for part in made if part and part not in found.values())
    return found


def prefix_of(setting: SettingComparison, comparison: Comparison) -> str:
    """What the files of a setting start with; nothing where there is only one."""
    return f"{slugs(s.name for s in comparison.settings)[setting.name]}_" if len(comparison.settings) > 1 else ""


def joint_rows(setting: SettingComparison) -> tuple[list[str], list[list[str]]]:
    """Heading and one row per strategy on the joint score."""
    head = ["strategy", f"{setting.repeated}s", "mean score", "final", f"against {setting.baseline}", "p (Holm)"]
    head += [f"saved at {share:.0%}" for share in SHARES] + ["verdict"]
    return head, [joint_row(row) for row in setting.joint.rows]


def joint_row(row: Versus) -> list[str]:
    """One strategy as it is shown in tables."""
    savings = [wording.saving(s) for s in row.savings] or ["–"] * len(SHARES)
    words = [row.strategy, str(row.test.seeds), wording.number(row.area), wording.number(row.final)]
    return [*words, wording.difference(row), wording.p_value(row.corrected_p), *savings, row.verdict]


def head_rows(setting: SettingComparison) -> tuple[list[str], list[list[str]]]:
    """Heading and one row per strategy: difference of the mean score from the baseline's for each head.

    And of the joint score along annotators' minutes, where they were recorded.
    """
    scores = setting.scores[1:]
    head = ["strategy", *(f"{s.name} ({s.metric})" for s in scores)]
    if setting.timed is not None:
        scores = (*scores, setting.timed)
        head.append("joint, by annotator minutes")
    rows = []
    for strategy in setting.strategies:
        cells = [_cell(score.row(strategy)) for score in scores]
        rows.append([strategy, *cells])
    return head, rows


def latex(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""A booktabs ``tabular``; needs ``\usepackage{booktabs}``."""
    lines = [rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}", r"\toprule"]
    lines += [" & ".join(_escape(cell) for cell in head) + r" \\", r"\midrule"]
    lines += [" & ".join(_escape(cell) for cell in row) + r" \\" for row in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _escape(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in text)


def _cell(row: Versus | None) -> str:
    if row is None:
        return "–"
    return f"{wording.number(row.area)} (baseline)" if row.is_baseline else wording.difference(row)


def _results(comparison: Comparison) -> pd.DataFrame:
    rows = []
    for setting in comparison.settings:
        for score in [*setting.scores, *([setting.timed] if setting.timed else [])]:
            rows += [{"setting": setting.name, **_record(score, row)} for row in score.rows]
    return pd.DataFrame(rows)


def _record(score: ScoreComparison, row: Versus) -> dict[str, Any]:
    record: dict[str, Any] = {
        "score": score.name,
        "metric": score.metric,
        "against": score.unit,
        "reference": "full pool" if score.full_pool else "best seen",
        "reference_score": score.reference,
        "chance": score.chance,
        "strategy": row.strategy,
        "paired_seeds": row.test.seeds,
        "area": row.area,
        "final": row.final,
        "difference": row.difference,
        "difference_low": row.interval[0],
        "difference_high": row.interval[1],
        "t_test_p": row.test.t_p,
        "wilcoxon_p": row.test.wilcoxon_p,
        "holm_p": row.corrected_p,
        "verdict": row.verdict,
    }
    for share, this in zip(SHARES, row.savings, strict=False):
        at = f"{share:.0%}".rstrip("%")
        record |= {
            f"target_{at}": this.target,
            f"needed_{at}": this.needed,
            f"baseline_needed_{at}": this.baseline_needed,
            f"saved_{at}": this.saved,
            f"saved_{at}_low": this.saved_interval[0],
            f"saved_{at}_high": this.saved_interval[1],
            f"saved_share_{at}": this.share,
            f"saved_share_{at}_low": this.share_interval[0],
            f"saved_share_{at}_high": this.share_interval[1],
        }
    return record


def _curves(comparison: Comparison) -> pd.DataFrame:
    rows = []
    for setting in comparison.settings:
        for score in [*setting.scores, *([setting.timed] if setting.timed else [])]:
            for strategy, curves in score.curves.items():
                low, high = score.bands[strategy]
                table = pd.DataFrame({"at": score.axis, "mean": curves.mean, "low": low, "high": high})
                for seed, values in zip(curves.seeds, curves.values, strict=True):
                    table[f"{setting.repeated}_{seed}"] = values
                table.insert(0, "strategy", strategy)
                table.insert(0, "against", score.unit)
                table.insert(0, "score", score.name)
                table.insert(0, "setting", setting.name)
                rows.append(table)
    return pd.concat(rows, ignore_index=True)


def _classes(comparison: Comparison) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "setting": setting.name,
                "task": c.task,
                "class": c.name,
                "share_of_frames": c.share,
                "rare": c.rare,
                "strategy": c.strategy,
                "area": c.area,
                "difference": c.difference,
                "difference_low": c.interval[0],
                "difference_high": c.interval[1],
            }
            for setting in comparison.settings
            for c in setting.classes
        ]
    )


def _aggregates(comparison: Comparison) -> pd.DataFrame:
    rows = [(s.name, a.strategy, a.value, *a.interval) for s in comparison.settings for a in s.aggregates]
    return pd.DataFrame(rows, columns=["setting", "strategy", "interquartile_mean", "low", "high"])


def _picks(comparison: Comparison) -> pd.DataFrame:
    rows = []
    for setting in comparison.settings:
        for strategy in setting.strategies:
            record: dict[str, Any] = {"setting": setting.name, "strategy": strategy}
            record |= {f"driven_by_{h}": v for h, v in setting.driving.get(strategy, {}).items()}
            record |= {f"mean_percentile_{h}": v for h, v in setting.percentiles.get(strategy, {}).items()}
            rows.append(record | {slug(k): v for k, v in setting.redundancy[strategy].items()})
    return pd.DataFrame(rows)


def _runs(comparison: Comparison) -> pd.DataFrame:
    rows = [
        (setting, strategy, None if repeat.fold < 0 else repeat.fold, repeat.seed, path, "compared")
        for setting, strategies in comparison.run_paths.items()
        for strategy, seeds in strategies.items()
        for repeat, path in seeds.items()
    ]
    rows += [("", "", None, None, out.path, out.reason) for out in comparison.left_out]  # type: ignore[misc]
    return pd.DataFrame(rows, columns=["setting", "strategy", "fold", "seed", "path", "state"])
