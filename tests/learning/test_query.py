"""A run that asks for some heads of a picked frame only."""

import json

import numpy as np
import pandas as pd
import pytest
from miniature import surgery
from miniature.runs import content
from miniature.scripted import ScriptedOracle

from mtal.acquisition import AnnotationCost, TopK, WorthItsCost
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.run_folder import RunFolder

COST = {"tools": 10.0, "bleeding": 4.0, "anatomy": 60.0}
TASKS = tuple(COST)
HEADS = [f"asked/{task}" for task in TASKS]


def settings(**loop):
    cost = AnnotationCost(frame_s=COST, look_s=12.0)
    return {
        "acquisition": surgery.make_acquisition(cost=cost, selector=TopK(), query=WorthItsCost()),
        "loop": LoopSettings(6, 4, 2, **loop),
    }


@pytest.fixture(scope="module")
def done(dataset, frames, features, tmp_path_factory):
    """Three rounds of which the last two have 100 s each."""
    folder = RunFolder(tmp_path_factory.mktemp("query") / "run")
    made = surgery.make_experiment(dataset, frames, features, **settings(batch_seconds=100.0))
    with folder.lock():
        folder.open({}, {}, dataset.index, made)
        made.run(folder)
    return folder


def picks(folder, number):
    return pd.read_parquet(folder.round_path(number) / "picks.parquet")


def test_the_first_frames_are_asked_for_all_heads_and_later_ones_for_some(done):
    assert picks(done, 0)[HEADS].all(axis=None)
    for number in (1, 2):
        asked = picks(done, number)[HEADS]
        assert asked.any(axis=1).all()
        assert not asked.all(axis=None)


def test_budgets_are_kept_in_seconds_of_what_is_asked(done):
    for number in (1, 2):
        table = picks(done, number)
        seconds = 12 + table[HEADS].to_numpy() @ np.array([*COST.values()])
        assert table["cost_s"].tolist() == pytest.approx(seconds.tolist())
        assert 100 - 22 - 60 < seconds.sum() <= 100


def test_each_pick_is_asked_for_what_is_worth_most(done):
    """By the scores that the round kept: percentiles of entropy, all heads with the same say."""
    table = picks(done, 1)
    gains = np.stack([table[f"percentile/{t}/entropy"] / 100 for t in TASKS], axis=1)
    expected = WorthItsCost()(gains, np.array([[*COST.values()]] * len(table)), np.ones(gains.shape, bool), 12.0)
    assert table[HEADS].to_numpy().tolist() == expected.tolist()


def test_nothing_is_learnt_that_was_not_asked(done):
    counts = [json.loads((done.round_path(n) / "metrics.json").read_text())["answers"] for n in range(3)]
    asked = np.cumsum([picks(done, n)[HEADS].sum().to_numpy() for n in range(3)], axis=0)
    assert [[c[t] for t in ("tools", "bleeding")] for c in counts] == asked[:, :2].tolist()
    shown = [np.array(x) for x in picks(done, 1)["label/tools"]]
    assert [(x == 255).all() for x in shown] == (~picks(done, 1)["asked/tools"]).tolist()


def test_answers_are_budgeted_as_they_are_asked(experiment, start, tmp_path):
    start(experiment(**settings(batch_answers=5)), tmp_path)
    for number in (1, 2):
        asked = pd.read_parquet(tmp_path / f"rounds/0{number}/picks.parquet")[HEADS]
        assert 3 <= asked.to_numpy().sum() <= 5


def test_goes_on_to_the_bit_and_with_people_too(done, dataset, frames, features, tmp_path):
    oracle = ScriptedOracle(dataset, tmp_path / "labels")
    folder = RunFolder(tmp_path / "run")
    for rounds in (1, 2):  # in two starts
        options = settings(batch_seconds=100.0)
        loop = LoopSettings(6, 4, rounds, batch_seconds=100.0)
        made = surgery.make_experiment(dataset, frames, features, **{**options, "loop": loop}, oracle=oracle)
        with folder.lock():
            folder.open({}, {}, dataset.index, made, corrected=True)
            made.run(folder)
    simulated, people = content(done.path), content(folder.path)
    assert [name for name in simulated if simulated[name] != people[name]] == []
    rows = oracle.store.rows()
    for number in (1, 2):
        table = picks(done, number)
        mine = rows[rows["frame_id"].isin(table["frame_id"]) & (rows["state"] == "labelled")]
        assert len(mine) == table[HEADS].to_numpy().sum()
