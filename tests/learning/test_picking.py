import tracemalloc
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from miniature import surgery

from mtal.acquisition import tie_break
from mtal.annotation import Availability, State
from mtal.frames.index import FrameIndex
from mtal.learning.picking import Picker
from mtal.learning.seeds import integer_seed

FRAMES = 40_000


@pytest.fixture(scope="module")
def index() -> FrameIndex:
    number = np.arange(FRAMES)
    video = pd.Series(number // 1000).map("operation_{:04d}".format)
    frame = pd.Series(number % 1000)
    split = np.where(number < 1000, "test", "pool")
    ids = video + "/" + frame.map("{:06d}".format)
    table = {"frame_id": ids, "patient": video, "video": video, "frame": frame, "time_s": frame / 1.0, "split": split}
    return FrameIndex(pd.DataFrame(table).assign(source="film.mp4"))


@pytest.fixture(scope="module")
def picker(index, tasks) -> Picker:
    data = SimpleNamespace(index=index)
    return Picker(data, None, tasks, surgery.make_acquisition(), torch.device("cpu"), seed=3)


def test_candidates_are_rows_of_the_index(picker, index, tasks):
    availability = Availability(index.table["frame_id"].iloc[index.pool], [t.name for t in tasks])
    availability.mark(["operation_0002/000007"], State.NEVER)
    availability.mark(["operation_0002/000008"], State.NEVER, ["tools"])
    left = picker.pool.candidates(["operation_0001/000000", "operation_0039/000999"], availability)
    gone = {1000, 2007, FRAMES - 1}
    assert left.tolist() == [row for row in range(1000, FRAMES) if row not in gone]


def test_refuses_the_availability_of_others(picker, index, tasks):
    with pytest.raises(ValueError, match="the availability is of 3 frames, the pool has 39000"):
        picker.pool.candidates([], Availability(index.frame_ids[:3], [t.name for t in tasks]))


def test_order_of_ties_is_that_of_the_names(picker, index):
    rows = np.array([39_000, 1_001, 7_500])
    seed = integer_seed(3, 2, "ties")
    assert picker._hashes(2, rows).tolist() == tie_break(seed, [index.frame_ids[row] for row in rows]).tolist()


def test_no_list_of_the_pool_is_made(picker):
    """A string alone takes 70 bytes, and a place in a list 8."""
    tracemalloc.start()
    left = picker.pool.candidates(["operation_0001/000000"], None)
    picker._hashes(1, left)
    picker._moments(left)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak / FRAMES < 60
