"""Heads of which nobody has a label."""

import numpy as np
import pandas as pd
import pytest

from mtal.annotation import SimulatedOracle
from mtal.datasets.label_map import IGNORE
from mtal.learning.loop_settings import LoopSettings

from .test_loop import read


class TestHeadWithoutLabels:
    @pytest.mark.filterwarnings("ignore:bleeding. no label so far")
    def test_has_no_say(self, dataset, experiment, start, tmp_path):
        class Blind(SimulatedOracle):
            def label(self, frame_ids, size):
                labels = super().label(frame_ids, size)
                return {**labels, "bleeding": np.full_like(labels["bleeding"], IGNORE)}

        start(experiment(oracle=Blind(dataset), loop=LoopSettings(6, 4, 1)), tmp_path)
        scores = pd.read_parquet(tmp_path / "rounds/01/scores.parquet")
        ranks = scores[["tools/entropy", "anatomy/entropy"]].rank().sub(1).div(len(scores) - 1)
        np.testing.assert_allclose(scores["utility"], ranks.mean(axis=1), atol=1e-12)
        assert read(tmp_path, 1)["class_counts"]["bleeding"] == {"bleeding": 0}

    def test_is_warned_of(self, dataset, experiment, start, tmp_path):
        class Blind(SimulatedOracle):
            def label(self, frame_ids, size):
                labels = super().label(frame_ids, size)
                return {**labels, "bleeding": np.full_like(labels["bleeding"], IGNORE)}

        with pytest.warns(
            UserWarning, match="bleeding: no label so far, or none left to ask for, so no say in this round"
        ):
            start(experiment(oracle=Blind(dataset), loop=LoopSettings(6, 4, 1)), tmp_path)

    def test_test_split_without_labels_of_a_head(self, experiment, start, tmp_path, monkeypatch):
        made = experiment(loop=LoopSettings(6, 4, 0))
        held_out = made.held_out_frames
        known = held_out.targets("test")
        none = np.full_like(known["bleeding"], IGNORE)
        monkeypatch.setattr(held_out, "targets", lambda split: {**known, "bleeding": none})
        metrics = start(made, tmp_path)
        assert metrics["bleeding/AP"] is None
        assert metrics["joint"] == pytest.approx((metrics["tools/mAP"] + metrics["anatomy/mIoU"]) / 2)
