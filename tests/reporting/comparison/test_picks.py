"""Redundancy, driving heads, annotators' time and rare classes, of picks written by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mtal.reporting.comparison.annotator_time import minutes, prices
from mtal.reporting.comparison.driving_head import driving_shares, mean_percentiles
from mtal.reporting.comparison.per_class import class_metrics, class_shares, rare_classes
from mtal.reporting.comparison.redundancy import mean_gap, mean_of, neighbour_distance
from mtal.reporting.run_reader import read_run

HEADS = {"tools": [0.4, 0.5], "bleeding": [0.1, 0.2], "anatomy": [0.3, 0.4]}


@pytest.fixture
def run(tmp_path, configure, write):
    def make(picks=None, name="run", **options):
        """``picks``: (video, time_s) of the picks of round 1; the initial set is video0 at 0 s and 100 s."""
        folder = write(tmp_path / name, configure(rounds=1), [2, 6], HEADS, **options)
        for number, places in ((0, [("video0", 0.0), ("video0", 100.0)]), (1, picks)):
            if places is not None:
                path = folder / "rounds" / f"{number:02d}" / "picks.parquet"
                table = pd.read_parquet(path).iloc[: len(places)]
                table["video"], table["time_s"] = zip(*places, strict=True)
                table["frame_id"] = [f"{v}/{t}" for v, t in places]
                table.to_parquet(path)
        return folder

    return make


def test_gaps_are_measured_to_the_nearest_labelled_frame_of_the_same_video(run):
    # 97 s is 3 s from the initial frame at 100 s, 10 s is 10 s from the one at 0 s, the two of video1 are 4 s apart and
    # video2 has no other: the mean of 3, 10, 4 and 4
    picks = [("video0", 97.0), ("video1", 7.0), ("video0", 10.0), ("video1", 3.0), ("video2", 5.0)]
    folder = run(None)
    path = folder / "rounds" / "01" / "picks.parquet"
    table = pd.concat([pd.read_parquet(path)] * 2).iloc[:5].assign(order=range(5))
    table["video"], table["time_s"] = zip(*picks, strict=True)
    table.to_parquet(path)
    assert mean_gap(read_run(folder)) == pytest.approx(21 / 4)


def test_no_gap_where_every_pick_is_alone(run):
    assert np.isnan(mean_gap(read_run(run([("video1", 1.0), ("video2", 1.0)]))))


def test_distance_to_the_nearest_pick_of_the_batch(run):
    folder = run([("video1", 1.0), ("video1", 2.0), ("video1", 3.0)])
    path = folder / "rounds" / "01"
    # angles 0°, 60° and 180° at different lengths: nearest cosines 1/2, 1/2 and cos 120° = −1/2
    vectors = {"video1/3.0": (-4.0, 0.0), "other": (1.0, 0.0), "video1/1.0": (2.0, 0.0), "video1/2.0": (0.5, 0.75**0.5)}
    np.save(path / "embeddings.npy", np.array(list(vectors.values()), dtype=np.float32))
    pd.DataFrame({"frame_id": list(vectors)}).to_parquet(path / "scores.parquet")
    assert neighbour_distance(read_run(folder)) == pytest.approx((0.5 + 0.5 + 1.5) / 3)


def test_no_distance_where_no_features_were_kept(run):
    measures = mean_of([read_run(run([("video1", 1.0), ("video1", 5.0)]))])
    assert measures["seconds to the nearest labelled frame"] == 4
    assert np.isnan(measures["cosine distance to the nearest pick"])


def test_a_pick_that_was_not_scored_is_a_fault_of_the_folder(run):
    folder = run([("video1", 1.0), ("video1", 2.0)])
    path = folder / "rounds" / "01"
    np.save(path / "embeddings.npy", np.eye(2))
    pd.DataFrame({"frame_id": ["a", "b"]}).to_parquet(path / "scores.parquet")
    with pytest.raises(ValueError, match=r"scores.parquet: a pick of"):
        neighbour_distance(read_run(folder))


def test_share_of_picks_that_each_head_drives(run):
    runs = [read_run(run(name="a", reason=["tools", "anatomy", "anatomy", "anatomy"])), read_run(run(name="b"))]
    # 1/4 and 4/4 of the picks; the initial set has no reason
    assert driving_shares(runs) == {"tools": 0.625, "bleeding": 0.0, "anatomy": 0.375}
    assert mean_percentiles(runs) == {"tools": 75.0}


def test_signals_of_all_heads_together_drive_their_own_share(run):
    runs = [read_run(run(name="a", reason=["shared", "anatomy"])), read_run(run(name="b"))]
    shares = driving_shares(runs)
    assert shares == {"tools": 0.5, "bleeding": 0.0, "anatomy": 0.25, "shared": 0.25}


def test_picks_without_scores_are_driven_by_no_head(run):
    assert driving_shares([read_run(run(reason=[None]))]) == {}


def test_minutes_are_counted_from_the_initial_set(run):
    this = read_run(run(cost_s=90.0))
    assert minutes(this, prices([this])).tolist() == [0, 6]


def test_without_a_record_there_are_no_minutes(run):
    this = read_run(run())
    assert prices([this]).empty
    assert minutes(this, prices([this])) is None


def test_a_frame_costs_the_same_for_all_strategies(run):
    # Only the one run scored its pool, twice, and it found frames at 10 s and 20 s dear; the other one picked these.
    scored = run([("video1", 1.0), ("video1", 2.0)], name="scored")
    for number, seconds in ((0, [30.0, 60.0, 100.0]), (1, [50.0, 80.0, 200.0])):
        ids = ["video1/10.0", "video1/20.0", "video1/1.0"]
        scores = scored / "rounds" / f"{number:02d}" / "scores.parquet"
        pd.DataFrame({"frame_id": ids, "cost_s": seconds}).to_parquet(scores)
    blind = run([("video1", 20.0), ("video1", 10.0)], name="blind")
    runs = [read_run(scored), read_run(blind)]
    price = prices(runs)
    assert price.to_dict() == {"video1/10.0": 40, "video1/20.0": 70, "video1/1.0": 150}
    assert minutes(runs[1], price).tolist() == pytest.approx([0, 110 / 60])
    assert minutes(runs[0], price) is None  # nobody priced its second pick


def test_who_chose_which_heads_to_ask_for_pays_for_these(run):
    """Others' price of the frame is that of all heads."""
    runs = [read_run(run(name="all", cost_s=90.0)), read_run(run(name="some", cost_s=30.0))]
    price = prices(runs[:1])
    query = {"query": {"_target_": "mtal.acquisition.WorthItsCost"}}
    chose = replace(runs[1], config={**runs[1].config, "acquisition": query})
    assert minutes(chose, price).tolist() == [0, 2]
    query["query"]["_target_"] = "mtal.acquisition.AllHeads"
    assert minutes(chose, price).tolist() == [0, 6]


