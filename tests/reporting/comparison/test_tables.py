from __future__ import annotations

import doctest

import numpy as np
import pandas as pd
import pytest

from mtal.reporting.comparison import tables
from mtal.reporting.comparison.tables import joint_rows, latex, slug, slugs


def test_results_hold_every_figure(compared, written):
    table = pd.read_csv(written / "tables" / "results.csv")
    joint = table[(table["score"] == "joint") & (table["against"] == "labelled frames")].set_index("strategy")
    for row in compared.settings[0].joint.rows:
        assert joint.loc[row.strategy, "area"] == pytest.approx(row.area)
        if not row.is_baseline:
            assert joint.loc[row.strategy, "holm_p"] == pytest.approx(row.corrected_p)
            assert joint.loc[row.strategy, "needed_95"] == row.savings[1].needed
            assert np.array_equal(joint.loc[row.strategy, "saved_90"], row.savings[0].saved, equal_nan=True)
    assert set(table["score"]) == {"joint", "tools", "bleeding", "anatomy", "rare classes"}
    assert set(table["against"]) == {"labelled frames", "annotator minutes after the initial set"}


def test_curves_hold_every_seed(compared, written):
    table = pd.read_csv(written / "tables" / "curves.csv")
    rows = table[
        (table["score"] == "joint") & (table["strategy"] == "copeland") & (table["against"] == "labelled frames")
    ]
    assert rows["at"].tolist() == [10, 20, 30, 40, 50]
    assert rows[[f"seed_{k}" for k in range(6)]].mean(axis=1).tolist() == pytest.approx(rows["mean"].tolist())


def test_every_run_is_accounted_for(written):
    table = pd.read_csv(written / "tables" / "runs.csv")
    assert (table["state"] == "compared").sum() == 29
    assert table[table["state"] != "compared"]["state"].tolist()[0].startswith("unfinished: 4 of 5")


def test_penalties_are_kept_with_their_names(compared, written):
    table = pd.read_csv(written / "tables" / "penalties_joint.csv", index_col="beats")
    assert table.to_numpy() == pytest.approx(compared.penalties[0].matrix, nan_ok=True)
    assert list(table.columns) == list(table.index) == list(compared.penalties[0].strategies)


def test_latex_is_a_booktabs_table(compared):
    head, rows = joint_rows(compared.settings[0])
    lines = latex(head, rows).splitlines()
    assert lines[0] == r"\begin{tabular}{lrrrrrrrr}"
    assert [line for line in lines if line.endswith("rule")] == [r"\toprule", r"\midrule", r"\bottomrule"]
    body = [line for line in lines if line.endswith(r"\\")]
    assert len(body) == 1 + len(rows)
    # an ampersand of a name is not one between columns
    assert {line.replace(r"\&", "").count("&") for line in body} == {8}


def test_latex_takes_names_as_they_are():
    text = latex(["a_b"], [["50% & <$x$>"], ["−1"]])
    assert r"a\_b \\" in text
    assert r"50\% \& $<$\$x\$$>$ \\" in text
    assert r"$-$1 \\" in text


def test_file_names():
    assert slug("rare classes") == "rare_classes"
    assert doctest.testmod(tables).failed == 0
    assert [*slugs(["анатомия", "инструменты", "tool tip", "tool-tip", "·"]).values()] == [
        *("анатомия", "инструменты", "tool_tip", "tool_tip_2", "_2")
    ]
    assert slug("k_center · p=2.0") == "k_center_p_2_0"
