"""Sweeps written by hand: run folders with learning curves that are known beforehand."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from made_once import made_once

from mtal.reporting.comparison import Comparison, compare, write_comparison

TASKS = {
    "tools": {"family": "bernoulli", "support": "frame", "classes": ["grasper", "hook"], "colors": [[0, 0, 0]] * 2},
    "bleeding": {"family": "bernoulli", "support": "frame", "classes": ["bleeding"], "colors": [[255, 0, 0]]},
    "anatomy": {"family": "categorical", "support": "pixel", "classes": ["liver", "fat"], "colors": [[9, 9, 9]] * 2},
}
POOL = 400


def config(seed: int = 0, rounds: int = 4, **acquisition: Any) -> dict[str, Any]:
    """A configuration of the default methods; ``fusion="Max"`` and so on name others."""
    methods = {"fusion": "WeightedMean", "selector": "Badge", "weights": "Equal"} | acquisition
    return {
        "name": "study",
        "seed": seed,
        "data": {"_target_": "mtal.datasets.synthetic.load", "root": "data/synthetic"},
        "encoder": {"name": "resnet18"},
        "acquisition": {
            k: {"_target_": f"mtal.acquisition.{k}.{v}"} if isinstance(v, str) else v for k, v in methods.items()
        },
        "loop": {"initial": 10, "batch": 10, "rounds": rounds},
        "logger": {"mode": "offline"},
    }


def write_run(
    folder: Path,
    config: Mapping[str, Any],
    labelled: Sequence[int],
    curves: Mapping[str, Sequence[float]],
    cost_s: float | None = None,
    reason: Sequence[str] = ("tools",),
    complete: int | None = None,
) -> Path:
    """A run whose heads score ``curves``; frames are picked at random, one per second of four videos.

    Args:
        folder: of the run.
        config: its configuration.
        labelled: frames after each round.
        curves: head → main metric per round; the joint score is their mean.
        cost_s: annotator seconds of each pick, if recorded.
        reason: heads that drive the picks, in turn.
        complete: how many rounds are there, all if None.
    """
    (folder / "rounds").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(dict(config)))
    (folder / "tasks.json").write_text(json.dumps(TASKS))
    ids = np.arange(POOL)
    frames = pd.DataFrame({"frame_id": [f"video{k % 4}/{k // 4:06d}" for k in ids], "split": "pool"})
    frames["video"], frames["time_s"], frames["frame"] = (
        [f"video{k % 4}" for k in ids],
        (ids // 4).astype(float),
        ids // 4,
    )
    frames["patient"] = frames["video"]
    frames.to_parquet(folder / "frames.parquet")
    order = np.random.default_rng(int(config["seed"])).permutation(POOL)
    before = 0
    for number, total in enumerate(labelled[:complete]):
        path = folder / "rounds" / f"{number:02d}"
        path.mkdir()
        picks = frames.drop(columns="split").iloc[order[before:total]].reset_index(drop=True)
        picks.insert(0, "order", np.arange(len(picks)))
        picks["reason_task"] = [reason[k % len(reason)] if number else None for k in range(len(picks))]
        if number:
            picks["percentile/tools/entropy"] = 75.0
        if number and cost_s is not None:
            picks["cost_s"] = cost_s
        picks.to_parquet(path / "picks.parquet")
        record = _record(number, total, total - before, {head: values[number] for head, values in curves.items()})
        (path / "metrics.json").write_text(json.dumps(record))
        (path / "timings.json").write_text(json.dumps({"train": 1.0}))
        before = total
    return folder


def _record(number: int, labelled: int, picked: int, heads: Mapping[str, float]) -> dict[str, Any]:
    """Both classes of a head score the same; the hook is in one frame of twenty, everything else is in half of them."""
    main = {"tools": "tools/mAP", "bleeding": "bleeding/AP", "anatomy": "anatomy/mIoU"}
    metrics: dict[str, Any] = {main[head]: value for head, value in heads.items()}
    for head, name in (("tools", "AP"), ("anatomy", "IoU")):
        if head in heads:
            metrics |= {f"{head}/{name}/{c}": heads[head] for c in TASKS[head]["classes"]}
    metrics["joint"] = float(np.mean(list(heads.values())))
    counts = {
        task: {c: labelled // (20 if c == "hook" else 2) for c in entry["classes"]} for task, entry in TASKS.items()
    }
    return {"round": number, "labelled": labelled, "picked": picked, "metrics": metrics, "class_counts": counts}


@pytest.fixture
def configure() -> Callable[..., dict[str, Any]]:
    """``configure(seed, rounds, fusion="Max", ...)`` gives a configuration."""
    return config


@pytest.fixture
def write() -> Callable[..., Path]:
    """``write(folder, config, labelled, curves, ...)`` writes one run, see :func:`write_run`."""
    return write_run


def write_sweep(
    folder: Path, gains: Mapping[str, float], seeds: int = 5, rounds: int = 4, noise: float = 0.01, **options: Any
) -> Path:
    """Per strategy and seed, a run whose curves end that much higher.

    All heads score 0.4 + (0.2 + gain)·t + noise of the seed, with t from 0 to 1.
    """
    t = np.linspace(0, 1, rounds + 1)
    for strategy, gain in gains.items():
        for seed in range(seeds):
            jitter = noise * np.random.default_rng([seed, *strategy.encode()]).normal(size=rounds + 1)
            curve = (0.4 + (0.2 + gain) * t + jitter).tolist()
            selectors = {"random": "Random", "HiddenLabelBound": "HiddenLabelBound"}
            methods = {"selector": selectors[strategy]} if strategy in selectors else {"fusion": strategy}
            write_run(
                folder / f"{strategy},seed={seed}",
                config(seed, rounds, **methods),
                [10 * (k + 1) for k in range(rounds + 1)],
                dict.fromkeys(TASKS, curve),
                **options,
            )
    return folder


@pytest.fixture
def sweep(tmp_path: Path) -> Callable[..., Path]:
    """``sweep({"random": 0.0, "Max": 0.1}, ...)``, see :func:`write_sweep`."""
    return lambda gains, **options: write_sweep(tmp_path / "sweep", gains, **options)


def write_study(folder: Path) -> None:
    """Five strategies, six seeds each, one run unfinished; costs are recorded and one name holds markup."""
    gains = {"random": 0.0, "Max": 0.2, "Copeland": 0.0, "Pareto": -0.2, "A<b>&_$x$": 0.1}
    write_sweep(folder / "sweep", gains, seeds=6, cost_s=30.0)
    last = folder / "sweep" / "Max,seed=2" / "rounds" / "04"
    last.rename(last.with_name(".04"))
    comparison = compare([folder / "sweep"])
    (folder / "comparison.pkl").write_bytes(pickle.dumps(comparison))
    write_comparison(comparison, folder / "written")


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where :func:`write_study` has written."""
    return made_once(tmp_path_factory, "compared", write_study)


@pytest.fixture(scope="session")
def compared(study: Path) -> Comparison:
    """The comparison of its sweep."""
    comparison: Comparison = pickle.loads((study / "comparison.pkl").read_bytes())
    return comparison


@pytest.fixture(scope="session")
def written(study: Path) -> Path:
    """The folder that the comparison was written to."""
    return study / "written"
