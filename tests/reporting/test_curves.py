from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest

from mtal.reporting import read_run
from mtal.reporting.curves import Curve, curve, describe, draw, head_curves, to_svg


def test_a_head_is_drawn_by_its_metrics_but_not_by_its_classes(run_dir):
    curves = head_curves(read_run(run_dir), "anatomy")
    assert [c.name for c in curves] == ["mIoU", "Dice"]
    assert curves[0].labelled == (4, 8, 12)
    assert curves[0].values == pytest.approx((0.3, 0.4, 0.5))


def test_the_main_metric_comes_first():
    this = SimpleNamespace(spent=1, metrics={"t/AUROC": 0.5, "t/AP": 0.4, "t/sensitivity": 0.3, "t2/mAP": 0.9})
    assert [c.name for c in head_curves(SimpleNamespace(rounds=[this]), "t")] == ["AP", "AUROC", "sensitivity"]


def test_a_metric_in_pixels_is_not_drawn_on_the_common_axis():
    this = SimpleNamespace(spent=1, metrics={"t/HD95": 12.5, "t/HD95/liver": 12.5, "t/mIoU": 0.5, "t/NSD": 0.9})
    assert [c.name for c in head_curves(SimpleNamespace(rounds=[this]), "t")] == ["mIoU", "NSD"]


def test_a_metric_that_is_absent_is_nan(run_dir):
    assert all(math.isnan(v) for v in curve(read_run(run_dir), "no/such").values)


def test_the_figure_plots_the_numbers():
    figure = draw([Curve("mAP", (4, 8, 12), (0.25, math.nan, 0.75)), Curve("other", (4, 8, 12), (0.1, 0.2, 0.3))])
    (axes,) = figure.axes
    lines = axes.get_lines()
    assert [line.get_label() for line in lines] == ["mAP", "other"]
    assert list(lines[0].get_xdata()) == [4, 8, 12]
    assert lines[0].get_ydata()[2] == 0.75
    assert axes.get_xlabel() == "labelled frames"
    assert [text.get_text() for text in axes.texts] == ["0.75"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["mAP", "other"]
    # told apart without colour as well
    assert lines[0].get_linestyle() != lines[1].get_linestyle()
    assert lines[0].get_marker() != lines[1].get_marker()


def test_a_head_without_values_says_so():
    (axes,) = draw([Curve("AP", (4, 8), (math.nan, math.nan))], empty="nothing here").axes
    assert [text.get_text() for text in axes.texts] == ["nothing here"]
    assert not axes.get_lines()


def test_many_rounds_keep_the_ticks_apart():
    (axes,) = draw([Curve("mAP", tuple(range(24, 24 * 41, 24)), (0.5,) * 40)]).axes
    assert len(axes.get_xticks()) <= 7


def test_svg_is_well_formed_follows_the_page_and_refers_to_nothing():
    svg = to_svg(draw([Curve("<b>&$x$", (4, 8), (0.25, 0.75)), Curve("$y", (4, 8), (0.1, 0.2))]), 'say "<b>&"')
    root = ET.fromstring(svg.replace("<svg", '<svg xmlns:xlink="urn:x"', 1))
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'say "<b>&"'
    assert "currentColor" in svg
    assert "#010203" not in svg
    assert "http" not in svg
    texts = {element.text for element in root.iter("text")}
    assert {"labelled frames", "<b>&$x$", "$y", "0.75"} <= texts  # text stays text, dollars stay dollars
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))


def test_the_same_run_draws_the_same_bytes():
    curves = [Curve("mAP", (4, 8), (0.25, 0.75))]
    assert to_svg(draw(curves), "a") == to_svg(draw(curves), "a")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ((0.25, math.nan, 0.75), "tools: mAP 0.25 with 4 labelled frames, 0.75 with 12"),
        ((math.nan, 0.5, math.nan), "tools: mAP 0.50 with 8 labelled frames"),
        ((math.nan,) * 3, "tools: no value yet"),
    ],
)
def test_describe(values, sentence):
    assert describe([Curve("mAP", (4, 8, 12), values)], "tools") == sentence
