import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

from mtal.datasets.label_map import LabelMap
from mtal.selecting import Checkpoint
from mtal.selecting.selection import _in_words, _said
from mtal.tasks.posterior import HeadOutput
from mtal.tasks.task import Task

pytestmark = pytest.mark.filterwarnings("ignore:bleeding. no label so far")

HEADROOM = "strategy=headroom_mean"


@pytest.fixture(scope="module")
def orphan(run, tmp_path_factory):
    """The same run, whose labelled frames are gone."""
    copy = tmp_path_factory.mktemp("orphan") / "mini"
    shutil.copytree(run, copy)
    frames = pd.read_parquet(copy / "frames.parquet")
    gone = frames["source"].str.replace("vocalfolds", "gone")
    frames.assign(source=gone).to_parquet(copy / "frames.parquet")
    config = OmegaConf.load(copy / "config.yaml")
    config.data.root = "gone"
    OmegaConf.save(config, copy / "config.yaml")
    return copy


def rows(folder):
    return pd.read_csv(folder / "frames.csv")


def test_top_k_goes_down_in_utility(make, tmp_path):
    make(tmp_path / "top", "strategy=mean", "acquisition.minimum_gap_s=0", budget=14)
    table = rows(tmp_path / "top")
    assert table["utility"].is_monotonic_decreasing
    # both heads have the same say, and of the pool of 14 all are here: the utility is the mean of the two percentiles
    means = table[["percentile/tools/entropy", "percentile/anatomy/entropy"]].mean(axis=1) / 100
    assert table["utility"].tolist() == pytest.approx(means.tolist())
    assert (
        table["reason"].str.fullmatch(r"(tools|anatomy): entropy higher than in (any other|\d+ % of the) frames?").all()
    )


def test_random_has_no_scores(make, tmp_path):
    make(tmp_path / "chance", "strategy=random")
    table = rows(tmp_path / "chance")
    assert set(table["reason"]) == {"chance"}
    assert table["utility"].isna().all()
    assert "videos, in order of choice." in (tmp_path / "chance" / "README.txt").read_text()
    assert set(table["predicted/bleeding"]) == {"not learnt: no label so far"}


def test_patients_that_the_run_tests_on_are_warned_of(make, run, tmp_path):
    copy = tmp_path / "mini"
    shutil.copytree(run, copy)
    frames = pd.read_parquet(copy / "frames.parquet")
    tested = frames["split"] == "test"
    frames.assign(patient=frames["patient"].astype(str).mask(tested, "bo")).to_parquet(copy / "frames.parquet")
    options = ("strategy=random", "acquisition.minimum_gap_s=0", "data.patient_pattern='(anna|broken|bo)'")
    with pytest.warns(UserWarning, match=r"mini tests on 1 of these patients .* 'data\.test_patients=\[bo\]'"):
        make(tmp_path / "all", *options, checkpoint=copy)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*tests on")
        make(tmp_path / "without", *options, "data.test_patients=[bo]", checkpoint=copy)
    assert set(rows(tmp_path / "without")["patient"]) == {"anna"}


@pytest.mark.parametrize("chosen", [HEADROOM, "strategy=contrastive", "acquisition/selector=typiclust"])
def test_labelled_frames_of_the_run(make, orphan, tmp_path, chosen):
    """Used where they are, asked for by name where not."""
    assert make(tmp_path / "found", chosen, budget=3)
    assert len(rows(tmp_path / "found")) == 3
    with pytest.raises(FileNotFoundError, match=r"is gone, but .* looks at the 7 labelled frames .* such as strategy="):
        make(tmp_path / "gone", chosen, budget=3, checkpoint=orphan)
    assert not (tmp_path / "gone").exists()


def test_the_runs_data_may_be_gone(make, orphan, selected, tmp_path):
    assert make(tmp_path / "first", "acquisition.minimum_gap_s=2", checkpoint=orphan)
    assert rows(tmp_path / "first").equals(rows(selected))


