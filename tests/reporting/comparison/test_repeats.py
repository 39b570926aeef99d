"""Folds of patients are repeats, each the mean of its seeds."""

import numpy as np
import pandas as pd
import pytest

from mtal.reporting.comparison import compare, write_comparison


def study(tmp_path, configure, write, folds, seeds=2):
    """Fold k of random ends at 0.5 + 0.01·k, that of Max 0.1 above; seeds are 0.02 above and below."""
    for strategy, gain in (("random", 0.0), ("Max", 0.1)):
        for fold in range(folds):
            for seed in range(seeds):
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
    write_comparison(comparison, tmp_path / "written")
    runs = pd.read_csv(tmp_path / "written/tables/runs.csv")
    assert len(runs) == 20
    assert runs.loc[runs["strategy"] == best, "fold"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert "fold_4" in pd.read_csv(tmp_path / "written/tables/curves.csv")


def test_two_folds_are_too_few_to_be_drawn(tmp_path, configure, write):
    (setting,) = compare([study(tmp_path, configure, write, folds=2)]).settings
    assert setting.joint.curves["random"].seeds == (0, 1, 1000, 1001)
    assert np.isnan(setting.joint.row(setting.strategies[0]).interval).all()
    assert any("too few for an interval over patients" in note for note in setting.notes)


def test_runs_of_other_splits_are_another_setting(tmp_path, configure, write, sweep):
    folder = study(tmp_path, configure, write, folds=5)
    assert len(compare([folder, sweep({"random": 0.0, "Max": 0.1}, rounds=2)]).settings) == 2
