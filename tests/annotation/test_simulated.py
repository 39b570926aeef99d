from dataclasses import replace

import numpy as np
import pandas as pd
from miniature import surgery
from PIL import Image

from mtal.annotation import SimulatedOracle
from mtal.datasets.label_table import LabelTable


def test_reveals_all_tasks_of_the_frames_asked(tmp_path):
    dataset = surgery.write(tmp_path / "set")
    asked = ["video_b/000003", "video_a/000011"]
    labels = SimulatedOracle(dataset).label(asked, (32, 32))
    assert list(labels) == ["tools", "bleeding", "anatomy"]
    assert labels["anatomy"].shape == (2, 32, 32)
    for task, answer in labels.items():
        assert answer.dtype == np.uint8
        np.testing.assert_array_equal(answer, dataset.labels.targets(task, asked, (32, 32)))
        again = SimulatedOracle(dataset).label(asked[::-1], (32, 32))[task]
        np.testing.assert_array_equal(again, answer[::-1])


def test_can_be_asked_for_what_the_data_set_holds_and_reads_no_label_for_it(tmp_path, monkeypatch):
    dataset = surgery.write(tmp_path / "set")
    frames = dataset.index.frame_ids
    bare, void = frames[3], frames[5]
    table = pd.DataFrame({"frame_id": frames, **{t: [None] * len(frames) for t in ("tools", "bleeding", "anatomy")}})
    table["tools"] = [[1, 255, 0] if f != bare else [255, 255, 255] for f in frames]
    mask, empty = tmp_path / "mask.png", tmp_path / "empty.png"
    Image.fromarray(np.full((32, 32), 1, dtype=np.uint8)).save(mask)  # all wall
    Image.fromarray(np.full((32, 32), 0, dtype=np.uint8)).save(empty)  # all ignored
    table["anatomy"] = [empty if f == void else mask if i % 4 == 0 else None for i, f in enumerate(frames)]
    labels = LabelTable(table, dataset.label_maps)
    monkeypatch.setattr(LabelTable, "targets", None)  # nothing is revealed
    known = SimulatedOracle(replace(dataset, labels=labels)).availability(frames, ["anatomy", "tools", "bleeding"])
    expected = [[i % 4 == 0 and f != void, f != bare, False] for i, f in enumerate(frames)]
    assert known.askable(frames).tolist() == expected
    assert known.counted(known.tasks).tolist() == [sum(row) for row in expected]
