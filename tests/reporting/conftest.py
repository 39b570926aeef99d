"""A small run folder, written by hand so that reporting is tested against the format and not against its writer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mtal.reporting import write_report

TASKS: dict[str, dict[str, Any]] = {
    "tools": {
        "family": "bernoulli",
        "support": "frame",
        "classes": ["grasper", "hook"],
        "colors": [[170, 255, 0], [169, 255, 184]],
    },
    "bleeding": {"family": "bernoulli", "support": "frame", "classes": ["bleeding"], "colors": [[255, 0, 0]]},
    "anatomy": {
        "family": "categorical",
        "support": "pixel",
        "classes": ["liver", "gallbladder", "fat"],
        "colors": [[255, 114, 114], [255, 160, 165], [186, 183, 75]],
    },
}
CONFIG = """\
name: demo
seed: 7
data:
  _target_: mtal.datasets.synthetic.load
  root: data/synthetic
encoder:
  name: resnet18
  pretrained: false
  frozen: true
acquisition:
  _target_: mtal.acquisition.Acquisition
  signals:
    entropy: {_target_: mtal.acquisition.signals.Entropy}
  fusion:
    _target_: mtal.acquisition.fusion.ReciprocalRank
    k: 60.0
  minimum_gap_s: 2.0
loop:
  initial: 4
  batch: 4
  rounds: 2
logger:
  mode: offline
"""
HEIGHT, WIDTH = 24, 40


def write_run(folder: Path, rounds: int = 3, per_round: int = 4, tasks: dict[str, Any] | None = None) -> Path:
    """A run with ``rounds`` rounds of ``per_round`` picks; bleeding is annotated nowhere, so its metrics are null."""
    folder.mkdir(parents=True)
    tasks = TASKS if tasks is None else tasks
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "tasks.json").write_text(json.dumps(tasks))
    count = rounds * per_round
    frames = [frame(k) | {"source": "video01.mp4", "split": "pool" if k < count else "test"} for k in range(count + 5)]
    pd.DataFrame(frames).to_parquet(folder / "frames.parquet")
    (folder / "rounds").mkdir()
    for number in range(rounds):
        write_round(folder, number, per_round, tasks)
    return folder


def frame(k: int) -> dict[str, Any]:
    """Frame k of the one video there is, at one frame per second of 25."""
    return {
        "frame_id": f"video01/{25 * k:06d}",
        "patient": "patient1",
        "video": "video01",
        "frame": 25 * k,
        "time_s": float(k),
    }


def write_round(folder: Path, number: int, per_round: int, tasks: dict[str, Any]) -> None:
    path = folder / "rounds" / f"{number:02d}"
    (path / "images").mkdir(parents=True)
    rows = []
    for order in range(per_round):
        rows.append({"order": order, **frame(number * per_round + order), **scores(number, order), **labels(tasks)})
        _write_images(path / "images", order, predicted=number > 0)
    pd.DataFrame(rows).to_parquet(path / "picks.parquet")
    (path / "metrics.json").write_text(json.dumps(record(number, per_round, tasks)))
    (path / "timings.json").write_text(
        json.dumps({"score": 1.5, "select": 0.25, "label": 0.5, "train": 75.0, "evaluate": 2.0})
    )


def scores(number: int, order: int) -> dict[str, Any]:
    """The first pick has the highest scores; anatomy's entropy is the reason for even picks, tools' for odd ones."""
    if number == 0:
        return {"utility": float("nan"), "reason_task": None, "reason_signal": None, "reason_percentile": float("nan")}
    task, percentile = ("anatomy", 98.7) if order % 2 == 0 else ("tools", 91.2)
    return {
        "utility": 0.9 - 0.1 * order,
        "score/tools/entropy": 0.5 - 0.01 * order,
        "percentile/tools/entropy": 91.2,
        "score/anatomy/entropy": 0.25,
        "percentile/anatomy/entropy": 98.7 if order % 2 == 0 else 40.0,
        "reason_task": task,
        "reason_signal": "entropy",
        "reason_percentile": percentile,
    }


def labels(tasks: dict[str, Any]) -> dict[str, Any]:
    """The first class of every frame-level task is present; bleeding is not annotated."""
    frame_tasks = {name: task for name, task in tasks.items() if task["support"] == "frame"}
    return {
        f"label/{name}": [255] if name == "bleeding" else [1] + [0] * (len(task["classes"]) - 1)
        for name, task in frame_tasks.items()
    }


def record(number: int, per_round: int, tasks: dict[str, Any]) -> dict[str, Any]:
    gain = 0.1 * number
    first_tool = tasks["tools"]["classes"][0]
    return {
        "round": number,
        "labelled": (number + 1) * per_round,
        "picked": per_round,
        "metrics": {
            "tools/mAP": 0.5 + gain,
            f"tools/AP/{first_tool}": 0.6 + gain,
            "tools/AP/hook": 0.4 + gain,
            "bleeding/AP": None,
            "bleeding/AUROC": None,
            "bleeding/sensitivity": None,
            "anatomy/mIoU": 0.3 + gain,
            "anatomy/Dice": 0.45 + gain,
            "anatomy/IoU/liver": 0.5 + gain,
            "anatomy/IoU/gallbladder": 0.1 + gain,
            "anatomy/IoU/fat": None,
            "joint": 0.4 + gain,
        },
        "by_patient": {
            "tools": {"metric": "mAP", "mean": 0.65, "worst": 0.5, "patients": {"p8": 0.8, "p9": 0.5, "p10": None}},
            "bleeding": {"metric": "AP", "mean": None, "worst": None, "patients": {"p8": None}},
        },
        "events": {
            "bleeding": {
                "found": 3,
                "missed": 1,
                "seconds_to_detection": 1.5,
                "false_alarms": 1,
                "seconds": 90.0,
            }
        },
        "answers": dict.fromkeys(("tools", "bleeding", "anatomy"), 4 * (number + 1)),
        "class_counts": {
            "tools": {first_tool: 4 * (number + 1), "hook": 0},
            "bleeding": {"bleeding": 0},
            "anatomy": {"liver": 4 * (number + 1), "gallbladder": 2, "fat": 0},
        },
    }


def label_mask() -> np.ndarray:
    """Left half liver, right half gallbladder, top row not annotated."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[:, WIDTH // 2 :] = 1
    mask[0] = 255
    return mask


