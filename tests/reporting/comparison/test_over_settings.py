"""One figure for several data sets, checked against scipy and by hand."""

import doctest

import numpy as np
import pytest
from scipy import stats

from mtal.reporting.comparison import compare, over_settings
from mtal.reporting.comparison.markdown import over_all
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
