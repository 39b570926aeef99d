"""Annotators' minutes beside their frames, and how well they were predicted."""

from __future__ import annotations

import math

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtal.reporting.curves import INK, STYLES
from mtal.reporting.run_reader import Round, Run

_BESIDE = 4  # rounds in a row of the legend


def minutes(this: Round) -> float:
    """What all annotators took for the picks of a round; NaN where no answer was timed."""
    seconds = this.picks.get("took_s")
    return math.nan if seconds is None or seconds.isna().all() else float(seconds.sum()) / 60


def all_minutes(run: Run) -> float:
    """What all annotators took for all picks; NaN where no answer was timed."""
    each = [m for this in run.rounds if not math.isnan(m := minutes(this))]
    return sum(each) if each else math.nan


def in_words(run: Run) -> str:
    """The minutes of the last round, and where not all picks were timed how many were: the minutes are of no others."""
    last, picked = minutes(run.rounds[-1]), sum(len(this.picks) for this in run.rounds)
    timed = sum(int(this.picks["took_s"].notna().sum()) for this in run.rounds if "took_s" in this.picks)
    told = [] if math.isnan(last) else [f"+{last:.1f} in the last round"]
    told += [f"{timed} of {picked} frames were timed"] if timed < picked else []
    return "; ".join(told)


def predicted_and_real(run: Run) -> pd.DataFrame:
    """``round, predicted, real``: seconds that one annotator was to take for each pick, and took."""
    found = []
    for this in run.rounds:
        if {"cost_s", "took_s", "annotators"} <= set(this.picks):
            known = this.picks[this.picks["took_s"].notna()]
            real = known["took_s"] / known["annotators"]
            found.append(pd.DataFrame({"round": this.number, "predicted": known["cost_s"], "real": real}))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["round", "predicted", "real"])


def draw(seconds: pd.DataFrame) -> Figure:
    """Real against predicted seconds, a point per frame, a look per round; on the line they are the same."""
    with mpl.rc_context({"text.parse_math": False}):
        rows = math.ceil(seconds["round"].nunique() / _BESIDE)  # of the legend, which takes nothing from the chart
        figure = Figure(figsize=(4.6, 2.7 + 0.2 * rows), layout="constrained")
        axes = figure.add_subplot()
        for place, (number, some) in enumerate(seconds.groupby("round")):
            color, marker = _look(place)
            axes.plot(some["predicted"], some["real"], marker, color=color, markersize=4, label=f"round {number}")
        most = 1.08 * float(seconds[["predicted", "real"]].to_numpy().max())
        axes.plot([0, most], [0, most], color=INK, alpha=0.4, linewidth=1)
        axes.set(xlim=(0, most), ylim=(0, most))
        axes.set_xlabel("predicted seconds", color=INK)
        axes.set_ylabel("real seconds", color=INK)
        axes.tick_params(colors=INK, labelsize=9)
        figure.legend(
            loc="outside lower center", ncols=_BESIDE, frameon=False, labelcolor=INK, handletextpad=0.2, columnspacing=1
        )
        for side, spine in axes.spines.items():
            spine.set(visible=side in ("left", "bottom"), color=INK, alpha=0.4)
    return figure


def _look(place: int) -> tuple[str, str]:
    """Colour and marker, which come in other pairs once all colours were there."""
    turn, at = divmod(place, len(STYLES))
    return STYLES[at][0], STYLES[(at + turn) % len(STYLES)][2]


def describe(seconds: pd.DataFrame) -> str:
    """How well the seconds of a frame were predicted, in a sentence."""
    predicted, real = (float(seconds[c].sum()) / 60 for c in ("predicted", "real"))
    off = float(np.median(np.abs(seconds["predicted"] - seconds["real"]) / seconds["real"]))
    return (
        f"{predicted:.1f} min were predicted for {len(seconds)} frames and one annotator took {real:.1f} min; half of "
        f"the frames are off by {100 * off:.0f} % or less."
    )
