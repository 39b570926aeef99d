"""Names and times of frames by their rows."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from mtal.acquisition import tie_break
from mtal.annotation import Availability, State
from mtal.frames.index import FrameIndex
from mtal.learning.askable_pool import AskablePool
from mtal.learning.frame_rows import FrameRows

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
def frames(index) -> FrameRows:
    return FrameRows(index)


@pytest.fixture(scope="module")
def pool(index, tasks) -> AskablePool:
    return AskablePool(index, tasks)


def test_candidates_are_rows_of_the_index(index, tasks, pool):
    availability = Availability(index.table["frame_id"].iloc[index.pool], [t.name for t in tasks])
    availability.mark(["operation_0002/000007"], State.NEVER)
    availability.mark(["operation_0002/000008"], State.NEVER, ["tools"])
    left = pool.candidates(["operation_0001/000000", "operation_0039/000999"], availability)
    gone = {1000, 2007, FRAMES - 1}
    assert left.tolist() == [row for row in range(1000, FRAMES) if row not in gone]


def test_refuses_the_availability_of_others(index, tasks, pool):
    with pytest.raises(ValueError, match="the availability is of 3 frames, the pool has 39000"):
        pool.candidates([], Availability(index.frame_ids[:3], [t.name for t in tasks]))


def test_order_of_ties_is_that_of_the_names(frames, index):
    rows = np.array([39_000, 1_001, 7_500])
    assert frames.hashes(7, rows).tolist() == tie_break(7, [index.frame_ids[row] for row in rows]).tolist()


def test_no_list_of_the_pool_is_made(frames, pool):
    """A string alone takes 70 bytes, and a place in a list 8."""
    tracemalloc.start()
    left = pool.candidates(["operation_0001/000000"], None)
    frames.hashes(7, left)
    frames.moments(left)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak / FRAMES < 60
