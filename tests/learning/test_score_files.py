import numpy as np
import pandas as pd
import pytest
import torch

from mtal import row_groups
from mtal.acquisition import ScoreTable
from mtal.learning import score_files
from mtal.learning.score_files import write_embeddings, write_scores

IDS = pd.Series([f"v/{k:06d}" for k in range(9)], dtype="str", index=range(20, 29))  # rows of a longer index
COLUMNS = (("tools", "entropy"), ("anatomy", "margin"))
VALUES = torch.arange(18, dtype=torch.float64).reshape(9, 2) / 7


@pytest.fixture(autouse=True)
def short_pieces(monkeypatch):
    monkeypatch.setattr(row_groups, "ROWS", 4)
    monkeypatch.setattr(score_files, "_ROWS", 4)


@pytest.mark.parametrize("cost_s", [None, np.arange(9) / 3])
def test_scores_are_what_one_table_would_hold(tmp_path, cost_s):
    write_scores(tmp_path, IDS, ScoreTable(COLUMNS, VALUES), VALUES[:, 1], cost_s)
    whole = {"frame_id": IDS.tolist(), "tools/entropy": VALUES[:, 0].numpy(), "anatomy/margin": VALUES[:, 1].numpy()}
    whole["utility"] = VALUES[:, 1].numpy()
    expected = pd.DataFrame(whole if cost_s is None else {**whole, "cost_s": cost_s})
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "scores.parquet"), expected)


def test_embeddings_are_what_numpy_would_save(tmp_path):
    features = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    write_embeddings(tmp_path, features)
    np.save(tmp_path / "whole.npy", features.astype(np.float16))
    assert (tmp_path / "embeddings.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    np.testing.assert_array_equal(np.load(tmp_path / "embeddings.npy", mmap_mode="r"), features.astype(np.float16))
