"""What scores are put in relation to: a video, an earlier round; and what becomes of those that are not there."""

import math
from dataclasses import replace

import numpy as np
import pytest
from axioms.selectors import frame_ids

from mtal.acquisition import (
    Bounds,
    Candidates,
    MinMax,
    tie_break,
)

from .test_acquisition import acquisition, table


class TestStatistics:
    scores = table(tools_entropy=[0.0, 0.2, 0.5, 1.0])

    def test_per_video(self):
        chooser = acquisition(normalizer=MinMax(), per_video=True)
        utility = chooser.utility(replace(self.scores, videos=np.array([4, 4, 7, 7])))
        assert utility.tolist() == [0.0, 1.0, 0.0, 1.0]

    def test_per_video_without_videos_is_refused(self):
        with pytest.raises(ValueError, match="per_video normalises each video by itself"):
            acquisition(per_video=True).utility(self.scores)

    def test_reference_of_an_earlier_round(self):
        # 0 to 2 there: halves here
        earlier = table(tools_entropy=[0.0, 2.0])
        assert acquisition(normalizer=MinMax()).utility(self.scores, reference=earlier).tolist() == [0, 0.1, 0.25, 0.5]

    def test_reference_per_video(self):
        videos = np.array([0, 0, 1, 1])
        now, earlier = (replace(t, videos=videos) for t in (self.scores, table(tools_entropy=[0.0, 0.4, 0.0, 2.0])))
        utility = acquisition(normalizer=MinMax(), per_video=True).utility(now, reference=earlier)
        assert utility.tolist() == [0.0, 0.5, 0.25, 0.5]

    def test_missing_scores_of_the_reference_are_left_out(self):
        earlier = table(tools_entropy=[0.0, math.nan, 2.0])
        assert acquisition(normalizer=MinMax()).utility(self.scores, reference=earlier)[-1] == 0.5

    def test_reference_of_other_columns_is_refused(self):
        with pytest.raises(ValueError, match="the reference has the columns"):
            acquisition().utility(self.scores, reference=table(tools_margin=[0.0, 1.0]))

    def test_bounds_know_the_range_of_each_signal(self):
        assert acquisition(normalizer=Bounds()).utility(self.scores).tolist() == [0.0, 0.2, 0.5, 1.0]


class TestNanPolicy:
    made = table(tools_entropy=[0.2, math.nan, 0.6, 0.4], anatomy_entropy=[0.0, 1.0, 1.0, 0.1])

    def test_raise(self):
        with pytest.raises(ValueError, match="tools/entropy has 1 of 4"):
            acquisition().utility(self.made)

    def test_neutral(self):
        with pytest.warns(UserWarning, match="NaN in tools/entropy: 1 of 4 frames are given the median"):
            utility = acquisition(nan_policy="neutral").utility(self.made)
        assert utility.tolist() == pytest.approx([0.1, 0.7, 0.8, 0.25])

    def test_pitfall_8_dropped_frames_are_never_picked(self):
        chooser = acquisition(nan_policy="drop_frame")
        with pytest.warns(UserWarning, match="1 of 4 frames are left out"):
            utility = chooser.utility(self.made)
        assert utility.isnan().tolist() == [False, True, False, False]
        candidates = Candidates(tie_break(0, frame_ids(4)), utility=utility)
        assert chooser.select(candidates, 3, np.random.default_rng(0)).tolist() == [2, 3, 0]
        with pytest.warns(UserWarning, match="only 3 are left"):
            assert len(chooser.select(candidates, 4, np.random.default_rng(0))) == 3

    def test_every_frame_dropped(self):
        with pytest.warns(UserWarning, match="2 of 2 frames are left out"):
            utility = acquisition(nan_policy="drop_frame").utility(table(tools_entropy=[math.nan] * 2))
        assert utility.isnan().all()
