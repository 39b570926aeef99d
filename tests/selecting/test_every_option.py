"""Every option of the acquisition is served to recordings, or refused at the start in one sentence."""

import re
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from mtal.acquisition import (
    Acquisition,
    Badge,
    Blend,
    Limits,
    Measurement,
    PercentileRank,
    Say,
    Selection,
    WeightedMean,
)
from mtal.selecting.command import _warn_of_unread

pytestmark = [
    pytest.mark.filterwarnings("ignore:bleeding. no label so far", "ignore:.*the same score on all"),
    pytest.mark.filterwarnings("ignore:no frame is", "ignore:the cap", "ignore:every video"),
]

SERVED = [
    "signals=all .level=columns fusion=reciprocal_rank selector=top_k",
    "signals=[contrastive,epig,typicality] .nan_policy=neutral selector=stochastic",
    "signals=[bald,variance] .members=3 fusion@acquisition.signal_fusion=max selector=batch_bald",
    "signals=[entropy,margin] +.signal_weights.margin=2 normalizer=robust_min_max .per_video=true selector=top_k",
    "+.head_weights.tools=2 selector=class_stratified",
    ".gradient=shared weights=gradient_length .max_per_video=2 .site_weights=equal selector=badge",
    "weights=headroom selector=joint_cover",
    ".class_weights=headroom sites=class_weighted labels=weighted .calibrate=true selector=bait .shortlist=8",
    "weights=bandit cost=annotator_seconds query=worth_its_cost .max_per_patient=2 .minimum_gap_s=1 selector=clips",
]
"""Groups and values of the acquisition."""

ELSEWHERE = {"frozen_statistics", "cold_start"}  # tested below
REFUSED = {
    "signals=forgetting": "forgetting compares .* such as strategy=mean or acquisition/selector=badge",
    "signals=learning_loss": "the model of the checkpoint predicts no losses; choose other signals",
    "+.head_weights.tool=2": "head_weights names 'tool', which is not one of tools, bleeding, anatomy",
    "+.signal_weights.entrpy=2": "signal_weights names 'entrpy', which is not one of entropy",
    "fusion=single_task .fusion.task=tool": "no head is called 'tool'; heads are",
    "fusion=noisy_or normalizer=z_score": "NoisyOr needs scores from 0 to 1",
    "signals=expected_gradient_length normalizer=bounds": "Bounds cannot use the range",
    "selector=class_stratified normalizer=z_score": "power weights need utilities of 0 or more",
    "cost=annotator_seconds +.cost.frame_s.tool=2": "frame_s names 'tool', which is not one of",
    "cost=annotator_seconds +.cost.label_s.anatomy=2": "label_s names 'anatomy', which has no",
}


def overrides(options):
    return [re.sub(r"^(\+?)(\.?)", lambda m: f"{m[1]}acquisition{m[2] or '/'}", one) for one in options.split()]


def test_every_option_is_among_these():
    named = set(re.findall(r"acquisition[./](\w+)", " ".join(o for line in SERVED for o in overrides(line))))
    options = {f.name for part in (Measurement, Say, Blend, Selection, Limits) for f in fields(part)}
    assert options - named == ELSEWHERE


@pytest.mark.parametrize("options", SERVED)
def test_served(make, tmp_path, options):
    assert make(tmp_path / "found", *overrides(options), budget=4)
    assert len(pd.read_csv(tmp_path / "found" / "frames.csv")) == 4


@pytest.mark.parametrize("options", REFUSED)
def test_refused_at_the_start(make, tmp_path, options, monkeypatch):
    monkeypatch.setattr("mtal.selecting.selection._inputs", lambda *args: pytest.fail("decoded for nothing"))
    with pytest.raises(ValueError, match=REFUSED[options]) as told:
        make(tmp_path / "found", *overrides(options), budget=4)
    assert "\n" not in str(told.value.__cause__ or told.value)


FROZEN = (
    *("acquisition.frozen_statistics=true", "acquisition/normalizer=z_score", "acquisition/selector=top_k"),
    "acquisition/weights=equal",
)


@pytest.mark.parametrize("per_video", ["false", "true"])
def test_frozen_statistics_are_those_of_the_run(make, run, tmp_path, per_video):
    """The frames they are of are in no recording, which was a KeyError."""
    assert make(tmp_path / "found", *FROZEN, f"acquisition.per_video={per_video}")
    found = pd.read_csv(tmp_path / "found" / "frames.csv")
    first = pd.read_parquet(run / "rounds" / "01" / "scores.parquet")
    heads = [f"{task}/entropy" for task in ("tools", "anatomy")]  # bleeding never had a label
    scores = found[[f"score/{name}" for name in heads]].to_numpy()
    expected = ((scores - first[heads].mean().to_numpy()) / first[heads].std(ddof=0).to_numpy()).mean(axis=1)
    np.testing.assert_allclose(found["utility"], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("of_run", "options", "told"),
    [
        ("rounds/00", (), "mini never scored tools/entropy"),
        ("", ("acquisition/signals=margin",), "never scored tools/m"),
    ],
)
def test_frozen_statistics_that_the_run_does_not_have(make, run, tmp_path, of_run, options, told):
    with pytest.warns(UserWarning, match=f"{told}.*, so scores are normalised by the statistics of these recordings"):
        make(tmp_path / "frozen", *FROZEN, *options, checkpoint=run / of_run)
    make(tmp_path / "own", *FROZEN[1:], *options, checkpoint=run / of_run)
    frozen, own = (pd.read_csv(tmp_path / name / "frames.csv") for name in ("frozen", "own"))
    pd.testing.assert_frame_equal(frozen, own)


def test_a_cold_start_is_not_read():
    acquisition = Acquisition({}, PercentileRank(), WeightedMean(), Badge())
    with pytest.warns(UserWarning, match=r"cold_start=typiclust has no effect, .* there is no initial set"):
        _warn_of_unread(["acquisition/selector@acquisition.cold_start=typiclust"], acquisition)
    with pytest.warns(UserWarning, match="fusion=max has no effect, because Badge looks at no fused score"):
        _warn_of_unread(["acquisition/fusion=max"], acquisition)
