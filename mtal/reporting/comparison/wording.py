"""Figures and findings in plain words."""

from __future__ import annotations

import math

from mtal.reporting.comparison.label_saving import LabelSaving
from mtal.reporting.comparison.score_comparison import SHARES, Versus
from mtal.reporting.comparison.setting_comparison import SettingComparison


def number(value: float, digits: int = 3) -> str:
    """``0.612``; a dash where there is no value."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def signed(value: float, digits: int = 3) -> str:
    """``+0.021`` or ``−0.021``."""
    return f"{value:+.{digits}f}".replace("-", "−") if math.isfinite(value) else "–"


def p_value(value: float) -> str:
    """Three digits; smaller ones are only said to be small."""
    if math.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def difference(row: Versus) -> str:
    """``+0.021 [+0.010, +0.032]``."""
    return with_interval(row.difference, row.interval)


def with_interval(value: float, ends: tuple[float, float]) -> str:
    """The same of any difference; a dash where there is none."""
    known = math.isfinite(value) and math.isfinite(ends[0])
    return signed(value) + (f" [{signed(ends[0])}, {signed(ends[1])}]" if known else "")


def saving(this: LabelSaving) -> str:
    """``49% [35, 60]`` of the baseline's frames; words where a curve never gets there."""
    if math.isinf(this.needed):
        return "neither reached" if math.isinf(this.baseline_needed) else "not reached"
    if math.isinf(this.baseline_needed):
        return f"> {math.floor(100 * (1 - this.needed / this.end) + 1e-9)}%"  # what is more than 8.5 is not more than 9
    if this.share == -math.inf:
        return "none: the baseline starts there"
    low, high = this.share_interval
    ends = "" if math.isnan(low) else f" [{_percent(low)}, {_percent(high)}]"
    return f"{_percent(this.share)}%{ends}"


def needed(this: LabelSaving, baseline: str, unit: str) -> str:
    """``96 labelled frames where random needs 190``."""
    mine = f"more than {this.end:.0f}" if math.isinf(this.needed) else f"{this.needed:.0f}"
    other = f"more than {this.end:.0f}" if math.isinf(this.baseline_needed) else f"{this.baseline_needed:.0f}"
    return f"{mine} {unit} where {baseline} needs {other}"


def heads_below(setting: SettingComparison, strategy: str) -> tuple[list[str], list[str]]:
    """Heads on which ``strategy`` is below the baseline (interval below zero), and may be (interval across zero)."""
    below, open_ = [], []
    for score in setting.heads:
        row = score.row(strategy)
        if row is None or not math.isfinite(row.interval[0]):
            continue
        low, high = row.interval
        if high < 0:
            below.append(score.name)
        elif low < 0:
            open_.append(score.name)
    return below, open_


def worse_on(setting: SettingComparison, strategy: str) -> str:
    """The heads on which ``strategy`` is below the baseline, for tables; a dash where no interval is known."""
    if strategy == setting.baseline:
        return ""
    rows = [row for score in setting.heads if (row := score.row(strategy)) is not None]
    if not any(math.isfinite(row.interval[0]) for row in rows):
        return "–"
    return ", ".join(heads_below(setting, strategy)[0]) or "no head"


def conclusion(setting: SettingComparison) -> list[str]:
    """What was found in one setting: who wins, who loses, what is undecided, what the best one saves."""
    joint = setting.joint
    others = [row for row in joint.rows if not row.is_baseline and not row.is_bound]
    if not others:
        return [f"There is no strategy besides {setting.baseline}, so there is nothing to compare it with."]
    sentences = [_verdicts(setting)]
    tested = [row for row in others if row.verdict != "not tested"]
    best = (tested or others)[0]  # one run that went well is not the headline where others were tested
    among, of_them = ("Of those tested, ", "tested ") if 0 < len(tested) < len(others) else ("", "")
    if best.gain > 0:
        lead = f"{among}{best.strategy} is furthest ahead of {setting.baseline}"
    else:
        lead = f"No {of_them}strategy is ahead of {setting.baseline}; next is {best.strategy}"
    sentences.append(f"{lead}: mean joint score along the curve {number(best.area)}, {difference(best)} against it.")
    for share, this in zip(SHARES, best.savings, strict=False):
        upper = "the full pool gains" if joint.full_pool else "the best mean score that was reached has"
        sentences.append(
            f"For {share:.0%} of what {upper} over chance ({number(this.target)}) it needs "
            f"{needed(this, setting.baseline, joint.unit)}: saving {saving(this)}."
        )
    if math.isfinite(best.interval[0]) and setting.heads:
        below, open_ = heads_below(setting, best.strategy)
        level = [s.name for s in setting.heads if (row := s.row(best.strategy)) is None or not row.interval[0] > 0]
        if below:
            sentences.append(f"It is worse than {setting.baseline} on {_list(below)}.")
        elif open_:
            sentences.append(
                f"It is shown to be worse than {setting.baseline} on no head; on {_list(open_)} the interval "
                "includes zero, so a small loss is not ruled out."
            )
        elif level:
            sentences.append(
                f"It is worse than {setting.baseline} on no head; on {_list(level)} it is not shown to be better."
            )
        else:
            sentences.append(f"It is better than {setting.baseline} on every head that could be compared.")
    return sentences


def _verdicts(setting: SettingComparison) -> str:
    joint, baseline = setting.joint, setting.baseline
    groups: dict[str, list[str]] = {}
    for row in joint.rows:
        groups.setdefault(row.verdict, []).append(row.strategy)
    untested = groups.get("not tested", [])
    tested = [row for row in joint.rows if row.verdict in ("wins", "loses", "undecided")]
    sentences = []
    if tested:
        seeds = sorted({row.test.seeds for row in tested})
        told = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
        better, worse, open_ = (_list(groups.get(verdict, [])) for verdict in ("wins", "loses", "undecided"))
        sentences.append(
            f"Joint score against {baseline}, {told} paired {setting.repeated}s: better: {better}; worse: {worse}; "
            f"undecided: {open_}."
        )
    if untested:
        sentences.append(
            f"Not tested, because a test needs two {setting.repeated}s in common with {baseline}: {_list(untested)}. "
            "What one run gives may be chance."
        )
    return " ".join(sentences)


def _list(names: list[str]) -> str:
    return ", ".join(names) or "none"


def _percent(share: float) -> str:
    """Whole percent; an end that lies beyond the measured curves is open."""
    return f"{100 * share:.0f}".replace("-", "−") if math.isfinite(share) else "open"