def _write_images(folder: Path, order: int, *, predicted: bool) -> None:
    grey = np.full((HEIGHT, WIDTH, 3), 90 + order, dtype=np.uint8)
    Image.fromarray(grey).save(folder / f"{order:04d}.jpg")
    Image.fromarray(label_mask()).save(folder / f"{order:04d}.anatomy.png")
    if predicted:
        Image.fromarray(np.zeros((HEIGHT, WIDTH), dtype=np.uint8)).save(folder / f"{order:04d}.anatomy.pred.png")


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """Three rounds of four picks, three heads, bleeding without labels."""
    return write_run(tmp_path / "trial")


@pytest.fixture(scope="session")
def drawn_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run with its report, for tests that only look."""
    folder = write_run(tmp_path_factory.mktemp("drawn") / "trial")
    write_report(folder)
    return folder


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """``make_run(name, rounds=..., per_round=..., tasks=...)`` writes another run folder."""
    return lambda name, **options: write_run(tmp_path / name, **options)


@pytest.fixture
def add_round() -> Callable[[Path, int], None]:
    """``add_round(run_dir, number)`` completes one more round of four picks."""
    return lambda folder, number: write_round(folder, number, 4, TASKS)


@pytest.fixture
def tasks() -> dict[str, Any]:
    """A copy of the tasks that a test may change."""
    return json.loads(json.dumps(TASKS))


@pytest.fixture
def no_wandb_account(monkeypatch, tmp_path):
    """W&B without an account, and with a home folder in which anything it leaves would be seen."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / "netrc"))
