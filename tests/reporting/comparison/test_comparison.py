"""Whole comparisons of runs whose curves are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from mtal.reporting.comparison.comparison import compare
from mtal.reporting.comparison.markdown import over_all, tables_of
from mtal.reporting.comparison.setting_comparison import RARE_CLASSES
from mtal.reporting.comparison.tables import head_rows
from mtal.reporting.comparison.wording import conclusion
from mtal.reporting.run_reader import read_run

ONLY = "max · badge"  # what Max is called where random is all there is beside it


def joint(folder, **options):
    return compare([folder], **options).settings[0].joint


def test_differences_tests_and_verdicts(sweep):
    folder = sweep({"random": 0.0, "Max": 0.2, "Borda": 0.0, "Pareto": -0.2})
    found = joint(folder)
    assert {row.strategy: row.verdict for row in found.rows} == {
        "max": "wins",
        "random": "baseline",
        "borda": "undecided",
        "pareto": "loses",
    }
    # the joint scores straight from the files: five equally spaced points, so the area is half the ends plus the rest
    height = {}
    for name in ("random", "Max"):
        runs = [read_run(folder / f"{name},seed={s}") for s in range(5)]
        table = np.array([[r.metrics["joint"] for r in run.rounds] for run in runs])
        height[name] = (table[:, 1:-1].sum(axis=1) + (table[:, 0] + table[:, -1]) / 2) / 4
    best = found.row("max")
    assert best.difference == pytest.approx((height["Max"] - height["random"]).mean())
    assert best.test.t_p == pytest.approx(stats.ttest_rel(height["Max"], height["random"]).pvalue)
    assert best.interval[0] < best.difference < best.interval[1]
    assert best.corrected_p >= best.test.t_p
    assert found.row("random").savings == ()


def test_a_bound_has_a_row_and_no_part_in_what_is_concluded(sweep):
    found = compare([sweep({"random": 0.0, "Max": 0.1, "HiddenLabelBound": 0.3})])
    (setting,) = found.settings
    bound, best = setting.joint.rows[:2]
    assert "hidden_label_bound" in bound.strategy
    assert bound.verdict == "bound"
    assert bound.difference > best.difference
    assert best.corrected_p == best.test.t_p  # Holm over one
    assert setting.joint.reference == pytest.approx(setting.joint.curves[best.strategy].mean.max())
    assert all(set(p.strategies) == {"random", best.strategy} for p in found.penalties)
    assert bound.strategy not in " ".join(conclusion(setting))
    assert f"{best.strategy} is furthest ahead of random" in conclusion(setting)[1]
    assert over_all(found)["winners"].splitlines()[2:] == [f"| `{best.strategy}` | +0.000 |"]
    assert f"{bound.strategy} reads the pool's hidden labels: a bound, no strategy." in setting.notes


def test_luck_with_the_seeds_neither_leads_nor_sets_the_target(tmp_path, configure, write):
    """Runs on the easy seeds alone, where it is behind random."""
    for seed in range(5):
        level = 0.3 + 0.1 * seed
        for fusion, gain in (("WeightedMean", 0.0), ("Pareto", 0.02), ("Max", -0.05)):
            if fusion == "Max" and seed < 3:
                continue
            selector = "Random" if fusion == "WeightedMean" else "Badge"
            options = configure(seed, 1, fusion=fusion, selector=selector)
            curve = [level, level + 0.01 + gain]
            write(tmp_path / f"{fusion}{seed}", options, [10, 20], dict.fromkeys(("tools", "bleeding"), curve))
    found = compare([tmp_path])
    (setting,) = found.settings
    assert [row.strategy.split(" ")[0] for row in setting.joint.rows] == ["pareto", "random", "max"]
    assert setting.joint.rows[2].area == max(row.area for row in setting.joint.rows)
    assert "pareto" in conclusion(setting)[1]
    assert "furthest ahead of random" in conclusion(setting)[1]
    assert setting.joint.reference == pytest.approx(0.3 + 0.1 * 2 + 0.01 + 0.02)  # pareto's, on the seeds of random
    assert "pareto" in over_all(found)["winners"].splitlines()[2]


def test_rare_is_what_random_rarely_meets(sweep):
    """Whatever the baseline seeks."""
    folder = sweep({"random": 0.0, "Max": 0.2}, seeds=2)
    for file in folder.glob("Max*/rounds/*/metrics.json"):
        record = json.loads(file.read_text())
        record["class_counts"]["tools"]["hook"] = record["labelled"] // 2
        file.write_text(json.dumps(record))
    for baseline in (None, ONLY):
        (setting,) = compare([folder], baseline=baseline).settings
        assert {(c.task, c.name) for c in setting.classes if c.rare} == {("tools", "hook")}
        assert any("one labelled frame in ten of random: tools hook" in note for note in setting.notes)


def test_all_scores_are_compared(sweep):
    found = compare([sweep({"random": 0.0, "Max": 0.2}, seeds=3)])
    setting = found.settings[0]
    assert [s.name for s in setting.scores] == ["joint", "tools", "bleeding", "anatomy", RARE_CLASSES]
    assert [p.score for p in found.penalties] == [s.name for s in setting.scores]
    assert {(c.task, c.name) for c in setting.classes if c.rare} == {("tools", "hook")}
    assert {len(s.rows) for s in setting.scores} == {2}
    assert setting.strategies == (ONLY, "random")
    assert [a.strategy for a in setting.aggregates] == [ONLY, "random"]
    assert setting.driving[ONLY] == {"tools": 1.0, "bleeding": 0.0, "anatomy": 0.0}


def test_savings_by_hand(sweep):
    # without noise: 0.4 + 0.2·t against 0.4 + 0.4·t, t from 10 to 50 frames. Best score 0.8: 90% of it, 0.72, takes
    # 10 + 40·0.8 = 42 frames; random ends at 0.6
    this = joint(sweep({"random": 0.0, "Max": 0.2}, seeds=2, noise=0.0)).row(ONLY).savings[0]
    assert this.target == pytest.approx(0.72)
    assert this.needed == pytest.approx(42)
    assert np.isinf(this.baseline_needed)
    assert this.saved == np.inf


def test_the_full_pool_score_sets_the_target(sweep, tmp_path, configure, write):
    folder = sweep({"random": 0.0, "Max": 0.2}, seeds=2, noise=0.0)
    config = configure(rounds=0)
    config["loop"]["initial"] = "all"
    full = write(tmp_path / "full", config, [400], {"tools": [0.7], "bleeding": [0.5], "anatomy": [0.6]})
    comparison = compare([folder], [full])
    # 95% of 0.6 is 0.57: 10 + 40·0.17/0.4 = 27 frames against 10 + 40·0.17/0.2 = 44
    this = comparison.settings[0].joint.row(ONLY).savings[1]
    assert (this.needed, this.baseline_needed) == pytest.approx((27, 44))
    assert any("of one run trained on the whole pool, full." in note for note in comparison.settings[0].notes)


def test_several_full_pool_runs_are_named_by_their_folder(sweep, tmp_path, configure, write):
    runs = []
    for seed in range(2):
        config = configure(rounds=0, seed=seed)
        config["loop"]["initial"] = "all"
        scores = {"tools": [0.7], "bleeding": [0.5], "anatomy": [0.6]}
        runs.append(write(tmp_path / "whole" / f"seed={seed}", config, [400], scores))
    comparison = compare([sweep({"random": 0.0, "Max": 0.2}, seeds=2)], runs)
    wanted = "The full-pool score is the mean of 2 runs trained on the whole pool, in whole."
    assert wanted in comparison.settings[0].notes


def test_without_a_full_pool_run_it_says_so(sweep):
    notes = compare([sweep({"random": 0.0, "Max": 0.2}, seeds=2)]).settings[0].notes
    assert any(note.startswith("There is no full-pool run") for note in notes)


def test_one_seed_is_not_tested_and_says_so(sweep):
    setting = compare([sweep({"random": 0.0, "Max": 0.2}, seeds=1)]).settings[0]
    row = setting.joint.row(ONLY)
    assert row.verdict == "not tested"
    assert np.isnan(row.interval).all()
    assert "Not tested, because a test needs two seeds in common with random: max · badge." in conclusion(setting)[0]


def test_unfinished_runs_are_listed_and_not_fatal(sweep):
    folder = sweep({"random": 0.0, "Max": 0.2}, seeds=3)
    last = folder / "Max,seed=2" / "rounds" / "04"
    last.rename(last.with_name(".04"))
    comparison = compare([folder])
    assert [out.path.name for out in comparison.left_out] == ["Max,seed=2"]
    row = comparison.settings[0].joint.row(ONLY)
    assert row.test.seeds == 2  # random's third seed has no partner
    assert comparison.settings[0].seeds == {ONLY: (0, 1), "random": (0, 1, 2)}


def test_nothing_finished_is_an_error(sweep):
    folder = sweep({"random": 0.0}, seeds=1, complete=2)
    with pytest.raises(ValueError, match=r"no finished run to compare \(random,seed=0: unfinished"):
        compare([folder])


def test_batches_of_other_sizes_are_compared_where_both_were_measured(sweep, tmp_path, configure, write):
    folder = sweep({"random": 0.0}, seeds=2, noise=0.0)
    for seed in range(2):
        curves = {head: [0.4, 0.65, 0.9] for head in ("tools", "bleeding", "anatomy")}
        write(tmp_path / "sweep" / f"big{seed}", configure(seed, 2, fusion="Max"), [10, 35, 60], curves)
    found = compare([folder])
    score = found.settings[0].joint
    assert score.axis.tolist() == [10, 20, 30, 35, 40, 50]
    assert score.curves[found.settings[0].strategies[0]].mean.tolist() == pytest.approx([0.4, 0.5, 0.6, 0.65, 0.7, 0.8])
    assert any("linear interpolation" in note for note in found.settings[0].notes)


def test_runs_without_a_common_stretch_are_refused(sweep, tmp_path, configure, write):
    folder = sweep({"random": 0.0}, seeds=1)
    write(tmp_path / "sweep" / "late", configure(0, 1, fusion="Max"), [60, 70], {"tools": [0.4, 0.5]})
    with pytest.raises(ValueError, match="starts at 60 labelled frames"):
        compare([folder])


def test_a_head_that_could_not_be_measured_is_left_out_and_said(sweep):
    folder = sweep({"random": 0.0, "Max": 0.2}, seeds=2)
    for file in folder.glob("random*/rounds/*/metrics.json"):
        record = json.loads(file.read_text())
        record["metrics"]["bleeding/AP"] = None
        file.write_text(json.dumps(record))
    setting = compare([folder]).settings[0]
    assert [s.name for s in setting.heads] == ["tools", "anatomy"]
    assert any(note.startswith("bleeding could not be measured in the runs of random") for note in setting.notes)


def test_minutes_where_they_were_recorded(sweep, tmp_path):
    folder = sweep({"random": 0.0, "Max": 0.2}, seeds=2, noise=0.0, cost_s=30.0)
    setting = compare([folder]).settings[0]
    timed = setting.timed
    # 40 picks of half a minute; curves against minutes are those against frames, stretched
    assert (timed.axis[0], timed.axis[-1]) == (0, 20)
    assert timed.row(ONLY).savings[0].needed == pytest.approx(16)
    head, rows = head_rows(setting)
    assert head[-1] == "joint, by annotator minutes"
    # its lead grows from 0 to 0.2, so it is 0.1 on average
    assert {row[0]: row[-1] for row in rows} == {ONLY: "+0.100", "random": f"{timed.row('random').area:.3f} (baseline)"}
    assert "| joint, by annotator minutes |" in tables_of(setting)["heads"]


def test_frames_only_where_no_cost_was_recorded(sweep):
    setting = compare([sweep({"random": 0.0, "Max": 0.2}, seeds=2)]).settings[0]
    assert setting.timed is None
    assert any("effort is counted in frames only" in note for note in setting.notes)


def test_another_baseline(sweep):
    found = joint(sweep({"random": 0.0, "Max": 0.2}, seeds=3), baseline=ONLY)
    assert found.row("random").difference < 0
    assert found.row(ONLY).is_baseline
