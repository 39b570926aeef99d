"""Heads of which nobody has a label."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from miniature import surgery
from miniature.rounds import read

from mtal.acquisition import TopK
from mtal.annotation import SimulatedOracle
from mtal.datasets.label_map import IGNORE
from mtal.learning.loop_settings import LoopSettings


class Blind(SimulatedOracle):
    """Sees no bleeding."""

    def label(self, frame_ids, size):
        labels = super().label(frame_ids, size)
        return {**labels, "bleeding": np.full_like(labels["bleeding"], IGNORE)}


class TestHeadWithoutLabels:
    def test_has_no_say_and_is_warned_of(self, dataset, experiment, start, tmp_path):
        with pytest.warns(
            UserWarning,
            match="bleeding: no label so far, or none left to ask for, or a weight of 0, so no say in this round",
        ):
            start(experiment(oracle=Blind(dataset), loop=LoopSettings(6, 4, 1)), tmp_path)
        scores = pd.read_parquet(tmp_path / "rounds/01/scores.parquet")
        ranks = scores[["tools/entropy", "anatomy/entropy"]].rank().sub(1).div(len(scores) - 1)
        np.testing.assert_allclose(scores["utility"], ranks.mean(axis=1), atol=1e-12)
        assert read(tmp_path, 1)["class_counts"]["bleeding"] == {"bleeding": 0}

    @pytest.mark.filterwarnings("ignore:bleeding. no label so far")
    @pytest.mark.parametrize("why", ["no label", "no weight"])
    def test_what_it_says_of_a_frame_reaches_no_selector(self, dataset, tasks, experiment, start, tmp_path, why):
        """Members, gradients and posteriors of a head that nobody trains are noise."""

        given = []

        class Spy(TopK):
            needs = frozenset({"utility", "members", "fisher", "posterior"})

            def choose(self, candidates, budget, generator, constraint):
                given.append(candidates)
                return super().choose(candidates, budget, generator, constraint)

            def at_once(self, candidates, budget, free):
                return None

        options = {"oracle": Blind(dataset)} if why == "no label" else {}
        if why == "no weight":
            options["tasks"] = [replace(t, weight=0.0) if t.name == "bleeding" else t for t in tasks]
        acquisition = surgery.make_acquisition(selector=Spy())
        start(experiment(acquisition=acquisition, loop=LoopSettings(6, 4, 1), **options), tmp_path)
        (candidates,) = given
        assert set(candidates.members) == {"tools"}  # anatomy has no frame-wise members
        assert set(candidates.fisher) == set(candidates.labelled_fisher) == {"tools", "anatomy"}
        assert set(candidates.posterior) == {"tools", "anatomy"}
        picks = pd.read_parquet(tmp_path / "rounds/01/picks.parquet")
        assert set(picks["reason_task"]) <= {"tools", "anatomy"}
        scores = pd.read_parquet(tmp_path / "rounds/01/scores.parquet")
        ranks = scores[["tools/entropy", "anatomy/entropy"]].rank().sub(1).div(len(scores) - 1)
        np.testing.assert_allclose(scores["utility"], ranks.mean(axis=1), atol=1e-12)

    def test_test_split_without_labels_of_a_head(self, experiment, start, tmp_path, monkeypatch):
        made = experiment(loop=LoopSettings(6, 4, 0))
        held_out = made.held_out_frames
        known = held_out.targets("test")
        none = np.full_like(known["bleeding"], IGNORE)
        monkeypatch.setattr(held_out, "targets", lambda split: {**known, "bleeding": none})
        metrics = start(made, tmp_path)
        assert metrics["bleeding/AP"] is None
        assert metrics["joint"] == pytest.approx((metrics["tools/mAP"] + metrics["anatomy/mIoU"]) / 2)
