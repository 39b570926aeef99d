import numpy as np
import pytest

from mtal.acquisition.selectors import lazy_argmax, tie_break
from mtal.acquisition.selectors.lazy_argmax import LazyArgmax, ShortList, UpperBounds


class Halving(UpperBounds):
    """A pick halves the values of the frames within ``reach`` of it in a circle; bounds are 0, 1 or 3 too high."""

    def __init__(self, values, hashes, reach, slack):
        self.values = values.copy()  # by position
        self.reach = reach
        self.slack = slack
        self.asked = 0
        super().__init__(hashes, values + slack)

    def add(self, position):
        self.values[self.near(position)] /= 2
        super().add(position)

    def near(self, position):
        return (position + np.arange(-self.reach, self.reach + 1)) % len(self.values)

    def _exact(self, places):
        self.asked += len(places)
        return self.values[self.by_hash[places]]

    def short_list(self, places):
        return Listed(self, places)

    def _lower(self, places, first):
        places = np.arange(len(self.bound)) if places is None else places
        loose = self.values[self.by_hash[places]] + self.slack[self.by_hash[places]]
        self.bound[places] = np.minimum(self.bound[places], loose)


class Listed(ShortList):
    """Bounds as the frames have them, exact where asked."""

    def __init__(self, values, places):
        self.values, self.places = values, places
        self.high, self.low = values.bound[places], np.zeros(len(places))

    def lower(self, index):
        self.low[:] = 0
        self.high = np.minimum(self.high, self.values.values[self.values.by_hash[self.places]] + 1)

    def settle(self, indices):
        self.low[indices] = self.high[indices] = self.values.exact(self.places[indices])


def plain(values, hashes, reach, picks, allowed=None):
    """Every value at every pick."""
    values, chosen = values.copy(), []
    for k in range(picks):
        free = np.ones(len(values), dtype=bool) if allowed is None else allowed(k)
        free[chosen] = False
        best = np.flatnonzero(free & (values == values[free].max()))
        chosen.append(int(best[np.argmin(hashes[best])]))
        values[(chosen[-1] + np.arange(-reach, reach + 1)) % len(values)] /= 2
    return chosen


def lazy(bounds, picks, allowed=None):
    best, chosen = LazyArgmax(bounds), []
    for k in range(picks):
        free = np.ones(len(bounds.bound), dtype=bool) if allowed is None else allowed(k)
        free[chosen] = False
        chosen.append(best.next(free))
        bounds.add(chosen[-1])
    return chosen


@pytest.fixture(params=[4, 64, 4096])
def short_list(request, monkeypatch):
    monkeypatch.setattr(lazy_argmax, "_LIST", request.param)


@pytest.mark.parametrize("kind", ["apart", "tied", "equal"])
@pytest.mark.parametrize("slack", [0, 1, 3])
def test_is_the_argmax_of_all_values(short_list, kind, slack):
    generator = np.random.default_rng(slack)
    values = {"apart": generator.random(500) * 9, "tied": generator.integers(1, 4, 500), "equal": np.ones(500)}[kind]
    hashes = tie_break(0, map(str, range(500)))
    bounds = Halving(values.astype(float), hashes, 3, slack * generator.random(500))
    assert lazy(bounds, 120) == plain(values.astype(float), hashes, 3, 120)


def test_frames_that_come_back_are_seen(short_list):
    """The best half is forbidden for the first ten picks, as when a gap is halved."""
    values = np.random.default_rng(0).random(300)
    hashes = tie_break(0, map(str, range(300)))

    def allowed(k):
        return values < 0.5 if k < 10 else np.ones(300, dtype=bool)

    expected = plain(values, hashes, 2, 40, allowed)
    assert lazy(Halving(values, hashes, 2, np.full(300, 0.3)), 40, allowed) == expected
    assert values[expected[9]] < 0.5 <= values[expected[10]]


def test_few_values_are_asked_for():
    values = np.random.default_rng(0).random(20_000)
    bounds = Halving(values, tie_break(0, map(str, range(20_000))), 3, np.full(20_000, 1e-4))
    lazy(bounds, 100)
    assert bounds.asked < 100 * 30


def test_pending_counts_picks_that_some_bound_does_not_know_of():
    bounds = Halving(np.arange(10.0), tie_break(0, map(str, range(10))), 1, np.zeros(10))
    assert bounds.pending == 0
    bounds.add(3)
    bounds.add(7)
    assert bounds.pending == 2
    bounds.catch_up(np.array([0, 1]))
    assert bounds.pending == 2
    assert bounds.stale(np.array([0, 2])).tolist() == [False, True]
    bounds.catch_up()
    assert bounds.pending == 0
