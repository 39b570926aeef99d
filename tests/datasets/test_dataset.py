import pandas as pd
import pytest

from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_map import LabelMap
from mtal.datasets.label_table import LabelTable
from mtal.frames.index import FrameIndex

BLEEDING = LabelMap("bleeding", "frame", False, ("bleeding",), ((255, 0, 0),))
TOOLS = LabelMap("tools", "frame", False, ("hook",), ((255, 255, 0),))


def index(frames: list[int]) -> FrameIndex:
    rows = [
        {
            "frame_id": f"v/{k:06d}",
            "patient": "p",
            "video": "v",
            "frame": k,
            "time_s": k,
            "source": "v",
            "split": "pool",
        }
        for k in frames
    ]
    return FrameIndex(pd.DataFrame(rows))


LABELS = LabelTable(pd.DataFrame({"frame_id": ["v/000000", "v/000001"], "bleeding": [[1], None]}), [BLEEDING])


def test_label_map_by_task():
    dataset = SurgicalDataset("toy", index([0, 1]), (BLEEDING,), LABELS)
    assert dataset.label_map("bleeding") is BLEEDING
    with pytest.raises(KeyError, match="'toy' has no task 'tools'; it has bleeding"):
        dataset.label_map("tools")


def test_every_frame_needs_a_row_of_labels():
    with pytest.raises(ValueError, match="1 frames have no row of labels, the first is 'v/000002'"):
        SurgicalDataset("toy", index([0, 2]), (BLEEDING,), LABELS)


def test_every_task_needs_labels():
    with pytest.raises(ValueError, match="knows no task 'tools'"):
        SurgicalDataset("toy", index([0]), (BLEEDING, TOOLS), LABELS)


def test_label_maps_must_agree():
    other = LabelMap("bleeding", "frame", False, ("oozing",), ((255, 0, 0),))
    with pytest.raises(ValueError, match="knows no task 'bleeding' with this label map"):
        SurgicalDataset("toy", index([0]), (other,), LABELS)


def test_a_task_stands_once():
    with pytest.raises(ValueError, match="a task stands twice"):
        SurgicalDataset("toy", index([0]), (BLEEDING, BLEEDING), LABELS)


def test_from_rows():
    place = {"patient": "p", "video": "v", "time_s": 0.5, "source": "v.mp4", "split": "pool"}
    rows = [{**place, "frame": 12, "bleeding": [1]}, {**place, "frame": 3, "bleeding": None}]
    dataset = SurgicalDataset.from_rows("toy", rows, (BLEEDING,), {"v": (4, 6)})
    assert dataset.index.frame_ids == ["v/000003", "v/000012"]
    assert dataset.labels.targets("bleeding", dataset.index.frame_ids).tolist() == [[255], [1]]
    assert dataset.labels.frame_sizes == {"v": (4, 6)}
    with pytest.raises(ValueError, match="'v/000012' is listed twice"):
        SurgicalDataset.from_rows("toy", [rows[0], rows[0]], (BLEEDING,), {})
