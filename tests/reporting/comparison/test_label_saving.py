"""Straight lines, so that where they meet a target is known from their slopes."""

from __future__ import annotations

import numpy as np
import pytest

from mtal.reporting.comparison.bootstrap import seed_weights
from mtal.reporting.comparison.label_saving import frames_needed, label_savings
from mtal.reporting.comparison.learning_curve import monotone

AXIS = np.array([10.0, 20.0, 30.0, 40.0, 50.0])


def line(end: float, seeds: int = 6) -> np.ndarray:
    """From 0.4 at 10 frames to ``end`` at 50, the same for every seed, ``[S, P]``."""
    return np.tile(0.4 + (end - 0.4) * (AXIS - 10) / 40, (seeds, 1))


def saving(strategy, baseline, target):
    return label_savings(AXIS, strategy, baseline, [np.full(2001, target)], seed_weights(len(strategy), 2000))[0]


def test_worked_example():
    # 0.6 is 20/40 of the way on a line to 0.8, and 40/40 on one to 0.6: 30 frames against 50.
    this = saving(line(0.8), line(0.6), 0.6)
    assert (this.needed, this.baseline_needed) == pytest.approx((30, 50))
    assert this.saved == pytest.approx(20)
    assert this.share == pytest.approx(0.4)
    assert this.saved_interval == pytest.approx((20, 20))
    assert this.share_interval == pytest.approx((0.4, 0.4))


def test_a_worse_strategy_saves_less_than_nothing():
    # 0.5 is halfway to 0.6 (30 frames) and a quarter of the way to 0.8 (20 frames)
    this = saving(line(0.6), line(0.8), 0.5)
    assert this.saved == pytest.approx(-10)
    assert this.share == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("strategy", "baseline", "saved"),
    [(0.6, 0.8, -np.inf), (0.8, 0.6, np.inf), (0.6, 0.6, np.nan)],
    ids=["never reached", "only the baseline never", "neither"],
)
def test_a_target_that_is_never_reached_gives_no_number(strategy, baseline, saved):
    this = saving(line(strategy), line(baseline), 0.7)
    assert np.isinf(this.needed) == (strategy == 0.6)
    assert np.isinf(this.baseline_needed) == (baseline == 0.6)
    assert np.array_equal([this.saved, this.share], [saved, saved], equal_nan=True)
    assert this.end == 50


@pytest.mark.parametrize("unit", [1, 60], ids=["minutes", "seconds"])
def test_no_share_is_lost_of_nothing(unit):
    """Minutes begin at 0: a baseline that is there at once needs nothing, of which no share can be told."""
    axis = unit * np.array([0.0, 10.0, 20.0, 30.0])
    baseline, strategy = (np.tile(values, (6, 1)) for values in ([0.5, 0.55, 0.6, 0.7], [0.4, 0.45, 0.5, 0.7]))
    weights = seed_weights(6, 2000)
    (worse,) = label_savings(axis, strategy, baseline, [np.full(2001, 0.5)], weights)
    assert worse.saved == pytest.approx(-20 * unit)
    assert (worse.share, worse.share_interval) == (-np.inf, (-np.inf, -np.inf))
    (same,) = label_savings(axis, baseline, baseline, [np.full(2001, 0.5)], weights)
    assert (same.saved, same.share) == (0, 0)


def test_where_neither_gets_there_nothing_is_claimed():
    assert saving(line(0.6), line(0.6), 0.7).saved_interval == (-np.inf, np.inf)


def test_seeds_are_resampled_in_pairs():
    # Every seed of the strategy lies 0.1 above the same seed of the baseline, and seeds differ widely. With slope
    # 0.2/40 per frame that is 20 frames at any target in reach of all draws; drawn unpaired it would vary.
    offsets = np.array([[-0.02], [0.0], [0.01], [0.01], [-0.01], [0.01]])
    baseline = line(0.6) + offsets
    this = saving(baseline + 0.1, baseline, 0.55)
    assert this.saved == pytest.approx(20)
    assert this.saved_interval == pytest.approx((20, 20))


def test_draws_in_which_the_baseline_never_gets_there_leave_the_end_open():
    baseline = np.concatenate([line(0.7, 3), line(0.5, 3)])  # the mean reaches 0.6 at the very end
    this = saving(line(0.8), baseline, 0.6)
    assert this.saved == pytest.approx(20)
    assert this.saved_interval[1] == np.inf
    assert np.isfinite(this.saved_interval[0])


def test_a_lucky_round_is_not_progress():
    # 0.7 is met at 20 frames by chance and lost again; the fit averages 0.7, 0.5, 0.6 to 0.6 and meets 0.7 at
    # 40 + 10·(0.7 − 0.6)/(0.8 − 0.6) = 45
    curve = np.array([0.4, 0.7, 0.5, 0.6, 0.8])
    assert frames_needed(AXIS, monotone(curve), 0.7) == pytest.approx(45)


def test_a_curve_that_starts_above_the_target_needs_the_initial_set():
    assert frames_needed(AXIS, np.array([0.4, 0.4, 0.5, 0.5, 0.6]), 0.3) == 10
    assert saving(line(0.8), line(0.6), 0.4).saved == 0


def test_one_seed_has_a_saving_but_no_interval():
    this = saving(line(0.8, 1), line(0.6, 1), 0.6)
    assert this.saved == pytest.approx(20)
    assert np.isnan(this.saved_interval).all()


def test_a_reference_that_is_unsure_widens_the_saving():
    """Curves that are the same in every seed save exactly as much, but for the noise of the target itself."""
    strategy, baseline = line(0.8), line(0.6)
    weights = seed_weights(len(strategy), 2000)
    sure = label_savings(AXIS, strategy, baseline, [np.full(2001, 0.5)], weights)[0]
    drawn = np.concatenate([[0.5], np.random.default_rng(0).normal(0.5, 0.03, 2000)])
    unsure = label_savings(AXIS, strategy, baseline, [drawn], weights)[0]
    assert unsure.saved == sure.saved
    assert sure.saved_interval[0] == pytest.approx(sure.saved_interval[1])
    assert unsure.saved_interval[0] < sure.saved - 1 < sure.saved + 1 < unsure.saved_interval[1]
