import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from miniature import surgery
from miniature.runs import content

from mtal.datasets.label_map import IGNORE
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.propagation import propagated
from mtal.learning.trainer_settings import TrainerSettings
from mtal.learning.unlabelled_settings import Propagation, PseudoLabelling
from mtal.tasks.task import Task

TASKS = [Task(m) for m in surgery.LABEL_MAPS]
TIMES = {"a": [0, 1, 2, 3, 4, 5.5, 6.5], "b": [0, 1, 2]}
TABLE = pd.DataFrame(
    [
        {"frame_id": f"{v}/{k}", "video": v, "frame": k, "time_s": float(t)}
        for v, s in TIMES.items()
        for k, t in enumerate(s)
    ]
)


def one_further(pictures, mask):
    """In place of a propagator: the number of the step in the first row, so that one sees how far it was carried."""
    masks = np.stack([mask] * (len(pictures) - 1))
    for k, some in enumerate(masks):
        some[0] = k
    return masks


class Frames(SimpleNamespace):
    def __getitem__(self, positions):
        return np.zeros((len(positions), 4, 4, 3), dtype=np.uint8)


def run(labelled, *, closed=(), masks=None, **options):
    """Targets of ``anatomy`` by frame, and the frames that they come from."""
    open_to = np.ones(len(TABLE), dtype=bool)
    open_to[[*labelled, *closed]] = False
    n = len(labelled)
    masks = np.ones((n, 4, 4), dtype=np.uint8) if masks is None else masks
    tags = {"tools": np.ones((n, 3), np.uint8), "bleeding": np.ones((n, 1), np.uint8)}
    settings = Propagation(weight=1.0, by=one_further, **options)
    found = propagated(TASKS, Frames(), TABLE, np.array(labelled), {**tags, "anatomy": masks}, open_to, settings)
    assert (found.targets["tools"] == IGNORE).all()  # tags are not carried
    assert found.targets["bleeding"].shape == (len(found), 1)
    steps = [int(mask[0, 0]) for mask in found.targets["anatomy"]]
    return dict(zip(found.positions.tolist(), zip(found.of.tolist(), steps, strict=True), strict=True))


class TestWhereMasksGo:
    def test_so_many_on_each_side(self):
        assert run([2], neighbours=2) == {0: (2, 1), 1: (2, 0), 3: (2, 0), 4: (2, 1)}
        assert run([2], neighbours=1) == {1: (2, 0), 3: (2, 0)}

    def test_not_over_a_gap_nor_out_of_the_recording(self):
        assert run([4], neighbours=3) == {3: (4, 0), 2: (4, 1), 1: (4, 2)}
        assert run([4], neighbours=3, within_s=1.5).keys() == {1, 2, 3, 5, 6}
        assert run([7], neighbours=3) == {8: (7, 0), 9: (7, 1)}

    def test_not_onto_or_past_frames_with_labels_or_held_out(self):
        assert run([0, 2], neighbours=4) == {1: (0, 0), 3: (2, 0), 4: (2, 1)}
        assert run([2], closed=[3], neighbours=2) == {0: (2, 1), 1: (2, 0)}

    def test_from_the_nearest(self):
        assert run([0, 4], neighbours=4) == {1: (0, 0), 2: (0, 1), 3: (4, 0)}

    def test_frames_without_a_mask_give_none(self):
        masks = np.full((2, 4, 4), IGNORE, dtype=np.uint8)
        masks[1] = 2
        assert run([0, 4], masks=masks, neighbours=1) == {3: (4, 0)}
        assert run([0], masks=masks[:1]) == {}

    def test_masks_that_are_none(self):
        settings = Propagation(weight=1.0, by=lambda pictures, mask: np.zeros((1, 4, 5), np.uint8), neighbours=1)
        labels = {"tools": np.ones((1, 3), np.uint8), "bleeding": np.ones((1, 1), np.uint8)}
        labels["anatomy"] = np.ones((1, 4, 4), np.uint8)
        open_to = np.arange(len(TABLE)) != 2
        told = r"trainer.propagation.by=function gave masks \[1, 4, 5\] of uint8; they must be \[1, 4, 4\] of uint8"
        with pytest.raises(ValueError, match=told):
            propagated(TASKS, Frames(), TABLE, np.array([2]), labels, open_to, settings)


def test_a_round_learns_from_both_and_counts_neither(experiment, start, tmp_path):
    trainer = TrainerSettings(
        steps=4,
        batch_size=4,
        accelerator="cpu",
        propagation=Propagation(weight=1.0, neighbours=1),
        pseudo_labels=PseudoLabelling(weight=1.0, threshold=0.6, frames=8),
    )
    for name, ends in (("whole", [1]), ("parts", [0, 1])):
        for last in ends:
            start(experiment(loop=LoopSettings(5, 3, last), trainer=trainer), tmp_path / name)
    assert content(tmp_path / "whole") == content(tmp_path / "parts")
    index = pd.DataFrame(experiment().dataset.index.table)
    rounds = tmp_path / "whole/rounds"
    picked = pd.concat(pd.read_parquet(rounds / f"{n:02d}/picks.parquet") for n in (0, 1))["frame_id"]
    table, sure = (pd.read_parquet(rounds / f"01/{name}.parquet") for name in ("propagated", "pseudo_labels"))
    assert len(table)
    assert (table["share/tools"] == 0).all()
    assert (table["share/anatomy"] > 0).all()
    assert not set(table["frame_id"]) & {*picked, *sure["frame_id"]}
    assert set(index["frame_id"][table["of"]]) <= set(picked)
    told = json.loads((rounds / "01/metrics.json").read_text())
    assert told["labelled"] == len(picked) == 8
    assert told["propagated"]["by"] == "OpticalFlow"
    assert told["propagated"]["frames"] == len(table)
