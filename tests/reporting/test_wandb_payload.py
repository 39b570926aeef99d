from __future__ import annotations

import pandas as pd
import pytest

from mtal.reporting import read_run
from mtal.reporting.wandb_payload import MOST_IMAGES, PICTURES, TABLE, payload, scalars

# W&B leaves its temporary folders to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")


def test_the_numbers_of_a_round(run_dir):
    run = read_run(run_dir)
    numbers = scalars(run, run.rounds[2])
    heads = {
        "tools/mAP": 0.7,
        "tools/AP/grasper": 0.8,
        "tools/AP/hook": 0.6,
        "joint": 0.6,
        "anatomy/mIoU": 0.5,
        "anatomy/Dice": 0.65,
        "anatomy/IoU/liver": 0.7,
        "anatomy/IoU/gallbladder": 0.3,
    }
    counts = {
        "class_counts/tools/grasper": 12,
        "class_counts/tools/hook": 0,
        "class_counts/bleeding/bleeding": 0,
        "class_counts/anatomy/liver": 12,
        "class_counts/anatomy/gallbladder": 2,
        "class_counts/anatomy/fat": 0,
    }
    answers = {f"answers/{head}": 12 for head in ("tools", "bleeding", "anatomy")}
    seconds = {"score": 1.5, "select": 0.25, "label": 0.5, "train": 75.0, "evaluate": 2.0}
    # reasons take turns between anatomy and tools
    shares = {"share/tools": 0.5, "share/anatomy": 0.5, "share/bleeding": 0.0}
    assert numbers == pytest.approx(
        {
            "labelled": 12,
            "picked": 4,
            **heads,
            **answers,
            **counts,
            **shares,
            **{f"seconds/{k}": s for k, s in seconds.items()},
        }
    )


def test_shares_add_up_where_signals_of_all_heads_together_spoke(run_dir):
    path = run_dir / "rounds" / "01" / "picks.parquet"
    reasons = ["shared", "tools", "shared", "anatomy"]
    pd.read_parquet(path).assign(reason_task=reasons).to_parquet(path)
    run = read_run(run_dir)
    shares = {k: v for k, v in scalars(run, run.rounds[1]).items() if k.startswith("share/")}
    assert shares == {"share/tools": 0.25, "share/bleeding": 0.0, "share/anatomy": 0.25, "share/shared": 0.5}


def test_no_share_without_scores(run_dir):
    run = read_run(run_dir)
    assert not any(key.startswith("share/") for key in scalars(run, run.rounds[0]))


def test_a_whole_pool_is_shown_in_part_and_listed_whole(make_run):
    run = read_run(make_run("all", rounds=1, per_round=MOST_IMAGES + 3))
    content = payload(run, run.rounds[0])
    assert len(content[PICTURES]) == MOST_IMAGES
    assert len(content[TABLE].data) == MOST_IMAGES + 3
