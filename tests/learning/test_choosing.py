"""What rounds pick, of a whole run and of shorter ones."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from miniature import surgery
from miniature.rounds import picks

from mtal.acquisition import Random
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.trainer_settings import TrainerSettings

POOL = 2 * surgery.PER_PATIENT


class TestBudget:
    def test_exact_each_round_and_no_frame_twice(self, finished):
        rounds = picks(finished[0])
        assert [len(r) for r in rounds] == [6, 4, 4]
        assert len(set(itertools.chain(*rounds))) == 14

    def test_only_frames_of_the_pool(self, finished, dataset):
        pool = set(dataset.index.split("pool").frame_ids)
        assert set(itertools.chain(*picks(finished[0]))) <= pool
        scored = pd.read_parquet(finished[0] / "rounds" / "02" / "scores.parquet")["frame_id"]
        assert set(scored) == pool - set(itertools.chain(*picks(finished[0])[:2]))

    def test_oracle_is_never_asked_for_test_frames(self, finished, dataset):
        asked = set(itertools.chain(*finished[1].asked))
        assert asked == set(itertools.chain(*picks(finished[0])))
        assert not asked & set(dataset.index.split("test").frame_ids)

    def test_larger_than_the_pool(self, experiment):
        with pytest.raises(ValueError, match=re.escape("= 20 + 3 x 5 = 35 frames, but the pool has 32")):
            experiment(loop=LoopSettings(initial=20, batch=5, rounds=3))

    def test_whole_pool_in_rounds(self, experiment, start, tmp_path):
        quick = TrainerSettings(steps=1, batch_size=2, accelerator="cpu")
        start(experiment(loop=LoopSettings(initial=20, batch=6, rounds=2), trainer=quick), tmp_path)
        assert len(set(itertools.chain(*picks(tmp_path)))) == POOL

    def test_initial_all(self, experiment, start, tmp_path, dataset):
        quick = TrainerSettings(steps=1, batch_size=2, accelerator="cpu")
        start(experiment(loop=LoopSettings(initial="all", batch=4, rounds=0), trainer=quick), tmp_path)
        assert sorted(picks(tmp_path)[0]) == dataset.index.split("pool").frame_ids

    def test_all_leaves_nothing_for_more_rounds(self, experiment):
        with pytest.raises(ValueError, match=r"= 32 \+ 1 x 4 = 36 frames, but the pool has 32"):
            experiment(loop=LoopSettings(initial="all", batch=4, rounds=1))


class TestPicks:
    """What is kept of them is what reporting reads."""

    def test_picks(self, finished, tasks):
        names = [f"{what}/{t.name}/entropy" for t in tasks for what in ("score", "percentile")]
        plain = ["order", "frame_id", "patient", "video", "frame", "time_s", "file", "utility"]
        reason = ["reason_task", "reason_signal", "reason_percentile", "reason_because"]
        labels = ["asked/tools", "asked/bleeding", "asked/anatomy", "label/tools", "label/bleeding"]
        first, second = (pd.read_parquet(finished[0] / f"rounds/0{r}/picks.parquet") for r in (0, 1))
        assert list(first) == [*plain, *reason, *labels]
        assert list(second) == [*plain, *reason, *names, *labels]
        assert first["utility"].isna().all()
        assert second["order"].tolist() == [0, 1, 2, 3]
        assert second[[n for n in names if "percentile" in n]].to_numpy().max() <= 100

    def test_scores_agree_with_picks(self, finished):
        scores = pd.read_parquet(finished[0] / "rounds/01/scores.parquet").set_index("frame_id")
        picked = pd.read_parquet(finished[0] / "rounds/01/picks.parquet").set_index("frame_id")
        assert list(scores) == ["tools/entropy", "bleeding/entropy", "anatomy/entropy", "utility"]
        assert len(scores) == POOL - 6
        for column in ("tools/entropy", "bleeding/entropy", "anatomy/entropy"):
            assert scores.loc[picked.index, column].tolist() == picked[f"score/{column}"].tolist()
            # percentile by hand: share of the other frames that score lower, ties counting half
            for frame, value in picked[f"percentile/{column}"].items():
                mine, all_ = scores.loc[frame, column], scores[column]
                below = (all_ < mine).sum() + ((all_ == mine).sum() - 1) / 2
                assert value == pytest.approx(100 * below / (len(all_) - 1))
        assert scores.loc[picked.index, "utility"].tolist() == picked["utility"].tolist()

    def test_utility_is_the_mean_percentile(self, finished):
        """Percentile ranks, averaged over three heads of one signal each."""
        scores = pd.read_parquet(finished[0] / "rounds/02/scores.parquet")
        ranks = scores[["tools/entropy", "bleeding/entropy", "anatomy/entropy"]].rank().sub(1).div(len(scores) - 1)
        np.testing.assert_allclose(scores["utility"], ranks.mean(axis=1), atol=1e-12)

    def test_embeddings(self, finished, features, dataset):
        scores = pd.read_parquet(finished[0] / "rounds/01/scores.parquet")
        at = [dataset.index.frame_ids.index(f) for f in scores["frame_id"]]
        expected = features.batch(np.array(at))[-1].mean(dim=(2, 3)).numpy()
        stored = np.load(finished[0] / "rounds/01/embeddings.npy")
        np.testing.assert_allclose(stored, expected, rtol=2e-3, atol=1e-3)


class TestRandom:
    def test_needs_no_scoring(self, experiment, start, tmp_path, monkeypatch):
        monkeypatch.setattr("mtal.learning.looking.score_pool", lambda *args: pytest.fail("scored for nothing"))
        random = surgery.make_acquisition(selector=Random())
        start(experiment(acquisition=random, loop=LoopSettings(6, 4, 1)), tmp_path)
        assert not (tmp_path / "rounds/01/scores.parquet").exists()
        assert pd.read_parquet(tmp_path / "rounds/01/picks.parquet")["utility"].isna().all()

    def test_starts_as_every_other_selector_does(self, finished, experiment, start, tmp_path):
        random = surgery.make_acquisition(selector=Random())
        start(experiment(acquisition=random, loop=LoopSettings(6, 4, 0)), tmp_path)
        assert picks(tmp_path)[0] == picks(finished[0])[0]
