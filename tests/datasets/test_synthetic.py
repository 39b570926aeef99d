import shutil

import numpy as np
import pytest

from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_map import IGNORE
from mtal.datasets.surgery.names import GRAY, LABEL_MAPS, ORGANS
from mtal.datasets.surgery.render import Surgery
from mtal.datasets.synthetic import load

ARGUMENTS = {"patients": 3, "test_patients": 1, "seconds": 4.0, "fps": 5, "size": 64, "seed": 3}


class TestLoad:
    def test_frames_at_one_hertz(self, small_set):
        dataset = load(small_set, **ARGUMENTS)
        assert isinstance(dataset, SurgicalDataset)
        table = dataset.index.table
        assert table["frame"].tolist() == [0, 5, 10, 15] * 3
        np.testing.assert_allclose(table["time_s"], [0.0, 1.0, 2.0, 3.0] * 3)
        assert table["source"].tolist() == [
            str(small_set / "cholec80/videos" / f"video0{p}.mp4") for p in (1, 2, 3) for _ in range(4)
        ]

    def test_splits_are_by_patient(self, small_set):
        table = load(small_set, **ARGUMENTS).index.table
        splits = table.groupby("patient")["split"].unique()
        assert {patient: list(s) for patient, s in splits.items()} == {
            "video01": ["pool"],
            "video02": ["pool"],
            "video03": ["test"],
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
        assert set(np.unique(masks)) <= {*range(9), IGNORE}
        assert dataset.label_maps[:3] == LABEL_MAPS
        assert [m.task for m in dataset.label_maps] == ["tools", "bleeding", "anatomy", "phase"]

    def test_labels_are_those_that_were_drawn(self, small_set):
        dataset = load(small_set, **ARGUMENTS)
        drawn = list(Surgery(3, 1, 4.0, 5, 64).frames())[::5]
        ids = [f"video02/{k:06d}" for k in (0, 5, 10, 15)]
        assert dataset.labels.targets("tools", ids).tolist() == [list(f.tools) for f in drawn]
        assert dataset.labels.targets("bleeding", ids).tolist() == [[f.bleeding] for f in drawn]
        gray = {GRAY[organ]: number for number, organ in enumerate(ORGANS)}
        masks = np.vectorize(lambda g: gray.get(g, IGNORE))(np.array([f.mask for f in drawn]))
        np.testing.assert_array_equal(dataset.labels.targets("anatomy", ids, (64, 64)), masks)

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

    def test_patients_of_val_are_those_before_the_test_patients(self, small_set):
        table = load(small_set, **ARGUMENTS, val_patients=1).index.table
        assert table.groupby("video")["split"].first().tolist() == ["pool", "val", "test"]
        with pytest.raises(ValueError, match="test_patients=1 and val_patients=2 of patients=3 leaves nobody"):
            load(small_set, **ARGUMENTS, val_patients=2)
