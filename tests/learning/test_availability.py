"""A data set in which masks, tags and whole frames are missing, through whole runs."""

import json
from dataclasses import replace
from itertools import chain, pairwise

import numpy as np
import pandas as pd
import pytest
from miniature import surgery

from mtal.acquisition import AnnotationCost, Badge, Random, TopK
from mtal.datasets.label_map import IGNORE
from mtal.datasets.label_table import LabelTable
from mtal.learning.loop_settings import LoopSettings


class PartlyLabelled(LabelTable):
    """The miniature's labels without what ``missing`` names.

    Args:
        labels: of the data set.
        missing: task to the frames that nobody labelled.
    """

    def __init__(self, labels, missing):
        self.__dict__.update(labels.__dict__)
        self._whole, self._missing = labels, missing

    def targets(self, task, frame_ids, size=None):
        labels = self._whole.targets(task, frame_ids, size).copy()
        labels[[f in self._missing.get(task, ()) for f in frame_ids]] = IGNORE
        return labels

    def labelled(self, task, frame_ids):
        there = np.array([f not in self._missing.get(task, ()) for f in frame_ids])
        return self._whole.labelled(task, frame_ids) & there


@pytest.fixture(scope="module")
def partly(dataset):
    """Of 32 frames in the pool: masks on every fourth, no tags on two of those without a mask, no bleeding at all."""
    pool = dataset.index.split("pool").table["frame_id"].tolist()
    missing = {
        "anatomy": {f for i, f in enumerate(pool) if i % 4},
        "tools": {pool[1], pool[2], pool[4]},
        "bleeding": set(pool),
    }
    return replace(dataset, labels=PartlyLabelled(dataset.labels, missing)), pool


def picked(path):
    return [pd.read_parquet(f)["frame_id"].tolist() for f in sorted(path.glob("rounds/*/picks.parquet"))]


def answers(path):
    return [json.loads(f.read_text())["answers"] for f in sorted(path.glob("rounds/*/metrics.json"))]


@pytest.mark.filterwarnings("ignore:.*none left to ask for")
@pytest.mark.parametrize("selector", [Random(), TopK(), Badge()], ids=lambda s: type(s).__name__)
def test_only_what_can_be_asked_for_is_picked_and_each_answer_is_counted(partly, experiment, start, tmp_path, selector):
    dataset, pool = partly
    made = experiment(
        dataset=dataset, acquisition=surgery.make_acquisition(selector=selector), loop=LoopSettings(12, 9, 2)
    )
    start(made, tmp_path)
    rounds = picked(tmp_path)
    everything = list(chain(*rounds))
    assert len(everything) == len(set(everything)) == 30
    assert set(everything) == set(pool) - {pool[1], pool[2]}  # nobody can say anything of these
    for number, counted in enumerate(answers(tmp_path)):
        so_far = list(chain(*rounds[: number + 1]))
        assert counted == {
            "tools": sum(f != pool[4] for f in so_far),
            "bleeding": 0,
            "anatomy": sum(pool.index(f) % 4 == 0 for f in so_far),
        }


@pytest.mark.filterwarnings("ignore:.*none left to ask for")
def test_the_budget_is_checked_against_what_can_be_labelled(partly, experiment):
    with pytest.raises(ValueError, match=r"31 frames, but 30 of the pool's 32 can be labelled"):
        experiment(dataset=partly[0], loop=LoopSettings(15, 8, 2))


@pytest.mark.filterwarnings("ignore:bleeding", "ignore:tools")
def test_a_head_without_weight_asks_for_nothing(partly, experiment, start, tmp_path, tasks):
    dataset, pool = partly
    only_masks = [replace(t, weight=float(t.name == "anatomy")) for t in tasks]
    made = experiment(dataset=dataset, tasks=only_masks, loop=LoopSettings(4, 4, 1))
    start(made, tmp_path)
    assert set(chain(*picked(tmp_path))) == set(pool[::4])


@pytest.mark.filterwarnings("ignore:.*none left to ask for")
def test_seconds_are_paid_for_what_is_asked(partly, experiment, start, tmp_path):
    """60 s for a mask and 10 s for tags: 100 s are one frame with a mask and three without, or ten without."""
    dataset, pool = partly
    cost = AnnotationCost(frame_s={"tools": 10.0, "bleeding": 7.0, "anatomy": 60.0})
    acquisition = surgery.make_acquisition(cost=cost)
    start(
        experiment(dataset=dataset, acquisition=acquisition, loop=LoopSettings(6, 4, 2, batch_seconds=100.0)), tmp_path
    )
    for batch in picked(tmp_path)[1:]:
        spent = sum(10 * (f != pool[4]) + 60 * (pool.index(f) % 4 == 0) for f in batch)
        assert 90 < spent <= 100


@pytest.mark.filterwarnings("ignore:.*none left to ask for")
@pytest.mark.parametrize("selector", [Random(), Badge()], ids=lambda s: type(s).__name__)
def test_a_budget_in_answers_counts_the_heads_that_are_asked_for(partly, experiment, start, tmp_path, selector):
    acquisition = surgery.make_acquisition(selector=selector)
    start(experiment(dataset=partly[0], acquisition=acquisition, loop=LoopSettings(4, 4, 2, batch_answers=7)), tmp_path)
    counted = [sum(by_head.values()) for by_head in answers(tmp_path)]
    assert len(counted) == 3
    assert all(6 <= later - before <= 7 for before, later in pairwise(counted))
