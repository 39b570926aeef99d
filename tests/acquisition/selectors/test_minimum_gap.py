import warnings

import numpy as np
import pytest

from mtal.acquisition.moments import Moments
from mtal.acquisition.selectors import Candidates, Constraint, MinimumGap, Random, tie_break


def moments(*pairs):
    return Moments(np.array([video for video, _ in pairs]), np.array([time for _, time in pairs], dtype=float))


def test_gap_holds_within_a_video_only():
    gap = MinimumGap(2.0, moments((0, 0), (0, 1.9), (0, 2.0), (1, 0), (1, 1)))
    gap.pick(0)
    assert gap.allowed().tolist() == [False, False, True, True, True]
    gap.pick(4)
    assert gap.allowed().tolist() == [False, False, True, False, False]


def test_gap_holds_against_labelled_frames():
    gap = MinimumGap(1.0, moments((0, 0), (0, 4.5), (0, 6), (1, 5), (2, 5)), labelled=moments((0, 5), (0, 0.5), (1, 9)))
    assert gap.allowed().tolist() == [False, False, True, True, True]


def test_gap_agrees_with_all_pairs():
    rng = np.random.default_rng(0)
    candidates = Moments(rng.integers(0, 3, 80), rng.uniform(0, 20, 80))
    labelled = Moments(rng.integers(0, 4, 12), rng.uniform(0, 20, 12))
    gap = MinimumGap(0.7, candidates, labelled)
    taken = list(zip(labelled.video, labelled.time_s, strict=True))
    picked = []
    for _ in range(12):
        expected = [
            all(v != video or abs(t - time) >= 0.7 for v, t in taken)
            for i, (video, time) in enumerate(zip(candidates.video, candidates.time_s, strict=True))
        ]
        assert gap.allowed().tolist() == expected
        picked.append(int(np.flatnonzero(expected)[-1]))
        gap.pick(picked[-1])
        taken.append((candidates.video[picked[-1]], candidates.time_s[picked[-1]]))


def test_rounded_times_are_a_whole_gap_apart():
    # 0.3 − 0.2 is 0.09999999999999998
    gap = MinimumGap(0.1, moments((0, 0.2), (0, 0.3)))
    gap.pick(0)
    assert gap.allowed().tolist() == [False, True]


def test_gap_is_halved_until_a_frame_is_free_and_says_so_once():
    # after 0, the farthest is 1.5 s away: 8, 4, 2, 1
    gap = MinimumGap(8.0, moments((0, 0), (0, 0.5), (0, 1.5), (0, 0.75)))
    constraint = Constraint(4, rules=[gap])
    constraint.pick(0)
    with pytest.warns(UserWarning, match=r"no frame is 8 s away.*3 remain") as caught:
        assert constraint.allowed().tolist() == [False, False, True, False]
    assert gap.seconds == 1.0
    constraint.pick(2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert constraint.allowed().tolist() == [False, True, False, True]  # ½ s
        constraint.pick(1)
        assert constraint.allowed().tolist() == [False, False, False, True]  # ¼ s
    assert gap.seconds == 0.25
    assert len(caught) == 1


def test_frames_at_the_very_same_moment_are_the_last_resort():
    gap = MinimumGap(1.0, moments((0, 3), (0, 3)), labelled=moments((0, 3)))
    with pytest.warns(UserWarning, match="halved"):
        assert Constraint(2, rules=[gap]).allowed().tolist() == [True, True]
    assert gap.seconds == 0.0


def test_no_warning_when_the_budget_is_met_just_in_time():
    """Warnings are errors here: the last pick leaves no frame far enough, but none is asked for."""
    gap = MinimumGap(1.0, moments((0, 0), (0, 0.5), (1, 0)))
    picks = Random()(Candidates(tie_break(0, "abc")), 2, np.random.default_rng(0), Constraint(3, rules=[gap]))
    assert len(picks) == 2
    assert 2 in picks


def test_zero_gap_allows_everything_once():
    constraint = Constraint(2, rules=[MinimumGap(0.0, moments((0, 0), (0, 0)))])
    constraint.pick(1)
    assert constraint.allowed().tolist() == [True, False]


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_impossible_gap_is_refused(seconds):
    with pytest.raises(ValueError, match="0 seconds or more"):
        MinimumGap(seconds, moments((0, 0)))


def test_halving_stops_as_soon_as_rounding_allows_a_frame():
    # 0.3 − 0.2 is 0.09999999999999998: at 0.1 s it is far enough, so 0.8 is halved three times and not four
    gap = MinimumGap(0.8, moments((0, 0.2), (0, 0.3)))
    constraint = Constraint(2, rules=[gap])
    constraint.pick(0)
    with pytest.warns(UserWarning, match="halved"):
        assert constraint.allowed().tolist() == [False, True]
    assert gap.seconds == pytest.approx(0.1)


def test_a_million_frames_are_a_matter_of_one_video():
    """500 picks touch the frames of their video only: far below what 500 passes over the pool take."""
    gap = MinimumGap(2.0, Moments(np.arange(10**6) // 5000, np.arange(10**6) % 5000 / 5))
    for i in range(0, 10**6, 2000):
        gap.pick(i)
    # of each pick 9 neighbours on either side are nearer than 2 s; the first frame of a video has them on one side
    near = sum(min(i % 5000, 9) + min(4999 - i % 5000, 9) + 1 for i in range(0, 10**6, 2000))
    assert int((~gap.allowed()).sum()) == near
