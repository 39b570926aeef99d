import inspect
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_method
from omegaconf import OmegaConf

from mtal.launch import refuse_unknown, register
from mtal.tasks import build_tasks

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
ADAPTERS = (
    "annotations",
    "cholec80",
    "cholecseg8k",
    "cholect50",
    "dsad",
    "endoscapes",
    "endovis2018",
    "m2caiseg",
    "table",
    "vocalfolds",
)
TASKS = {  # group of heads → data set that has them all
    "tools": "cholect50",
    "anatomy": "dsad",
    "tools_and_anatomy": "endovis2018",
    "tools_and_phase": "cholec80",
    "with_phase": "cholecseg8k",
    "surgical": "m2caiseg",
}


@pytest.mark.parametrize("name", ADAPTERS)
def test_every_argument_is_in_the_config_with_its_default(name):
    config = OmegaConf.to_container(OmegaConf.load(CONFIGS / "data" / f"{name}.yaml"))
    arguments = inspect.signature(get_method(config.pop("_target_"))).parameters
    assert list(config) == list(arguments)
    for key, argument in arguments.items():
        if argument.default is inspect.Parameter.empty:
            assert config[key] == "???"
            continue
        default = argument.default
        assert config[key] == (list(default) if isinstance(default, tuple) else default)


@pytest.mark.parametrize(("group", "data"), TASKS.items())
def test_heads_are_those_of_a_data_set(group, data):
    register()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        heads = compose("config", overrides=[f"tasks={group}", f"data={data}"]).tasks.heads
    module = inspect.getmodule(get_method(f"mtal.datasets.{data}.load"))
    maps = [getattr(module, n) for n in ("TOOLS", "MASK_TOOLS", "BLEEDING", "ANATOMY", "PHASE") if hasattr(module, n)]
    if data == "cholecseg8k":
        from mtal.datasets.cholec80 import PHASE

        maps.append(PHASE)
    assert [t.name for t in build_tasks(maps, heads)] == list(heads)


def test_classes_of_masks_on_the_command_line():
    register()
    option = "data.mask_classes={1: liver, 2/0/2: fat}"
    refuse_unknown(CONFIGS, ["data=table", option])
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("config", overrides=["data=table", option]).data
    assert dict(config.mask_classes) == {1: "liver", "2/0/2": "fat"}