def test_budget_beyond_the_frames(make, tmp_path):
    with pytest.raises(
        ValueError, match=r"budget=15, but there are 14 frames to choose from; lower it, or .*rate_hz=2"
    ):
        make(tmp_path / "all", budget=15)


def test_no_videos(make, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty: no videos here"):
        make(tmp_path / "none", videos=tmp_path / "empty")


def test_earlier_rounds_are_not_known(make, tmp_path):
    with pytest.raises(
        ValueError, match="compares a frame's answers in earlier rounds, and new recordings were in none"
    ):
        make(tmp_path / "forgotten", "acquisition/signals=forgetting")


COLORS = ((1, 0, 0), (2, 0, 0), (3, 0, 0))
TOOLS = LabelMap("tools", "frame", False, ("a", "b", "c"), COLORS)
PHASE = LabelMap("phase", "frame", True, ("a", "b", "c"), COLORS)
ORGANS = LabelMap("organs", "pixel", True, ("a", "b", "c"), COLORS)


@pytest.mark.parametrize(
    ("label_map", "shares", "words"),
    [
        (TOOLS, [0.93, 0.2, 0.61], "a 93 %, c 61 %"),
        (TOOLS, [0.1, 0.2, 0.3], "none"),
        (PHASE, [0.3, 0.45, 0.25], "b 45 %"),
        (ORGANS, [0.004, 0.276, 0.72], "c 72 %, b 28 %"),
    ],
)
def test_predictions_in_words(label_map, shares, words):
    assert _said(Task(label_map), np.array(shares)) == words


def test_shares_of_the_picture_leave_bars_beside_it_out():
    """Of four sites two lie on the frame, and all of what is seen there is b."""
    logits = torch.tensor([[9.0, 0, 0], [0, 9, 0], [0, 9, 0], [9, 0, 0]]).view(1, 4, 3)
    on_frame = torch.tensor([[0.0, 1.0, 1.0, 0.0]])
    head = HeadOutput("categorical", logits.softmax(dim=2), valid=on_frame)
    assert list(_in_words([Task(ORGANS)], {"organs": head})) == [{"predicted/organs": "b 100 %"}]


def test_a_round_picks_with_its_own_model(make, run, selected, tmp_path):
    make(tmp_path / "early", "acquisition.minimum_gap_s=2", checkpoint=run / "rounds" / "00")
    early = rows(tmp_path / "early")
    assert early["score/tools/entropy"].tolist() != rows(selected)["score/tools/entropy"].tolist()
    assert Checkpoint.read(run / "rounds" / "00").number == 0


@pytest.fixture(scope="module")
def of_anna(run, tmp_path_factory):
    """The same run, whose 7 labelled frames are of another recording of anna."""
    copy = tmp_path_factory.mktemp("anna") / "mini"
    shutil.copytree(run, copy)
    frames = pd.read_parquet(copy / "frames.parquet")
    pool = frames["split"] == "pool"
    frames.assign(patient=frames["patient"].astype(str).mask(pool, "anna")).to_parquet(copy / "frames.parquet")
    return copy


@pytest.mark.parametrize(
    ("chosen", "more"),
    [
        ("strategy=patient_quota_random", ()),
        ("acquisition/selector=k_center_greedy", ("acquisition.shortlist=4",)),
    ],
    ids=["one stage", "two stages"],
)
def test_a_quota_counts_what_the_run_has_labelled_of_a_patient(make, of_anna, tmp_path, chosen, more):
    """Bo, of whom nothing is labelled, has 6 frames; anna has 8, and 7 that are labelled."""
    limits = ("acquisition.max_per_patient=quota", "acquisition.minimum_gap_s=0")
    options = (chosen, *more, *limits, "data.patient_pattern='(anna|broken|bo)'")
    make(tmp_path / "found", *options, budget=8, checkpoint=of_anna)
    assert rows(tmp_path / "found")["patient"].tolist() == ["bo"] * 6 + ["anna"] * 2
