from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from mtal.launch import register
from mtal.learning.experiment import build_experiment
from mtal.learning.made import made
from tests.composed import CONFIGS, acquisition


def told(error: pytest.ExceptionInfo[Exception]) -> list[str]:
    return [str(each) for each in error.value.refused]


def test_all_objects_inside_at_once():
    config = acquisition(
        "acquisition/selector=clips",
        "acquisition.selector.clip_s=-1",
        "acquisition/fusion=chebyshev",
        "acquisition.fusion.rho=-1",
        "acquisition/signals=contrastive",
        "acquisition.signals.contrastive.k=0",
        "acquisition.signals.contrastive.eps=0",
    )
    with pytest.raises(ValueError, match=r"^4 wrong options:\n") as error:
        made(config)
    assert sorted(each.partition(" ")[0] for each in told(error)) == ["clip_s", "eps", "k", "rho"]


def test_lists_and_plain_mappings_hold_objects_too():
    clips = {"_target_": "mtal.acquisition.selectors.Clips"}
    inside = {"a": [{**clips, "clip_s": -1}], "b": {"c": {**clips, "clip_s": -2}}}
    with pytest.raises(ValueError, match=r"^2 wrong options:\n.*not -1\n.*not -2$"):
        made(OmegaConf.create({"_target_": "builtins.dict", **inside}))


def test_an_option_that_there_is_not():
    with pytest.raises(InstantiationException, match="no option 'minimum_gap'"):
        made(acquisition("+acquisition.minimum_gap=2"))


def test_a_place_that_is_not_there(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        made(OmegaConf.create({"_target_": "mtal.datasets.vocalfolds.load", "root": str(tmp_path / "nowhere")}))


def test_all_groups_of_a_run_at_once(tmp_path: Path):
    """Before anything is looked for on disk."""
    register()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose(
            "config",
            [
                "data=videos",
                f"data.root={tmp_path / 'nowhere'}",
                "loop.batch=0",
                "frames.fit=x",
                "tasks.weighting=x",
                "evaluation.resolution=x",
                "trainer.steps=0",
                "acquisition.members=1",
                "scoring=submitit",
                "scoring.jobs=0",
                "augment=light",
                "augment.hue=2",
                "data.hygiene.window=0",
                "data.sampler.rate_hz=0",
            ],
        )
    with pytest.raises(ValueError, match=r"^10 wrong options:\n") as error:
        build_experiment(config)
    wanted = [
        "loop.batch",
        "fit",
        "weighting",
        "resolution",
        "trainer.steps",
        "members",
        "scoring.jobs",
        "hue",
        "rate",
        "window=0",
    ]
    for each, word in zip(told(error), wanted, strict=True):
        assert word in each
