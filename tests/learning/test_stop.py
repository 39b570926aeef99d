import json
import math
import re

import numpy as np
import pandas as pd
import pytest
import torch
from miniature import surgery

from mtal.acquisition import AnnotationCost, Entropy, Margin, Random, ScoreTable, TopK
from mtal.datasets.dataset import SurgicalDataset
from mtal.frames.index import FrameIndex
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.run_folder import RunFolder
from mtal.learning.stop import StopRule, reason, uncertainty
from mtal.learning.trainer_settings import TrainerSettings

QUICK = TrainerSettings(steps=1, batch_size=4, accelerator="cpu")
NAN = math.nan


class TestRule:
    @pytest.mark.parametrize(
        ("scores", "flat"),
        [
            ([0.5, 0.5], False),  # two rounds after the first are asked for
            ([0.5, 0.5, 0.5], True),
            ([0.5, 0.4, 0.505], True),  # no more than the tolerance
            ([0.5, 0.4, 0.52], False),
            ([0.5, 0.52, 0.4], False),  # it rose one round ago
            ([0.3, 0.6, 0.5, 0.59], True),
            ([NAN, NAN, 0.1], False),
            ([0.1, NAN, NAN], True),
        ],
    )
    def test_flat(self, scores, flat):
        assert StopRule(val_flat_rounds=2, val_tolerance=0.01).flat(scores) is flat
        assert not StopRule().flat(scores)

    def test_certain(self):
        assert StopRule(uncertainty_below=0.2).certain(0.19)
        assert not StopRule(uncertainty_below=0.2).certain(0.2)
        assert not StopRule(uncertainty_below=0.2).certain(NAN)
        assert not StopRule().certain(0.0)

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            (
                {"val_flat_rounds": 0},
                "val_flat_rounds must be a number of rounds of at least 1, or null, not 0",
            ),
            ({"val_flat_rounds": 1.5}, "val_flat_rounds must be .* not 1.5"),
            ({"val_tolerance": -0.1}, "loop.stop.val_tolerance must be at least 0 and below 1, not -0.1"),
            ({"uncertainty_below": 0.0}, "loop.stop.uncertainty_below must be above 0 and at most 1, not 0.0"),
        ],
    )
    def test_out_of_range(self, wrong, told):
        with pytest.raises(ValueError, match=told):
            StopRule(**wrong)

    def test_all_that_is_wrong_at_once(self):
        with pytest.raises(ValueError, match=r"^2 wrong options:\n.*val_tolerance must.*\n.*uncertainty_below must.*$"):
            StopRule(val_tolerance=2, uncertainty_below=2)

    def test_what_it_reads_must_be_there(self):
        entropy = surgery.make_acquisition()
        StopRule(val_flat_rounds=2, uncertainty_below=0.1).check(entropy, val_frames=1)
        with pytest.raises(ValueError, match="val_flat_rounds reads the split val, and no frame is in it"):
            StopRule(val_flat_rounds=2).check(entropy, val_frames=0)
        rule = StopRule(uncertainty_below=0.1)
        with pytest.raises(ValueError, match=r"reads the entropy of the pool: choose acquisition/signals=entropy"):
            rule.check(surgery.make_acquisition(signals={"margin": Margin()}), val_frames=0)
        with pytest.raises(ValueError, match="entropy of the pool: choose a selector that looks at the pool"):
            rule.check(surgery.make_acquisition(selector=Random()), val_frames=0)


def test_uncertainty_is_the_mean_entropy_of_heads_with_labels():
    made = surgery.make_acquisition(signals={"entropy": Entropy(), "margin": Margin()})
    columns = (("a", "entropy"), ("a", "margin"), ("b", "entropy"), ("c", "entropy"))
    table = ScoreTable(columns, torch.tensor([[0.2, 9.0, 0.6, 1.0], [0.4, 9.0, 0.8, 1.0]], dtype=torch.float64))
    assert uncertainty(made, table, silent=("c",)) == pytest.approx((0.3 + 0.7) / 2)
    assert math.isnan(uncertainty(made, table, silent=("a", "b", "c")))


@pytest.fixture(scope="module")
def with_val(dataset) -> SurgicalDataset:
    """Patient b is held out for validation."""
    table = dataset.index.table
    index = FrameIndex(table.assign(split=np.where(table["patient"] == "b", "val", table["split"])))
    return SurgicalDataset(dataset.name, index, dataset.label_maps, dataset.labels)


def noted(run) -> dict:
    return json.loads((run / "stopped.json").read_text())


def metrics(run) -> list[dict]:
    return [json.loads(f.read_text()) for f in sorted(run.glob("rounds/*/metrics.json"))]


