import shutil

import numpy as np
import pytest

from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_map import IGNORE
from mtal.datasets.synthetic import load, sampled_frames

ARGUMENTS = {"patients": 3, "test_patients": 1, "seconds": 4.0, "fps": 5, "size": 64, "seed": 3}


class TestLoad:
    def test_frames_at_one_hertz(self, small_set):
        dataset = load(small_set, **ARGUMENTS)
        assert isinstance(dataset, SurgicalDataset)
        table = dataset.index.table
        assert table["frame"].tolist() == [0, 5, 10, 15] * 3
        np.testing.assert_allclose(table["time_s"], [0.0, 1.0, 2.0, 3.0] * 3)
        assert table["source"].tolist() == [
            str(small_set / "videos" / f"patient0{p}.mp4") for p in (1, 2, 3) for _ in range(4)
        ]

    def test_splits_are_by_patient(self, small_set):
        table = load(small_set, **ARGUMENTS).index.table
        splits = table.groupby("patient")["split"].unique()
        assert {patient: list(s) for patient, s in splits.items()} == {
            "patient01": ["pool"],
            "patient02": ["pool"],
            "patient03": ["test"],
        }

    def test_labels(self, small_set):
        dataset = load(small_set, rate_hz=5.0, **ARGUMENTS)
        ids = dataset.index.frame_ids
        assert len(ids) == 60
        tools, bleeding = dataset.labels.targets("tools", ids), dataset.labels.targets("bleeding", ids)
        masks = dataset.labels.targets("anatomy", ids, (32, 32))
        assert tools.shape == (60, 7)
        assert bleeding.shape == (60, 1)
        assert masks.shape == (60, 32, 32)
        assert set(np.unique(tools)) == {0, 1}
        assert set(np.unique(bleeding)) <= {0, 1}
        assert set(np.unique(masks)) <= {*range(7), IGNORE}
        assert [m.task for m in dataset.label_maps] == ["tools", "bleeding", "anatomy"]

    def test_draws_what_is_not_there_and_says_so_once(self, tmp_path, capsys):
        arguments = {**ARGUMENTS, "patients": 2, "seconds": 1.0}
        for _ in range(2):
            assert len(load(tmp_path / "new", workers=1, **arguments).index) == 2
        captured = capsys.readouterr()
        assert captured.err.count("drawing the synthetic surgery") == 1
        assert captured.out == ""

    def test_a_moved_set_is_read_where_it_is(self, small_set, tmp_path):
        moved = tmp_path / "moved"
        shutil.copytree(small_set, moved)
        dataset = load(moved, **ARGUMENTS)
        assert dataset.index.table["source"].str.startswith(str(moved)).all()
        dataset.labels.targets("anatomy", dataset.index.frame_ids, (64, 64))

    def test_other_arguments_are_refused(self, small_set):
        with pytest.raises(ValueError, match="seed=3, now seed=4"):
            load(small_set, **{**ARGUMENTS, "seed": 4})

    @pytest.mark.parametrize("rate_hz", [0.0, 5.1])
    def test_rate_out_of_range(self, small_set, rate_hz):
        with pytest.raises(ValueError, match=f"rate_hz={rate_hz}"):
            load(small_set, **ARGUMENTS, rate_hz=rate_hz)

    @pytest.mark.parametrize("held_out", [-1, 3])
    def test_nobody_left_for_the_pool(self, small_set, held_out):
        with pytest.raises(ValueError, match=f"test_patients={held_out}"):
            load(small_set, **{**ARGUMENTS, "test_patients": held_out})


def test_sampled_frames_by_hand():
    # 6 frames per second at 4 Hz: 0, 1.5, 3, 4.5, 6, 7.5, halves up
    assert sampled_frames(8, fps=6, rate_hz=4.0).tolist() == [0, 2, 3, 5, 6]
    assert sampled_frames(3, fps=6, rate_hz=6.0).tolist() == [0, 1, 2]
    assert sampled_frames(13, fps=6, rate_hz=0.5).tolist() == [0, 12]
