"""Folds of patients are repeats, each the mean of its seeds."""

import shutil

import numpy as np
import pandas as pd
import pytest

from mtal.reporting.comparison import compare
from mtal.reporting.comparison.tables import write_tables
from mtal.reporting.comparison.wording import conclusion


def study(tmp_path, configure, write, folds, seeds=(0, 1)):
    """Fold k of random ends at 0.5 + 0.01·k, that of Max 0.1 above; seeds are 0.02 above and below."""
    for strategy, gain in (("random", 0.0), ("Max", 0.1)):
        for fold in range(folds):
            for seed in seeds:
                methods = {"selector": "Random"} if strategy == "random" else {"fusion": strategy}
                config = configure(seed, 2, **methods)
                config["loop"] |= {"fold": fold, "test_folds": folds}
                level = 0.5 + gain + 0.01 * fold + (0.02 if seed else -0.02)
                heads = dict.fromkeys(("tools", "bleeding", "anatomy"), [level] * 3)
                write(tmp_path / "study" / f"{strategy},{fold},{seed}", config, [10, 20, 30], heads)
    return tmp_path / "study"


def test_a_fold_counts_once(tmp_path, configure, write):
    comparison = compare([study(tmp_path, configure, write, folds=5)])
    (setting,) = comparison.settings
    best = setting.strategies[0]
    assert set(setting.strategies) == {"random", best}
    curves = setting.joint.curves[best]
    assert curves.seeds == (0, 1, 2, 3, 4)
    assert curves.at(range(5))[:, 0] == pytest.approx(0.6 + 0.01 * np.arange(5))
    row = setting.joint.row(best)
    assert row.test.seeds == 5
    assert row.interval == pytest.approx((0.1, 0.1))
    assert any("5 folds of patients; a fold counts once" in note for note in setting.notes)
    write_tables(comparison, tmp_path)
    runs = pd.read_csv(tmp_path / "runs.csv")
    assert len(runs) == 20
    assert runs.loc[runs["strategy"] == best, "fold"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert "fold_4" in pd.read_csv(tmp_path / "curves.csv")


def test_two_folds_are_too_few_to_be_drawn(tmp_path, configure, write):
    (setting,) = compare([study(tmp_path, configure, write, folds=2, seeds=(0, 1000))]).settings
    assert setting.joint.curves["random"].seeds == (0, 1, 2, 3)  # by fold and then by seed
    assert setting.joint.curves["random"].at(range(4))[:, 0] == pytest.approx([0.48, 0.52, 0.49, 0.53])
    assert conclusion(setting)[0].startswith("Joint score against random, 4 paired runs: ")
    assert np.isnan(setting.joint.row(setting.strategies[0]).interval).all()
    assert any("too few for an interval over patients" in note for note in setting.notes)


def test_a_fold_is_compared_over_the_seeds_that_both_have(tmp_path, configure, write):
    folder = study(tmp_path, configure, write, folds=5)
    for run in folder.glob("Max,*,1"):
        shutil.rmtree(run)
    joint = compare([folder]).settings[0].joint
    assert joint.rows[0].difference == pytest.approx(0.1)


def test_of_few_folds_each_run_has_the_full_pool_score_of_its_fold(tmp_path, configure, write):
    # Each curve is a share of what its fold gives with all labels, so noise of the folds has no part in the saving.
    full = (0.5, 0.9)
    shares = {"Random": [0, 0.25, 0.5, 0.75, 1], "Badge": [0, 0.5, 1, 1, 1]}
    for fold, score in enumerate(full):
        for seed in range(3):
            for selector, curve in shares.items():
                config = configure(seed, 4, selector=selector)
                config["loop"] |= {"fold": fold, "test_folds": 2}
                run = tmp_path / "study" / f"{selector},{fold},{seed}"
                write(run, config, [10, 20, 30, 40, 50], {"tools": [score * part for part in curve]})
        config = configure(0, 0, selector="Random")
        config["loop"] |= {"fold": fold, "test_folds": 2, "initial": "all"}
        write(tmp_path / "full" / f"{fold}", config, [400], {"tools": [score]})
    saving = compare([tmp_path / "study"], [tmp_path / "full"]).settings[0].joint.rows[0].savings[0]
    assert saving.target == pytest.approx(0.9 * 0.7)
    assert (saving.share, *saving.share_interval) == pytest.approx([18 / 46] * 3)  # 28 frames against 46
    for run in (tmp_path / "study").glob("Badge,1,*"):
        shutil.rmtree(run)
    rows = compare([tmp_path / "study"], [tmp_path / "full"]).settings[0].joint.rows
    (saving,) = (row.savings[0] for row in rows if not row.is_baseline)
    assert saving.target == pytest.approx(0.9 * 0.5)


def test_runs_of_other_splits_are_another_setting(tmp_path, configure, write, sweep):
    folder = study(tmp_path, configure, write, folds=5)
    assert len(compare([folder, sweep({"random": 0.0, "Max": 0.1}, rounds=2)]).settings) == 2
