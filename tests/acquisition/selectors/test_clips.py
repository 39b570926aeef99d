import numpy as np
import pytest
import torch
from axioms.selectors import SelectorAxioms

from mtal.acquisition.moments import Moments
from mtal.acquisition.selectors import Candidates, Clips, Constraint, MinimumGap


class TestClips(SelectorAxioms):
    selector = Clips(clip_s=5.0)
    prefix_stable = False


class TestClipsByTopFraction(SelectorAxioms):
    selector = Clips(clip_s=5.0, top_fraction=0.3)
    prefix_stable = False


def select(utility, times, budget, video=None, constraint=None, **parameters):
    moments = Moments(np.zeros(len(times)) if video is None else np.array(video), np.array(times, dtype=float))
    utility = torch.tensor(utility, dtype=torch.float64)
    candidates = Candidates(np.arange(len(times), dtype=np.uint64)[::-1].copy(), utility=utility, moments=moments)
    return Clips(**parameters)(candidates, budget, np.random.default_rng(0), constraint).tolist()


def test_whole_clips_in_time_order():
    # means 0.5, 0.6 and 0.55 of the clips 0–10, 10–20 and 20–30 s; the rows are not in time order
    utility = [0.3, 0.6, 0.7, 0.6, 0.4, 0.7]
    times = [9.9, 10, 1, 19, 20, 29]
    assert select(utility, times, 6) == [1, 3, 4, 5, 2, 0]


def test_videos_do_not_share_clips():
    # 0.9 and 0.1 are of two videos; together they would have the lowest mean
    assert select([0.9, 0.1, 0.6, 0.6], [1, 2, 11, 12], 3, video=[0, 1, 0, 0]) == [0, 2, 3]


def test_top_fraction_is_that_of_the_clip():
    # top half: (0.9 + 0.1)/2 = 0.5 of the first, (0.45 + 0.45)/2 of the second; means are 0.25 and 0.45
    utility, times = [0.9, 0.1, 0.0, 0.0, 0.45, 0.45, 0.45, 0.45], [0, 1, 2, 3, 10, 11, 12, 13]
    assert select(utility, times, 4, top_fraction=0.5) == [0, 1, 2, 3]
    assert select(utility, times, 4) == [4, 5, 6, 7]
    assert select(utility, times, 4, top_fraction=0.01) == [0, 1, 2, 3]  # at least one frame


def test_fraction_is_not_rounded_up_by_floating_point():
    # 0.2 · 15 = 3.0000000000000004: three frames, mean 1, not four, mean 0.75
    utility = [1.0, 1.0, 1.0] + [0.0] * 12 + [0.9] * 15
    times = list(range(15)) + list(range(20, 35))
    assert 0.07 * 100 > 7
    assert select(utility, times, 1, clip_s=20.0, top_fraction=0.2)[0] < 15
    utility = [1.0] * 7 + [0.0] * 93 + [0.9] * 100
    times = [*np.arange(100) / 10, *(np.arange(100) / 10 + 10)]
    assert select(utility, times, 1, top_fraction=0.07)[0] < 100


def test_last_clip_is_cut_to_evenly_spaced_frames():
    # 4 of 10 frames: places 1.25, 3.75, 6.25 and 8.75
    assert select([0.5] * 10, list(range(10)), 4) == [1, 3, 6, 8]
    assert select([0.5] * 10, list(range(10)), 1) == [5]
    assert select([0.5] * 10 + [0.9], [*range(10), 10], 3) == [10, 2, 7]


def test_excluded_frames_do_not_count_for_the_clip():
    utility, times = [0.9, 0.0, 0.5, 0.5], [0, 1, 10, 11]
    excluded = np.array([True, False, False, False])
    assert select(utility, times, 3, constraint=Constraint(4, excluded)) == [2, 3, 1]


def test_clips_without_a_free_frame_are_left_out():
    utility, times = [0.9, 0.8, 0.1, 0.9], [20, 0, 10, 20]
    assert select(utility, times, 2, constraint=Constraint(4, np.array([True, False, False, True]))) == [1, 2]


def test_gap_thins_out_the_clip():
    moments = Moments(np.zeros(8), np.array([0, 1, 2, 3, 10, 11, 12, 13]))
    constraint = Constraint(8, rules=[MinimumGap(2.0, moments)])
    assert select([0.9] * 4 + [0.5] * 4, moments.time_s, 4, constraint=constraint) == [0, 2, 5, 7]


def test_negative_utilities_are_fine():
    assert select([-3.0, -1.0, -2.5], [0, 10, 20], 2) == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clip_s": 0.0}, "clip_s of clips must be above 0 seconds, not 0"),
        ({"top_fraction": 0.0}, r"top_fraction of clips must be in \(0, 1\], not 0"),
        ({"top_fraction": 1.5}, "top_fraction of clips"),
    ],
)
def test_impossible_parameters_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Clips(**arguments)
