import torch

from mtal.learning.previous_posteriors import read_previous, write_posteriors
from mtal.learning.run_folder import RunFolder
from mtal.tasks.posterior import HeadOutput


def test_rows_follow_the_frames_that_are_left(tmp_path):
    folder = RunFolder(tmp_path)
    probs = torch.tensor([0.25, 0.5, 0.75]).reshape(3, 1, 1)
    for number, ids in ((0, None), (1, ["v/2", "v/0", "v/1"]), (2, ["v/1", "v/2"])):
        folder.round_path(number).mkdir(parents=True)
        if ids:
            write_posteriors(folder.round_path(number), ids, {"bleeding": HeadOutput("bernoulli", probs[: len(ids)])})
    first, second = read_previous(folder, ["v/1", "v/2"])
    assert first["bleeding"].flatten().tolist() == [0.75, 0.25]
    assert second["bleeding"].flatten().tolist() == [0.25, 0.5]
    assert first["bleeding"].dtype == torch.float32


def test_nothing_before_the_first_round(tmp_path):
    assert read_previous(RunFolder(tmp_path), ["v/1"]) == []
