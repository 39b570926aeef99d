import numpy as np
from agreement import record
from axioms.selectors import SelectorAxioms

from mtal.acquisition.moments import Moments
from mtal.acquisition.selectors import Candidates, UniformInTime


class TestUniformInTime(SelectorAxioms):
    selector = UniformInTime()


def test_a_later_round_goes_on_between_the_labelled_frames():
    """Rounds of any size pick the frames of one pass, also once the ends of a video are labelled."""
    rng = np.random.default_rng(3)
    moments = Moments(rng.integers(0, 3, 60), np.round(rng.uniform(0, 60, 60), 1))
    hashes = rng.permutation(60).astype(np.uint64)
    at_once = UniformInTime()(Candidates(hashes, moments=moments), 60, np.random.default_rng(0)).tolist()
    picked = []
    for size in (1, 4, 7, 30, 18):
        left = np.setdiff1d(np.arange(60), picked)
        candidates = Candidates(
            hashes[left], moments=moments.take(left), labelled_moments=moments.take(np.array(picked, dtype=np.int64))
        )
        picked += left[UniformInTime()(candidates, size, np.random.default_rng(0)).numpy()].tolist()
    assert picked == at_once


def pick(moments, budget, seed=0):
    hashes = np.random.default_rng(seed).permutation(len(moments)).astype(np.uint64)
    return UniformInTime()(Candidates(hashes, moments=moments), budget, np.random.default_rng(0)).tolist()


def brute_force(moments, budget, hashes):
    """Spacings of all frames anew for each pick, from the definition."""
    picks = []
    for _ in range(budget):
        spacings = []
        for i, (video, t) in enumerate(zip(moments.video, moments.time_s, strict=True)):
            times = moments.time_s[moments.video == video]
            picked = [moments.time_s[j] for j in picks if moments.video[j] == video]
            before = [t - p for p in picked if p <= t] + [2 * (t - times.min())]
            after = [p - t for p in picked if p >= t] + [2 * (times.max() - t)]
            spacings.append(-1 if i in picks else min(*before, *after))
        best = max(spacings)
        picks.append(min((i for i in range(len(spacings)) if spacings[i] == best), key=lambda i: hashes[i]))
    return picks


def test_agrees_with_brute_force():
    rng = np.random.default_rng(1)
    for _ in range(5):
        moments = Moments(rng.integers(0, 4, 50), np.round(rng.uniform(0, 60, 50), 1))
        hashes = rng.permutation(50).astype(np.uint64)
        picks = UniformInTime()(Candidates(hashes, moments=moments), 15, np.random.default_rng(0)).tolist()
        expected = brute_force(moments, 15, hashes)
        record("uniform in time", "brute force over all spacings", float(picks != expected))
        assert picks == expected


def test_first_picks_of_a_video():
    # 0 … 12 s: the middle; then 1/6 and 5/6, each 4 s from the middle and 2 s from an end
    moments = Moments(np.zeros(13), np.arange(13))
    picks = pick(moments, 3)
    assert picks[0] == 6
    assert sorted(picks[1:]) == [2, 10]


def test_frames_are_in_proportion_to_duration():
    # 900, 300 and 100 s
    moments = Moments(np.repeat([0, 1, 2], [901, 301, 101]), np.concatenate([np.arange(n) for n in (901, 301, 101)]))
    for budget in (13, 26, 39, 65):
        counts = np.bincount(moments.video[pick(moments, budget)])
        assert np.abs(counts - budget * np.array([9, 3, 1]) / 13).max() <= 2


def test_sampling_rate_does_not_matter():
    # the first video is sampled ten times as densely
    moments = Moments(np.repeat([0, 1], [1001, 101]), np.concatenate([np.linspace(0, 100, 1001), np.arange(101)]))
    assert np.bincount(moments.video[pick(moments, 10)]).tolist() == [5, 5]


def test_gaps_are_at_most_twice_the_even_spacing():
    moments = Moments(np.zeros(1001), np.arange(1001))
    for budget in (2, 7, 20, 50):
        times = np.sort(moments.time_s[pick(moments, budget)])
        assert np.diff(times).max() <= 2 * 1000 / budget
