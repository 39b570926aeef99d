import json
from pathlib import Path

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from miniature import cholecystectomy, vocalfolds

from mtal.launch import register
from mtal.learning.experiment import run_experiment

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
OPTIONS = [o for o in vocalfolds.OPTIONS if not o.startswith(("data=", "loop.", "acquisition."))]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("cholec")
    cholecystectomy.write_cholec80(root / "cholec80")
    cholecystectomy.write_cholecseg8k(root / "seg8k")
    return root


@pytest.mark.filterwarnings("ignore:.*the same score on all 2 frames")  # members agree on so few
@pytest.mark.parametrize(
    ("data", "heads"),
    [
        (["data=cholec80", "data.root={root}/cholec80", "tasks=tools_and_phase"], ["tools", "phase"]),
        (
            ["data=cholecseg8k", "data.root={root}/seg8k", "data.cholec80={root}/cholec80", "tasks=with_phase"],
            ["tools", "bleeding", "anatomy", "phase"],
        ),
    ],
    ids=["cholec80", "cholecseg8k"],
)
def test_the_phase_is_learnt_scored_and_measured(root, tmp_path, data, heads):
    """A categorical head of the frame goes through training, every signal of a head, fusion, BADGE and the metrics."""
    register()
    options = [o.format(root=root) for o in data]
    options += ["data.test_videos=[video12]", f"cache={tmp_path / 'cache'}", "acquisition/signals=all"]
    options += ["loop.initial=1", "loop.batch=1", "loop.rounds=1", "acquisition.minimum_gap_s=0"]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("config", overrides=[*OPTIONS, *options])
    metrics = run_experiment(config, tmp_path / "run")
    assert 0 <= metrics["phase/macro_F1"] <= 1
    scores = pd.read_parquet(tmp_path / "run/rounds/01/scores.parquet")
    entropy = {task: scores[f"{task}/entropy"] for task in heads}
    assert all(((values >= 0) & (values <= 1)).all() for values in entropy.values())
    described = json.loads((tmp_path / "run/tasks.json").read_text())
    assert list(described) == heads
    assert described["phase"]["family"] == "categorical"
    assert described["phase"]["support"] == "frame"
