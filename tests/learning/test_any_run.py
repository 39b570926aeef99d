"""Whatever is combined with whatever: the budget is kept, nothing impossible is picked, no label is read unasked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import composed
import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from miniature import surgery
from miniature.watched import WatchedOracle, watched

from mtal.launch import register
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.trainer_settings import TrainerSettings
from mtal.scoring.inputs import FrameInputs

STRATEGIES = sorted(path.stem for path in (composed.CONFIGS / "strategy").glob("*.yaml"))
INITIAL, ROUNDS = 5, 2
DEAREST = 5 + 5 + 60 + 3 * 9  # seconds of a frame in which three tools are predicted
MOST = len(surgery.LABEL_MAPS)  # answers of a frame that all heads can be asked for


@dataclass(frozen=True)
class AnyRun:
    """What is drawn.

    Attributes:
        strategy: a way to pick.
        batch: frames per round.
        seconds: annotator seconds per round in their place, or ``None``.
        answers: to ask for per round in their place, or ``None``.
        frozen: whether features of a frozen encoder are trained on, or whole pictures.
        restart: of the training.
        gap_s: between picks.
        per_video: most picks of one video in a batch.
        unlabelled: task to the share of the pool that nobody can label.
        seed: of the run.
    """

    strategy: str
    batch: int
    seconds: float | None
    answers: int | None
    frozen: bool
    restart: str
    gap_s: float
    per_video: int | None
    unlabelled: dict[str, float]
    seed: int

    @classmethod
    def of(cls, budget: tuple[str, float], **drawn: Any) -> AnyRun:
        """With a budget of ``frames``, ``seconds`` or ``answers``, each in shares of the dearest frame."""
        unit, frames = budget
        return cls(
            batch=int(frames),
            seconds=DEAREST * frames if unit == "seconds" else None,
            answers=int(MOST * frames) if unit == "answers" else None,
            **drawn,
        )

    def overrides(self) -> list[str]:
        """Of the command line."""
        limits = [f"acquisition.minimum_gap_s={self.gap_s}"]
        limits += [] if self.per_video is None else [f"acquisition.max_per_video={self.per_video}"]
        dear = ["acquisition/cost=annotator_seconds", "+acquisition.cost.label_s.tools=9"]
        return [f"strategy={self.strategy}", *limits, *([] if self.seconds is None else dear)]


RUNS = st.builds(
    AnyRun.of,
    budget=st.tuples(st.sampled_from(["frames", "seconds", "answers"]), st.floats(1, 4)),
    strategy=st.sampled_from(STRATEGIES),
    frozen=st.booleans(),
    restart=st.sampled_from(["cold", "warm"]),
    gap_s=st.sampled_from([0.0, 1.5]),
    per_video=st.none() | st.integers(1, 3),
    unlabelled=st.fixed_dictionaries({m.task: st.sampled_from([0.0, 0.4]) for m in surgery.LABEL_MAPS}),
    seed=st.integers(0, 9),
)


@pytest.fixture(scope="module")
def acquisition():
    """Of a run, composed as the command line does it."""
    register()
    with initialize_config_dir(str(composed.CONFIGS), version_base="1.3"):
        yield lambda run: instantiate(compose("config", ["data=synthetic", *run.overrides()]).acquisition)


def missing(pool, drawn):
    """Task to the frames that nobody can label."""
    generator = np.random.default_rng(drawn.seed)
    return {task: {f for f in pool if generator.random() < share} for task, share in drawn.unlabelled.items()}


@settings(
    max_examples=8,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],  # a run is too slow to be made smaller
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(drawn=RUNS)
@pytest.mark.filterwarnings("ignore::UserWarning")  # rules give way, heads are silent, columns constant
def test_any_run(drawn, acquisition, dataset, frames, features, tasks, start):
    pool = dataset.index.split("pool").frame_ids
    nobody = missing(pool, drawn)
    data = watched(dataset, nobody)
    made = surgery.make_experiment(
        data,
        frames,
        features if drawn.frozen else FrameInputs(frames),
        make_model=partial(surgery.make_model, tasks, frozen=drawn.frozen),
        acquisition=acquisition(drawn),
        oracle=WatchedOracle(data),
        loop=LoopSettings(INITIAL, drawn.batch, ROUNDS, drawn.seconds, drawn.answers, folds=2, fold_steps=1),
        trainer=TrainerSettings(steps=1, batch_size=4, accelerator="cpu", restart=drawn.restart),
        seed=drawn.seed,
    )
    with TemporaryDirectory() as folder:
        start(made, Path(folder))
        rounds = [pd.read_parquet(file) for file in sorted(Path(folder).glob("rounds/*/picks.parquet"))]
        told = json.loads(Path(folder, "rounds", f"{ROUNDS:02d}", "metrics.json").read_text())
    assert len(rounds) == 1 + ROUNDS
    picked = [f for picks in rounds for f in picks["frame_id"]]
    assert len(set(picked)) == len(picked)
    assert data.labels.asked == set(picked)
    assert set(picked) <= set(pool) - set.intersection(*nobody.values())
    assert len(rounds[0]) == INITIAL
    got = {task: [f for f in picked if f not in nobody[task]] for task in nobody}
    assert told["answers"] == {task: len(some) for task, some in got.items()}
    for task in ("tools", "bleeding"):
        positives = dataset.labels.targets(task, got[task]).sum(axis=0, dtype=int)
        assert [*told["class_counts"][task].values()] == positives.tolist()
    for picks in rounds[1:]:
        asked = sum(f not in nobody[task] for f in picks["frame_id"] for task in nobody)
        if drawn.seconds is not None:
            assert drawn.seconds - DEAREST < picks["cost_s"].sum() <= drawn.seconds * (1 + 1e-9)
        elif drawn.answers is not None:
            assert drawn.answers - MOST < asked <= drawn.answers
        else:
            assert len(picks) == drawn.batch


def test_a_label_that_is_read_unasked_is_an_error(dataset):
    """What the others stand on."""
    data = watched(dataset)
    first, second = dataset.index.split("pool").frame_ids[:2]
    WatchedOracle(data).label([first], (8, 8))
    data.labels.targets("tools", [first])
    data.labels.labelled("tools", [second])
    data.labels.targets("tools", dataset.index.split("test").frame_ids)
    with pytest.raises(AssertionError, match="tools was read of 1 frames that nobody asked for"):
        data.labels.targets("tools", [first, second])
