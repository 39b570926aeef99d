from __future__ import annotations

import pytest
import yaml

from mtal.reporting.run_options import in_words, own_options, strategy, sweep_of

SWEEP = ["data=vocalfolds", "loop.batch=8", "strategy=mean,random", "seed=0,1", "name=study"]


@pytest.fixture
def started(tmp_path):
    """``started(options, mode, ...)`` is a run folder as Hydra leaves it."""

    def start(given, mode="MULTIRUN", params=None, sweep=SWEEP):
        run = tmp_path / "run"
        (run / ".hydra").mkdir(parents=True)
        job = {"config": {"override_dirname": {"exclude_keys": ["name", "run_root"]}}}
        hydra = {"mode": mode, "overrides": {"task": given}, "job": job}
        (run / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump({"hydra": hydra}))
        whole = {"overrides": {"task": sweep}, "sweeper": {"params": params}}
        (tmp_path / "multirun.yaml").write_text(yaml.safe_dump({"hydra": whole}))
        return run

    return start


def test_what_the_sweep_shares_does_not_tell_runs_apart(started):
    run = started(["data=vocalfolds", "loop.batch=8", "strategy=mean", "seed=1", "name=study"])
    assert own_options(run) == {"strategy": "mean", "seed": "1"}
    assert strategy(run) == "mean"
    assert in_words(own_options(run)) == "mean, seed=1"


@pytest.mark.parametrize("own", ["strategy=max", "acquisition/fusion=max"])
def test_a_sweep_of_one_strategy_tells_it(started, own):
    """Another sweep of the same name, with another strategy, lies beside it and overwrites what is shared."""
    run = started(["data=vocalfolds", own, "seed=1"], sweep=["data=vocalfolds", own, "seed=0,1"])
    assert strategy(run).endswith("max")


def test_choices_of_the_recipe_count_as_those_of_the_command_line(started):
    params = {"acquisition/fusion": "mean,max", "seed": "range(3)", "loop.rounds": 5}
    given = ["acquisition/fusion=max", "seed=2", "loop.rounds=5"]
    run = started(given, params=params, sweep=["experiment=x"])
    assert own_options(run) == {"fusion": "max", "seed": "2"}


def test_a_run_by_itself_has_all_its_options(started):
    run = started(["data=vocalfolds", "acquisition.fusion.k=9", "run_root=x"], mode="RUN")
    assert own_options(run) == {"data": "vocalfolds", "fusion.k": "9"}
    assert sweep_of(run, {"name": "study", "logger": {"group": None}}) is None


def test_seeds_alone_are_one_strategy(started):
    assert strategy(started(["seed=1"], sweep=["seed=0,1"])) == "default"


def test_the_sweep_is_the_group_or_else_the_name(started, tmp_path):
    run = started(["seed=1"])
    assert sweep_of(run, {"name": "study"}) == "study"
    assert sweep_of(run, {"name": "study", "logger": {"group": "mine"}}) == "mine"


def test_without_a_command_line(tmp_path):
    assert own_options(tmp_path) == {}
    assert strategy(tmp_path) == "default"
