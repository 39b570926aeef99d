"""One figure for several data sets, checked against scipy and by hand."""

import doctest
import json
import shutil

import numpy as np
import pytest
import yaml
from scipy import stats

from mtal.reporting.comparison import compare, over_settings
from mtal.reporting.comparison.markdown import ahead, over_all
from mtal.reporting.comparison.over_settings import mean_of_means


def test_examples():
    found = doctest.testmod(over_settings)
    assert found.attempted > 0
    assert found.failed == 0


def test_of_two_samples_it_is_the_test_of_welch():
    """a + b = 0 is a = −b."""
    generator = np.random.default_rng(0)
    a, b = generator.normal(0.1, 1, 7), generator.normal(0.3, 3, 12)
    mean, (low, high), p = mean_of_means([a, b])
    known = stats.ttest_ind(a, -b, equal_var=False)
    interval = known.confidence_interval(0.95)
    assert p == pytest.approx(known.pvalue)
    assert (low, high) == pytest.approx((interval.low / 2, interval.high / 2))
    assert mean == pytest.approx((a.mean() + b.mean()) / 2)


def test_of_one_sample_it_is_the_test_of_student():
    x = np.random.default_rng(1).normal(0.2, 1, 9)
    known = stats.ttest_1samp(x, 0)
    _, ends, p = mean_of_means([x])
    assert p == pytest.approx(known.pvalue)
    assert ends == pytest.approx(tuple(known.confidence_interval(0.95)))


def test_too_few_have_no_interval_and_one_no_test():
    few, many = np.array([0.1, 0.3]), np.arange(6.0)
    assert np.isnan(mean_of_means([few, many])[1]).all()
    assert np.isfinite(mean_of_means([few, many])[2])
    assert np.isnan(mean_of_means([few[:1], many])[2])
    assert mean_of_means([np.full(5, 0.1), np.full(5, 0.3)]) == (pytest.approx(0.2), (0.2, 0.2), 0.0)


def of_folds(sweep, folder, data, folds, seeds, spread):
    """A sweep in which Max gains ``spread`` by fold and seed, on a data set of that name."""
    folder.mkdir()
    gained = np.zeros((folds, seeds))
    for fold in range(folds):
        made = sweep({"random": 0.0, "Max": 0.0}, seeds=seeds, noise=0.0)
        for run in sorted(made.iterdir()):
            settings = yaml.safe_load((run / "config.yaml").read_text())
            settings["data"]["_target_"] = f"mtal.datasets.{data}.load"
            settings["loop"] |= {"fold": fold, "test_folds": folds}
            (run / "config.yaml").write_text(yaml.safe_dump(settings))
            if run.name.startswith("Max"):
                gained[fold, settings["seed"]] = gain = float(spread.normal(0.05, 0.05))
                for file in run.glob("rounds/*/metrics.json"):
                    record = json.loads(file.read_text())
                    record["metrics"] = {key: value + gain for key, value in record["metrics"].items()}
                    file.write_text(json.dumps(record))
            run.rename(folder / f"{fold},{run.name}")
        shutil.rmtree(made)
    return gained


def test_by_run_and_by_fold_are_the_tests_of_these_units(sweep, tmp_path):
    """Five folds on one set, and on the other two, of which the runs count unless folds are asked for."""
    spread = np.random.default_rng(2)
    many = of_folds(sweep, tmp_path / "many", "synthetic", 5, 2, spread)
    few = of_folds(sweep, tmp_path / "few", "endoscapes", 2, 5, spread)
    (row,) = over_settings.over_settings(compare([tmp_path / "many", tmp_path / "few"]).settings)

    def welch(a, b):
        return pytest.approx(stats.ttest_ind(a, -b, equal_var=False).pvalue, rel=1e-6)

    assert row.p == welch(many.mean(axis=1), few.ravel())
    assert row.p_of_runs == welch(many.ravel(), few.ravel())
    assert row.p_of_folds == welch(many.mean(axis=1), few.mean(axis=1))


def test_one_strategy_against_every_other(compared):
    gains = {row.strategy: row.difference for row in over_settings.over_settings(compared.settings)}
    rows = {row.other: row for row in over_settings.ahead_of("copeland", compared.settings)}
    assert rows.keys() == {"random", *gains} - {"copeland"}
    assert rows["random"].difference == pytest.approx(gains["copeland"])
    assert [rows[name].difference < 0 for name in ("max", "pareto")] == [True, False]
    assert rows["pareto"].corrected_p >= rows["pareto"].p
    table = ahead("copeland", compared).splitlines()
    assert table[2].startswith("| `pareto` | +0.")
    with pytest.raises(ValueError, match="'nobody' was not run on every data set"):
        over_settings.ahead_of("nobody", compared.settings)


def test_each_data_set_counts_the_same(sweep, tmp_path):
    """Six seeds of one and five of the other; who is missing in one has no row."""
    sweep({"random": 0.0, "Max": 0.2, "Borda": 0.1}, seeds=6, noise=0.0).rename(tmp_path / "one")
    other = sweep({"random": 0.0, "Max": -0.1}, noise=0.0)
    for file in other.glob("*/config.yaml"):
        file.write_text(file.read_text().replace("datasets.synthetic", "datasets.endoscapes"))
    comparison = compare([tmp_path / "one", other])
    (row,) = over_settings.over_settings(comparison.settings)
    assert row.by_setting == pytest.approx((0.1, -0.05))  # a lead that grows to 0.2 is 0.1 on average
    assert row.difference == pytest.approx(0.025)
    lines = over_all(comparison)["gains"].splitlines()
    assert len(lines) == 3
    assert "| +0.100 | −0.050 | +0.025 " in lines[2]
