from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from mtal.launch import register
from mtal.learning.experiment import build_experiment
from mtal.learning.made import made
from mtal.models.weights import PretrainedWeightsUnavailableError
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


def test_an_object_s_own_options_with_those_inside_it():
    wrong = (
        "acquisition/selector=switch",
        "acquisition.selector.first.minimum_size=0",
        "acquisition.selector.last=0",
        "acquisition.minimum_gap_s=-1",
        "acquisition.level=x",
    )
    with pytest.raises(ValueError, match=r"^4 wrong options:\n") as error:
        made(acquisition(*wrong))
    for each, word in zip(told(error), ["minimum_size", "last of switch", "level", "minimum_gap_s"], strict=True):
        assert word in each


def test_own_options_wait_for_an_object_that_has_no_default(tmp_path: Path):
    """Here a folder that is to be read: what it would be judged by is not there."""
    missing = {"_target_": "mtal.datasets.vocalfolds.load", "root": str(tmp_path / "nowhere")}
    around = {"_target_": "mtal.acquisition.selectors.Switch", "first": missing, "then": missing, "last": 0}
    with pytest.raises(FileNotFoundError, match="nowhere"):
        made(OmegaConf.create(around))


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
                "frames.backend=x",
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
    with pytest.raises(ValueError, match=r"^11 wrong options:\n") as error:
        build_experiment(config)
    wanted = [
        "loop.batch",
        "fit",
        "backend",
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


@pytest.fixture(scope="module")
def right() -> DictConfig:
    """Of a run that would read its data next."""
    register()
    groups = ["data=videos", "data.root=nowhere", "oracle=label_studio", "oracle.store=x", "encoder=vit_tiny"]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("config", [*groups, "encoder.frozen=true", "model.temporal=attention"])


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (
            {"oracle.project": "ab", "oracle.poll_s": 0, "oracle.url": "ward:8080", "logger.mode": "onlin"},
            [
                "poll_s must be seconds above 0",
                "url=ward:8080 is no address",
                "titles of 3 to 50 signs",
                "unknown W&B mode 'onlin'",
            ],
        ),
        (
            {"oracle.speed": 2, "loop.batch": 0},
            ["loop.batch", "oracle: LabelStudioOracle: got an unexpected keyword argument 'speed'"],
        ),
        (
            {"encoder.name": "nowhere", "encoder.match": "x", "encoder.weights": "gone.pth", "encoder.std": [0, 0, 0]},
            ["unknown encoder 'nowhere'", "encoder.std", "encoder.match", "no file gone.pth"],
        ),
        (
            {"encoder.name": "vit_base_patch32_plus_256", "encoder.pretrained": True, "model.hidden": 0},
            ["no weights of 'vit_base_patch32_plus_256'", "model.hidden must be 1 or more"],
        ),
        (
            {
                "encoder.name": "resnet18",
                "encoder.frozen": False,
                "frames.image_size": [100, 128],
                "model.decoder": "dpt",
                "model.channels": 0,
                "model.dropout": 2,
                "model.window": 0,
                "augment.flip": True,
            },
            [
                "augment would change",
                "divisible by 32, not 100x128",
                "model.channels must be 1 or more",
                "model.dropout must be a share",
                "is a CNN and takes model.decoder=fpn",
                "model.window",
                "set encoder.frozen=true",
            ],
        ),
        (
            {"encoder.name": "levit_128s", "encoder.channels": "x", "frames.image_size": [128]},
            ["encoder.channels", "a height and a width", "no pyramid"],
        ),
        ({"frames.image_size": [48, 48]}, ["DPT over vit_tiny_patch16_224 needs a height and width divisible by 32"]),
        (
            {"encoder.name": "vit_small_patch14_dinov2", "frames.image_size": [126, 126], "model.decoder": "x"},
            ["unknown decoder 'x'"],
        ),
    ],
)
def test_groups_that_need_data_or_weights_to_be_made(right: DictConfig, options: dict[str, Any], wanted: list[str]):
    """What is wrong with them is told with the rest, before data are looked for."""
    config = right.copy()
    for key, value in options.items():
        OmegaConf.update(config, key, value, force_add=True)
    with pytest.raises(ValueError, match=r".") as error:
        build_experiment(config)
    found = told(error) if hasattr(error.value, "refused") else [str(error.value)]
    assert len(found) == len(wanted), found
    for each, word in zip(found, wanted, strict=True):
        assert word in each


def test_an_encoder_without_weights_is_told_as_what_it_is(right: DictConfig):
    config = right.copy()
    config.encoder.update(name="vit_base_patch32_plus_256", pretrained=True)
    with pytest.raises(PretrainedWeightsUnavailableError, match="no weights of"):
        build_experiment(config)


def test_right_options_of_all_groups_go_on_to_the_data(right: DictConfig):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        build_experiment(right)
