import numpy as np
import pandas as pd
import pytest
import torch
from miniature import surgery
from safetensors.torch import load_file

from mtal.datasets.dataset import SurgicalDataset
from mtal.frames.index import FrameIndex
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.trainer_settings import TrainerSettings


class TestMinimumGap:
    def test_kept_between_rounds_too(self, experiment, start, tmp_path):
        made = experiment(acquisition=surgery.make_acquisition(minimum_gap_s=2.0), loop=LoopSettings(4, 3, 2))
        start(made, tmp_path)
        for _, video in pd.concat(pd.read_parquet(f) for f in sorted(tmp_path.glob("rounds/*/picks.parquet"))).groupby(
            "video"
        ):
            assert np.diff(np.sort(video["time_s"])).min() >= 2


class TestWrongSettings:
    def test_tables(self):
        with pytest.raises(ValueError, match=r"loop\.keep_tables_gib must be 0 or more, or null to keep all, not -1"):
            LoopSettings(keep_tables_gib=-1)

    def test_all_at_once(self):
        told = (
            r"^4 wrong options:\n.*loop\.initial must.*\n.*batch_seconds must.*\n.*loop\.test_frames.*\n.*folds must.*$"
        )
        with pytest.raises(ValueError, match=told):
            LoopSettings(initial=0, batch_seconds=0, test_frames=0, folds=1)

    def test_weighting(self, experiment):
        with pytest.raises(ValueError, match=r"tasks\.weighting must be fixed or uncertainty, not 'none'"):
            experiment(weighting="none")

    def test_split_without_test_frames(self, dataset, experiment):
        pool = FrameIndex(dataset.index.table.assign(split="pool"))
        with pytest.raises(
            ValueError, match=r"'miniature' needs frames to learn from and to test on: see data\.test_patients"
        ):
            experiment(dataset=SurgicalDataset("miniature", pool, dataset.label_maps, dataset.labels))


def test_frozen_and_free_encoders_are_both_kept_whole(tasks, frames, dataset, tmp_path):
    """Round r loads what round r - 1 kept; a free encoder must be part of it."""
    from mtal.learning.run_folder import RunFolder
    from mtal.scoring.inputs import FrameInputs

    made = surgery.make_experiment(
        dataset,
        frames,
        FrameInputs(frames),
        make_model=lambda: surgery.make_model(tasks, frozen=False),
        trainer=TrainerSettings(steps=1, batch_size=2, accelerator="cpu"),
        loop=LoopSettings(4, 2, 1),
    )
    folder = RunFolder(tmp_path)
    folder.open({}, {}, dataset.index)
    made.run(folder)
    state = load_file(tmp_path / "rounds/00/model.safetensors")
    fresh = surgery.make_model(tasks, frozen=False).state_dict()
    assert set(state) == set(fresh)
    assert any(k.startswith("encoder.") and not torch.equal(v, fresh[k]) for k, v in state.items())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"initial": 0}, "loop.initial must be a number of frames or 'all', not 0"),
        ({"initial": "some"}, "or 'all', not 'some'"),
        ({"initial": True}, "or 'all', not True"),
        ({"batch": 0}, "loop.batch must be ≥ 1"),
        ({"rounds": -1}, "loop.rounds ≥ 0, not 24 and -1"),
    ],
)
def test_wrong_numbers(wrong, message):
    with pytest.raises(ValueError, match=message):
        LoopSettings(**wrong)
