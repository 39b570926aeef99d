"""Strategies compared over the runs of a sweep: curves, label saving, tests, penalties, figures and tables."""

from mtal.reporting.comparison.bootstrap import interval, seed_weights
from mtal.reporting.comparison.comparison import Comparison, compare
from mtal.reporting.comparison.interquartile_mean import interquartile_mean
from mtal.reporting.comparison.label_saving import LabelSaving, frames_needed, label_savings
from mtal.reporting.comparison.learning_curve import Curves, area, common_axis, monotone
from mtal.reporting.comparison.penalty_matrix import penalty_matrix
from mtal.reporting.comparison.report import write_comparison
from mtal.reporting.comparison.significance import holm, mean_interval, paired_test
from mtal.reporting.comparison.terminal import show

__all__ = [
    "Comparison",
    "Curves",
    "LabelSaving",
    "area",
    "common_axis",
    "compare",
    "frames_needed",
    "holm",
    "interquartile_mean",
    "interval",
    "label_savings",
    "mean_interval",
    "monotone",
    "paired_test",
    "penalty_matrix",
    "seed_weights",
    "show",
    "write_comparison",
]
