from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from miniature import surgery
from PIL import Image

from mtal.acquisition import ScoreTable
from mtal.annotation.reason import reason
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.learning.picks import Picks, annotated, class_counts, picks_table, predict_masks, write_images
from mtal.tasks.task import Task

COLUMNS = (("tools", "entropy"), ("anatomy", "entropy"))
POOL = ScoreTable(COLUMNS, torch.tensor([[0.1, 0.9], [0.4, 0.2], [0.3, 0.3], [0.2, 0.8], [0.5, 0.1]]))
UTILITY = np.array([0.5, 0.3, 0.4, 0.6, 0.2])
AT = np.array([3, 1])
IDS = ["video_b/000007", "video_a/000002"]
CHANCE = Picks(IDS, AT, "chance")


def picks(pool=POOL, went_by=POOL, **more) -> Picks:
    return Picks(IDS, AT, table=pool, utility=UTILITY, went_by=went_by, **more)


@pytest.fixture
def rows(dataset) -> pd.DataFrame:
    return dataset.index.select(IDS)


@pytest.fixture
def labels(dataset, tasks, rows):
    return {t.name: dataset.labels.targets(t.name, rows["frame_id"].tolist(), (64, 64)) for t in tasks}


class TestPicksTable:
    def test_why_a_frame_was_picked(self, rows, labels, tasks):
        table = picks_table(rows, labels, tasks, picks())
        assert table["order"].tolist() == [0, 1]
        assert table["frame_id"].tolist() == ["video_b/000007", "video_a/000002"]
        assert table["patient"].tolist() == ["b", "a"]
        assert table["time_s"].tolist() == [7.0, 2.0]
        assert [Path(f).is_file() for f in table["file"]] == [True, True]
        assert [Path(f).name for f in table["file"]] == ["0007.png", "0002.png"]
        assert table["utility"].tolist() == [0.6, 0.3]
        # ranks among the five of the pool, by hand: 0.2 is second lowest of tools, 0.8 second highest of anatomy
        assert table["score/tools/entropy"].tolist() == pytest.approx([0.2, 0.4])
        assert table["percentile/tools/entropy"].tolist() == [25, 75]
        assert table["percentile/anatomy/entropy"].tolist() == [75, 25]
        assert table["reason_task"].tolist() == ["anatomy", "tools"]
        assert table["reason_signal"].tolist() == ["entropy", "entropy"]
        assert table["reason_percentile"].tolist() == [75, 75]
        assert table["reason_because"].tolist() == ["", ""]
        assert "cost_s" not in table

    def test_what_the_selector_did_not_read_is_no_reason(self, rows, labels, tasks):
        lengths = ScoreTable((("bleeding", "gradient_length"),), torch.tensor([[0.0], [4.0], [1.0], [2.0], [3.0]]))
        table = picks_table(rows, labels, tasks, picks(went_by=lengths, because="unlike the other picks"))
        assert table["reason_task"].tolist() == ["bleeding"] * 2
        assert table["reason_signal"].tolist() == ["gradient_length"] * 2
        assert table["reason_percentile"].tolist() == [50, 100]
        assert set(table["reason_because"]) == {"unlike the other picks"}
        assert table["percentile/tools/entropy"].tolist() == [25, 75]
        table = picks_table(rows, labels, tasks, picks(went_by=POOL.only([])))
        assert table["reason_task"].tolist() == table["reason_signal"].tolist() == [None, None]
        assert table["reason_percentile"].isna().all()
        assert set(table["reason_because"]) == {"no score told it from the other frames"}

    def test_expected_seconds(self, rows, labels, tasks):
        table = picks_table(rows, labels, tasks, Picks(IDS, AT, cost_s=np.array([5.0, 6.0, 7.0, 8.0, 9.0])))
        assert table["cost_s"].tolist() == [8, 6]

    def test_labels_of_frame_tasks(self, rows, labels, tasks, dataset):
        table = picks_table(rows, labels, tasks, CHANCE)
        assert [list(x) for x in table["label/tools"]] == labels["tools"].tolist()
        assert [list(x) for x in table["label/bleeding"]] == labels["bleeding"].tolist()
        assert "label/anatomy" not in table

    def test_without_scores(self, rows, labels, tasks):
        table = picks_table(rows, labels, tasks, CHANCE)
        assert table[["utility", "reason_percentile"]].isna().all(axis=None)
        assert table["reason_task"].tolist() == [None, None]
        assert table["reason_because"].tolist() == ["chance", "chance"]
        assert not [c for c in table if c.startswith(("score/", "percentile/"))]

    def test_exclusive_frame_task(self, rows):
        phase = Task(LabelMap("phase", "frame", True, ("a", "b"), ((0, 0, 0), (1, 1, 1))))
        table = picks_table(rows, {"phase": np.array([1, IGNORE], dtype=np.uint8)}, [phase], CHANCE)
        assert [list(x) for x in table["label/phase"]] == [[1], [IGNORE]]

    def test_score_that_is_missing_gives_no_reason(self, rows, labels, tasks):
        pool = ScoreTable(COLUMNS, torch.tensor([[0.1, 0.9], [float("nan"), 0.2], [0.3, 0.3], [0.2, 0.8], [0.5, 0.1]]))
        table = picks_table(rows, labels, tasks, picks(pool, pool))
        assert table["reason_task"].tolist() == ["anatomy", "anatomy"]
        assert table["reason_percentile"].tolist() == [75, 25]

    def test_a_frame_without_any_score_was_picked_for_none(self, rows, labels, tasks):
        nan = float("nan")
        pool = ScoreTable(COLUMNS, torch.tensor([[0.1, 0.9], [0.4, 0.2], [0.3, 0.3], [nan, nan], [0.5, 0.1]]))
        table = picks_table(rows, labels, tasks, picks(pool, pool))  # of rows 3 and 1
        assert table["reason_task"].tolist() == [None, "tools"]
        assert table["reason_signal"].tolist() == [None, "entropy"]
        assert table["reason_because"].tolist() == ["no score told it from the other frames", ""]
        assert [reason(row) for row in table.to_dict("records")] == [
            "no score told it from the other frames",
            "tools: entropy higher than in 66 % of the frames",
        ]


