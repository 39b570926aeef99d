import pickle

import numpy as np
import pandas as pd
import torch
from miniature import surgery

from mtal.models import MultiTaskModel, build_encoder
from mtal.scoring.inputs import FeatureInputs
from mtal.scoring.neighbours import WithNeighbours, neighbours, with_neighbours
from mtal.scoring.shards import Shards
from mtal.scoring.work import PoolPass, Work

CPU = torch.device("cpu")


def test_by_time_within_a_recording():
    """Rows of two recordings in any order; a's times are 2, 5 and 9, b's 1 and 3."""
    table = pd.DataFrame(
        {"video": ["a", "b", "a", "b", "a"], "time_s": [5.0, 3.0, 2.0, 1.0, 9.0], "frame": [5, 3, 2, 1, 9]}
    )
    found = neighbours(table, 2, 1)
    assert found.tolist() == [[-1, 2, 4], [-1, 3, -1], [-1, -1, 0], [-1, -1, 1], [2, 0, -1]]


def test_as_a_slow_search_finds_them(dataset):
    table = dataset.index.table.sample(frac=1, random_state=0).reset_index(drop=True)
    found = neighbours(table, 3, 2)
    for row in range(len(table)):
        same = table[table["video"] == table["video"][row]].sort_values("time_s").index.tolist()
        at = same.index(row)
        for column, step in enumerate([-3, -2, -1, 1, 2]):
            expected = same[at + step] if 0 <= at + step < len(same) else -1
            assert found[row, column] == expected


class TestWithNeighbours:
    def test_vectors_stand_before_the_levels(self, features):
        pooled = np.arange(48 * 2, dtype=np.float32).reshape(48, 2)
        places = np.full((48, 3), -1)
        places[7] = [5, 6, -1]
        inputs = WithNeighbours(features, pooled, places)
        first, *levels = inputs.batch(np.array([7, 0]))
        assert first.tolist() == [[[10, 11, 1], [12, 13, 1], [0, 0, 0]], [[0, 0, 0]] * 3]
        for got, want in zip(levels, features.batch(np.array([7, 0])), strict=True):
            assert torch.equal(got, want)
        assert len(inputs) == 48

    def test_other_processes_are_sent_the_names_of_files(self, features, tasks, tmp_path):
        model, acquisition = surgery.make_model(tasks), surgery.make_acquisition()
        pooled = np.random.default_rng(0).random((48, 5000), dtype=np.float32)
        inputs = WithNeighbours(features, pooled, np.full((48, 3), 7))
        sizes = []
        for given in (features, inputs, inputs):
            what = PoolPass(tasks, given, np.arange(48), acquisition)
            packed = Work(what, Shards(tmp_path, "k", 48), CPU).packed(model)
            sizes.append(len(packed))
        assert max(sizes) - min(sizes) < 1000
        there = pickle.loads(packed)[0].what.inputs
        assert len(there) == 48
        assert there.key == inputs.key
        for got, want in zip(there.batch(np.array([7, 0])), inputs.batch(np.array([7, 0])), strict=True):
            assert torch.equal(got, want)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["places-k.npy", "pooled-k.npy"]

    def test_are_the_pooled_vectors_of_the_frames_around(self, dataset, frames, tasks, tmp_path):
        options = {"channels": 32, "hidden": 16, "frozen": True, "temporal": "tcn", "window": 2, "causal": True}
        model = MultiTaskModel(build_encoder(surgery.ENCODER), tasks, **options)
        features = FeatureInputs.compute(model, frames, tmp_path, CPU)
        inputs = with_neighbours(model, features, dataset.index.table, CPU)
        third = dataset.index.table.index[dataset.index.table["frame"] >= 2][0]
        vectors = inputs.batch(np.array([third]))[0]
        own = model.encoder.pool(features.batch(np.array([third - 2, third - 1])))
        torch.testing.assert_close(vectors[0, :, :-1], own)
        assert vectors[0, :, -1].tolist() == [1, 1]

    def test_a_model_that_looks_at_none(self, features, dataset, tasks):
        assert with_neighbours(surgery.make_model(tasks), features, dataset.index.table, CPU) is features