class TestVal:
    def test_is_measured_beside_test(self, with_val, experiment, start, tmp_path):
        start(experiment(dataset=with_val, loop=LoopSettings(4, 3, 1), trainer=QUICK), tmp_path)
        for told in metrics(tmp_path):
            assert told["val"].keys() == told["metrics"].keys()
            assert told["val"]["joint"] != told["metrics"]["joint"]

    def test_is_absent_where_there_is_none(self, experiment, start, tmp_path):
        start(experiment(loop=LoopSettings(4, 3, 0), trainer=QUICK), tmp_path)
        assert "val" not in metrics(tmp_path)[0]

    def test_flat_stops_and_a_changed_rule_goes_on(self, with_val, experiment, start, tmp_path, monkeypatch):
        def loop(rounds, **stop):
            return experiment(dataset=with_val, trainer=QUICK, loop=LoopSettings(4, 1, rounds, stop=StopRule(**stop)))

        never_risen = {"val_flat_rounds": 2, "val_tolerance": 0.99}
        start(loop(5, **never_risen), tmp_path)
        assert len(metrics(tmp_path)) == 3
        why = "the joint score of val has not risen by more than 0.99 for 2 rounds"
        assert noted(tmp_path) == {"rounds": 3, "reason": why, "looked": False, "uncertainty": None}
        with monkeypatch.context() as patched:
            patched.setattr("mtal.learning.trainings.fit_judged", lambda *args, **kwargs: pytest.fail("trained on"))
            start(loop(9, **never_risen), tmp_path)
        start(loop(4, val_flat_rounds=5), tmp_path)  # loosened
        assert len(metrics(tmp_path)) == 5
        assert not (tmp_path / "stopped.json").exists()
        assert reason(RunFolder(tmp_path), StopRule(**never_risen)) == why  # tightened: no round is taken back


class TestCertainPool:
    def rule(self, below):
        return LoopSettings(4, 3, 3, stop=StopRule(uncertainty_below=below))

    def test_stops_before_labels_are_asked_for(self, experiment, start, dataset, tmp_path, monkeypatch):
        start(experiment(loop=self.rule(1.0), trainer=QUICK), tmp_path)
        assert len(metrics(tmp_path)) == 1
        assert [p.name for p in (tmp_path / "rounds").iterdir()] == ["00"]
        told = noted(tmp_path)
        assert re.fullmatch(r"the mean entropy of the pool is 0\.\d{3}, below 1", told["reason"])
        with monkeypatch.context() as patched:
            patched.setattr("mtal.learning.looking.score_pool", lambda *args, **kwargs: pytest.fail("scored again"))
            start(experiment(loop=self.rule(1.0), trainer=QUICK), tmp_path)
        start(experiment(loop=self.rule(told["uncertainty"] / 2), trainer=QUICK), tmp_path)
        assert len(metrics(tmp_path)) > 1


class TestPoolUsedUp:
    @pytest.mark.filterwarnings("ignore:the budget is")
    def test_by_seconds_ends_well(self, experiment, start, tmp_path):
        seconds = surgery.make_acquisition(cost=AnnotationCost(), selector=TopK())
        made = experiment(acquisition=seconds, loop=LoopSettings(20, 4, 5, batch_seconds=600.0), trainer=QUICK)
        start(made, tmp_path)
        rounds = metrics(tmp_path)
        assert rounds[-1]["labelled"] == 2 * surgery.PER_PATIENT
        assert len(rounds) < 6
        assert noted(tmp_path)["reason"] == "all 32 frames of the pool are labelled"
        picked = pd.concat(pd.read_parquet(f) for f in tmp_path.glob("rounds/*/picks.parquet"))
        assert picked["frame_id"].nunique() == len(picked) == 32

    @pytest.mark.filterwarnings("ignore:the budget is")
    def test_no_frame_is_cheap_enough(self, experiment, start, tmp_path, monkeypatch):
        seconds = surgery.make_acquisition(cost=AnnotationCost(), selector=TopK())
        made = experiment(acquisition=seconds, loop=LoopSettings(4, 4, 2, batch_seconds=1.0), trainer=QUICK)
        start(made, tmp_path)
        assert len(metrics(tmp_path)) == 1
        told = "no frame is left that the budget and the rules of acquisition allow to pick"
        assert noted(tmp_path)["reason"] == told
        monkeypatch.setattr("mtal.learning.looking.score_pool", lambda *args, **kwargs: pytest.fail("scored again"))
        start(made, tmp_path)

    def test_at_the_last_round_is_no_early_stop(self, experiment, start, tmp_path):
        start(experiment(loop=LoopSettings(20, 6, 2), trainer=QUICK), tmp_path)
        assert not (tmp_path / "stopped.json").exists()