def test_the_metric_of_a_class_is_the_one_that_the_head_averages(run):
    metrics = class_metrics(read_run(run()))
    assert metrics["tools", "hook"] == "tools/AP/hook"
    assert metrics["anatomy", "fat"] == "anatomy/IoU/fat"
    assert metrics["bleeding", "bleeding"] == "bleeding/AP"


def test_a_class_that_could_not_be_measured_has_no_metric(run):
    folder = run()
    file = folder / "rounds" / "01" / "metrics.json"
    record = json.loads(file.read_text())
    record["metrics"]["bleeding/AP"] = None
    file.write_text(json.dumps(record))
    assert ("bleeding", "bleeding") not in class_metrics(read_run(folder))


def test_rare_is_what_few_frames_show(run):
    folder = run()
    file = folder / "rounds" / "01" / "metrics.json"
    record = json.loads(file.read_text())
    record["labelled"] = 40
    record["class_counts"] = {
        "tools": {"grasper": 20, "hook": 3},
        "bleeding": {"bleeding": 0},
        "anatomy": {"liver": 4, "fat": 40},
    }
    file.write_text(json.dumps(record))
    this = read_run(folder)
    shares = class_shares([this])
    assert shares["tools", "hook"] == 0.075
    assert rare_classes(class_metrics(this), shares) == [("bleeding", "bleeding"), ("tools", "hook")]


def test_a_head_that_few_frames_have_an_answer_of_has_no_rare_classes_for_that(run):
    folder = run()
    file = folder / "rounds" / "01" / "metrics.json"
    record = json.loads(file.read_text())
    counts = {"tools": {"grasper": 2, "hook": 1}, "bleeding": {"bleeding": 0}, "anatomy": {"liver": 20, "fat": 40}}
    record |= {"labelled": 40, "answers": {"tools": 5, "bleeding": 40, "anatomy": 40}, "class_counts": counts}
    file.write_text(json.dumps(record))
    shares = class_shares([read_run(folder)])
    assert (shares["tools", "grasper"], shares["tools", "hook"], shares["anatomy", "liver"]) == (0.4, 0.2, 0.5)
