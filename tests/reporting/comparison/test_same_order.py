"""Two sweeps of which every gain is known."""

import shutil

import numpy as np
import pytest
import yaml
from scipy import stats

from mtal.reporting.comparison.markdown import order_of
from mtal.reporting.comparison.same_order import same_order


@pytest.fixture
def named(sweep, tmp_path):
    """``named(name, gains, seeds)`` is a sweep whose runs tell the strategy of their command line."""

    def make(name, gains, seeds):
        made = sweep(gains, seeds=seeds, noise=0.0)
        for run in made.iterdir():
            (run / ".hydra").mkdir()
            task = [f"strategy={run.name.split(',')[0]}"]
            (run / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump({"hydra": {"overrides": {"task": task}}}))
        return made.rename(tmp_path / name)

    return make


def test_gains_and_their_rank_correlation(named):
    short = named("short", {"random": 0.0, "Max": 0.2, "Pareto": 0.1, "Borda": -0.1, "Median": 0.4}, seeds=2)
    long = named("long", {"random": 0.0, "Max": 0.1, "Pareto": 0.2, "Borda": -0.2, "Copeland": 0.4}, seeds=1)
    found = same_order(short, long)
    assert found.cells == 4  # what is in one of the two alone does not count, nor does another seed
    assert list(found.gains) == ["Pareto", "Max", "Borda"]
    slopes = np.array([[0.1, 0.2], [0.2, 0.1], [-0.1, -0.2]])
    np.testing.assert_allclose(np.array(list(found.gains.values())) / slopes, 0.5, rtol=0.02)  # means of straight lines
    assert found.correlation == pytest.approx(stats.spearmanr(slopes).statistic) == pytest.approx(0.5)
    table = order_of(found, ["short", "long"]).splitlines()
    assert table[0] == "| strategy | short | long |"
    assert table[2].startswith("| `Pareto` | +0.0")
    assert table[-1] == "| rank correlation of the 3 strategies | 0.50 | |"


def test_a_bound_has_no_rank(named):
    short = named("short", {"random": 0.0, "Max": 0.2, "Pareto": 0.1, "Borda": -0.1, "Median": 0.4}, seeds=1)
    long = named("long", {"random": 0.0, "Max": 0.1, "Pareto": 0.2, "Borda": -0.2, "Median": 0.3}, seeds=1)
    assert same_order(short, long).correlation == pytest.approx(0.8)
    for file in (*short.glob("Median*/config.yaml"), *long.glob("Median*/config.yaml")):
        file.write_text(file.read_text().replace("selector.Badge", "selector.HiddenLabelBound"))
    found = same_order(short, long)
    assert list(found.gains) == ["Median", "Pareto", "Max", "Borda"]
    assert found.ranked == ("Pareto", "Max", "Borda")
    assert found.correlation == pytest.approx(0.5)


def test_the_order_of_two_is_no_correlation(named):
    found = same_order(*(named(n, {"random": 0.0, "Max": 0.2, "Pareto": 0.1}, seeds=1) for n in ("short", "long")))
    assert np.isnan(found.correlation)
    assert len(order_of(found, ["short", "long"]).splitlines()) == 4


def test_nothing_in_common(named):
    short = named("short", {"random": 0.0, "Max": 0.2}, seeds=1)
    long = shutil.copytree(short, short.with_name("long"))
    for run in long.glob("Max*"):
        shutil.rmtree(run)
    with pytest.raises(ValueError, match="no two strategies in common"):
        same_order(short, long)
