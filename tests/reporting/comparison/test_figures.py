from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from mtal.reporting.comparison import compare, figures, wording
from mtal.reporting.comparison.label_saving import LabelSaving
from mtal.reporting.comparison.report import paper_figures


@pytest.fixture(scope="module")
def drawn(compared):
    return dict(paper_figures(compared))


def test_there_is_one_for_every_question(drawn):
    assert {"joint_curves", "joint_differences", "joint_savings", "joint_savings_by_minutes"} <= set(drawn)
    assert {"tools_curves", "rare_classes_differences", "classes", "driving_heads", "interquartile_means"} <= set(drawn)
    assert {"penalties_joint", "penalties_anatomy"} <= set(drawn)


def test_they_fit_a_column_and_no_letter_is_under_seven_points(drawn):
    for name, figure in drawn.items():
        assert figure.get_figwidth() == pytest.approx(3.3), name
        sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
        assert min(sizes) >= 7, name


def test_nothing_is_cut_off(compared, drawn):
    names = set(compared.settings[0].strategies)  # ticks that are numbers also exist beyond the axes, undrawn
    for name, figure in drawn.items():
        figure.draw_without_rendering()
        shown = [axes for axes in figure.axes if axes.get_visible()]
        texts = [*figure.texts, *(t for legend in figure.legends for t in legend.get_texts())]
        texts += [t for axes in shown for t in (axes.title, *axes.texts)]
        texts += [t for axes in shown for t in axes.get_yticklabels() if t.get_text() in names]
        for text in texts:
            if text.get_text() and text.get_visible():
                box = text.get_window_extent()
                over = max(-box.x0, box.x1 - figure.bbox.x1, -box.y0, box.y1 - figure.bbox.y1)
                assert over <= 1, (name, text.get_text(), over)


def test_every_strategy_has_a_panel_with_the_baseline_behind_it(compared, drawn):
    joint = compared.settings[0].joint
    panels = [axes for axes in drawn["joint_curves"].axes if axes.get_visible()]
    others = [row.strategy for row in joint.rows if not row.is_baseline]
    assert [axes.get_title().replace("\n", "").replace(" ", "") for axes in panels] == [
        s.replace(" ", "") for s in others
    ]
    for axes, strategy in zip(panels, others, strict=True):
        baseline, curve = axes.get_lines()
        assert baseline.get_ydata() == pytest.approx(joint.curves["random"].mean)
        assert baseline.get_color() == figures.BASELINE
        assert curve.get_ydata() == pytest.approx(joint.curves[strategy].mean)


def test_differences_are_ranked_from_above(compared, drawn):
    axes = drawn["joint_differences"].axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    rows = [row for row in compared.settings[0].joint.rows if not row.is_baseline]
    assert names[::-1] == [row.strategy for row in sorted(rows, key=lambda row: -row.difference)]
    assert names[0] == "pareto"


def test_a_target_that_is_not_reached_has_a_cross_and_no_value(compared, drawn):
    axes = drawn["joint_savings"].axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    crosses = [line.get_ydata()[0] for line in axes.get_lines() if line.get_marker() == "x" and len(line.get_ydata())]
    missing = [
        names.index(row.strategy)
        for row in compared.settings[0].joint.rows
        for this in row.savings
        if np.isinf(this.needed)
    ]
    assert missing
    assert sorted(round(y) for y in crosses) == sorted(missing)


def test_a_baseline_that_starts_at_the_target_leaves_nothing_to_save(sweep):
    """By minutes it needs none; what is behind it has no share, which is neither an error nor an open number."""
    score = compare([sweep({"random": 0.0, "Max": 0.1})]).settings[0].joint
    behind = LabelSaving(0.5, 6.0, 0.0, 50.0, -6.0, (-7.0, -5.0), -math.inf, (-math.inf, -math.inf))
    level = replace(behind, needed=0.0, saved=0.0, share=0.0)
    assert wording.saving(behind) == "none: the baseline starts there"
    rows = [
        replace(score.rows[0], strategy=name, savings=(of, of)) for name, of in (("behind", behind), ("level", level))
    ]
    axes = figures.label_savings(replace(score, rows=tuple(rows)), "random").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["behind", "level"]


def test_they_are_written_at_print_resolution(written):
    for path in (written / "figures").glob("*.png"):
        with Image.open(path) as stored:
            assert stored.width == 1320, path.name
        assert path.with_suffix(".svg").is_file()