class TestImages:
    def test_written_in_order_of_choice(self, frames, labels, dataset, rows, tmp_path):
        at = np.array([dataset.index.frame_ids.index(f) for f in rows["frame_id"]])
        predicted = {"anatomy": np.stack([np.full((64, 64), k, dtype=np.uint8) for k in (2, 1)])}
        write_images(tmp_path / "images", frames, at, labels, predicted)
        assert sorted(p.name for p in (tmp_path / "images").iterdir()) == sorted(
            f"{k:04d}{suffix}" for k in range(2) for suffix in (".jpg", ".anatomy.png", ".anatomy.pred.png")
        )
        for k in range(2):
            picture = np.asarray(Image.open(tmp_path / "images" / f"{k:04d}.jpg")).astype(int)
            assert np.abs(picture - frames[at[k]][0]).mean() < 12  # JPEG of a noisy picture
            assert np.abs(picture - frames[at[1 - k]][0]).mean() > 12
            mask = np.asarray(Image.open(tmp_path / "images" / f"{k:04d}.anatomy.png"))
            np.testing.assert_array_equal(mask, labels["anatomy"][k])
            assert set(np.unique(mask)) <= {0, 1, 2, IGNORE}
            assert (np.asarray(Image.open(tmp_path / "images" / f"{k:04d}.anatomy.pred.png")) == (2, 1)[k]).all()

    def test_few_at_a_time(self, frames, targets, tasks, features, tmp_path):
        """The whole pool as initial set, or a large batch, does not lie in memory at once."""
        read, predicted, at = [], [], np.arange(40)

        class Frames:
            def __getitem__(self, positions):
                read.append(len(positions))
                return frames[positions]

        model = surgery.make_model(tasks)
        model.decoder.register_forward_hook(lambda module, args, output: predicted.append(len(output)))
        masks = predict_masks(model, tasks, features, at, (64, 64), torch.device("cpu"))
        write_images(tmp_path / "images", Frames(), at, {"anatomy": targets["anatomy"][at]}, masks)
        assert read == predicted == [32, 8]
        assert len(list((tmp_path / "images").iterdir())) == 3 * 40
        last = predict_masks(model, tasks, features, at[39:], (64, 64), torch.device("cpu"))
        written = np.asarray(Image.open(tmp_path / "images" / "0039.anatomy.pred.png"))
        np.testing.assert_array_equal(written, masks["anatomy"][39])
        assert (written == last["anatomy"][0]).mean() > 0.99  # sums in another order

    def test_predictions_are_the_most_probable_classes(self, tasks, features):
        model = surgery.make_model(tasks)
        at = np.array([4, 20])
        masks = predict_masks(model, tasks, features, at, (64, 64), torch.device("cpu"))
        assert set(masks) == {"anatomy"}
        with torch.no_grad():
            logits = model.eval()(features.batch(at)).heads["anatomy"].logits
        np.testing.assert_array_equal(
            masks["anatomy"],
            torch.nn.functional.interpolate(logits, (64, 64), mode="bilinear").argmax(dim=1).numpy(),
        )
        assert masks["anatomy"].dtype == np.uint8


class TestCounts:
    def test_frames_that_show_a_class(self, tasks):
        labels = {
            "tools": np.array([[1, 0, 1], [1, IGNORE, 0], [IGNORE] * 3], dtype=np.uint8),
            "bleeding": np.array([[0], [IGNORE], [0]], dtype=np.uint8),
            "anatomy": np.array([[[0, 0]], [[0, 2]], [[IGNORE, IGNORE]]], dtype=np.uint8),
        }
        assert class_counts(tasks, labels) == {
            "tools": {"grasper": 2, "hook": 0, "clipper": 1},
            "bleeding": {"bleeding": 0},
            "anatomy": {"wall": 2, "liver": 0, "gallbladder": 1},
        }

    def test_overlapping_structures(self):
        task = Task(LabelMap("structures", "pixel", False, ("a", "b"), ((0, 0, 0), (1, 1, 1))))
        labels = {"structures": np.zeros((3, 2, 4, 4), dtype=np.uint8)}
        labels["structures"][1:, 1, 0, 0] = 1
        assert class_counts([task], labels) == {"structures": {"a": 0, "b": 2}}

    def test_annotated(self, tasks):
        labels = {
            "tools": np.array([[IGNORE, 0, IGNORE]], dtype=np.uint8),
            "bleeding": np.array([[IGNORE]], dtype=np.uint8),
            "anatomy": np.zeros((1, 2, 2), dtype=np.uint8),
        }
        assert annotated(tasks, labels) == {"tools": True, "bleeding": False, "anatomy": True}
