import numpy as np
import pandas as pd
import torch

from mtal.frames.index import FrameIndex, frame_id
from mtal.learning.previous_posteriors import read_previous, write_posteriors
from mtal.learning.run_folder import RunFolder
from mtal.tasks.posterior import HeadOutput

FRAMES = [{"frame_id": frame_id("v", k), "patient": "p", "video": "v", "frame": k, "time_s": k} for k in range(4)]
INDEX = FrameIndex(pd.DataFrame(FRAMES).assign(source="v.mp4", split="pool"))
PROBS = torch.tensor([0.25, 0.5, 0.75]).reshape(3, 1, 1)


def test_rows_follow_the_frames_that_are_left(tmp_path):
    folder = RunFolder(tmp_path)
    for number, rows in ((0, []), (1, [0, 1, 2]), (2, [1, 2])):
        folder.round_path(number).mkdir(parents=True)
        if rows:
            posteriors = {"bleeding": HeadOutput("bernoulli", PROBS[: len(rows)])}
            write_posteriors(folder.round_path(number), np.array(rows), posteriors)
    first, second = read_previous(folder, INDEX, np.array([1, 2]))
    assert first["bleeding"].flatten().tolist() == [0.5, 0.75]
    assert second["bleeding"].flatten().tolist() == [0.25, 0.5]
    assert first["bleeding"].dtype == torch.float32


def test_rounds_of_earlier_versions_name_their_frames(tmp_path):
    folder = RunFolder(tmp_path)
    folder.round_path(0).mkdir(parents=True)
    named = {"frame_id": np.array(["v/000000", "v/000002", "v/000003"]), "task/bleeding": PROBS.numpy()}
    np.savez(folder.round_path(0) / "posteriors.npz", **named)
    (only,) = read_previous(folder, INDEX, np.array([0, 3]))
    assert only["bleeding"].flatten().tolist() == [0.25, 0.75]


def test_nothing_before_the_first_round(tmp_path):
    assert read_previous(RunFolder(tmp_path), INDEX, np.array([1])) == []
