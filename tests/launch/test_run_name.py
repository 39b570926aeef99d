import dataclasses
import doctest
import hashlib
import itertools
import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from mtal.free_keys import FREE_KEYS
from mtal.launch import run_name
from mtal.launch.run_name import run_folder_name
from mtal.learning.stop import StopRule

COMMANDS = [
    "",
    "seed=1",
    "seed=10",
    "acquisition/fusion=mean",
    "acquisition/fusion=mean,seed=1",
    "acquisition/fusion=max,seed=1",
    "data.root=/a/b,data=vocalfolds",
    "data.root=/a_b,data=vocalfolds",
    "data.root=/a b,data=vocalfolds",
    "data.root=_a_b,data=vocalfolds",
    "data.root=../x",
    "data.root=.",
    "frames.image_size=[64,64]",
    "frames.image_size=(64,64)",
    "frames.image_size=_64,64_",
    "acquisition/signals=entropy",
    "+acquisition.head_weights.tools=2",
    "encoder.weights=/" + "x" * 300,
    "encoder.weights=/" + "x" * 301,
    "tags=" + "é" * 119,
    "tags=" + "図" * 119,
]


def test_doctest():
    assert doctest.testmod(run_name).failed == 0
    assert doctest.testmod(run_name).attempted == 3


def test_different_options_different_folders():
    names = [run_folder_name(c) for c in COMMANDS]
    assert len(set(names)) == len(COMMANDS)
    for a, b in itertools.combinations(names, 2):
        assert a.casefold() != b.casefold()


def test_same_options_same_folder():
    """In any process and by any later version: else a run that was killed is not found again."""
    assert run_folder_name("frames.image_size=[64,64]") == "image_size=_64,64_-27212afb"


def test_what_changes_no_result_names_no_folder():
    """Each free option, and where a whole group is free all that its choices have."""
    configs = Path(run_name.__file__).parents[2] / "configs"
    config = OmegaConf.load(configs / "config.yaml")
    without = set(config.hydra.job.config.override_dirname.exclude_keys)
    groups = {key for key in FREE_KEYS if (configs / key).is_dir()}
    assert groups == {"logger", "scoring"}
    assert set(FREE_KEYS) - {"loop.stop"} <= without
    assert {f"loop.stop.{field.name}" for field in dataclasses.fields(StopRule)} <= without
    for group in groups:
        for choice in (configs / group).glob("*.yaml"):
            assert {
                f"{group}.{key}" for key in OmegaConf.load(choice) if not key.startswith(("_", "defaults"))
            } <= without


def test_safe_as_one_folder_s_name():
    for command in COMMANDS:
        name = run_folder_name(command)
        assert re.fullmatch(r"[\w.,=+-]{1,120}", name)
        assert len(name.encode()) <= 255
        assert not name.startswith(".")


def test_plain_options_stay_legible():
    assert run_folder_name("") == "default"
    assert run_folder_name("acquisition/fusion=mean,acquisition/selector=badge,seed=1") == (
        "fusion=mean,selector=badge,seed=1"
    )


LONG = "acquisition.minimum_gap_s=0,acquisition/selector=top_k,data.root=/a/very/long/way/to/frames,data=vocalfolds,"
LONG += "encoder.name=test_efficientnet,frames.image_size=[64,64],seed=20,strategy=headroom_mean,trainer.batch_size=4"


class TestLongNames:
    def test_begin_with_what_is_swept(self):
        name = run_folder_name(LONG, swept=["strategy", "seed"])
        assert name.startswith("strategy=headroom_mean,seed=20,minimum_gap_s=0,selector=top_k,")
        assert re.search(r"-[0-9a-f]{8}$", name)

    def test_begin_with_the_way_to_pick_otherwise(self):
        name = run_folder_name(LONG)
        assert name.startswith("strategy=headroom_mean,minimum_gap_s=0,selector=top_k,seed=20,batch_size=4,")
        assert ",root=frames-" in run_folder_name("data.root=/a/very/long/way/to/frames,seed=1")

    def test_differ_in_the_options_of_a_sweep(self):
        names = [run_folder_name(LONG.replace("seed=20", f"seed={n}"), swept=["seed"]) for n in range(3)]
        assert [name.split(",")[0] for name in names] == ["seed=0", "seed=1", "seed=2"]

    def test_tell_options_apart_that_end_alike(self):
        both = ["trainer.pseudo_labels.weight", "trainer.propagation.weight"]
        name = run_folder_name(f"{LONG},{both[0]}=0,{both[1]}=1", swept=both)
        assert name.startswith("pseudo_labels.weight=0,propagation.weight=1,strategy=headroom_mean,")

    @pytest.mark.parametrize("swept", [(), ("seed",)])
    def test_of_an_earlier_version_is_found(self, tmp_path, swept):
        digest = hashlib.sha256(LONG.encode()).hexdigest()[:8]
        old = f"{LONG.replace('acquisition/', '').replace('/', '_').replace('[', '_').replace(']', '_')[:100]}-{digest}"
        (tmp_path / "another-00000000").mkdir()
        (tmp_path / old).mkdir()
        assert run_folder_name(LONG, str(tmp_path), swept) == old
        assert run_folder_name(LONG + "0", str(tmp_path), swept) != old

    def test_of_a_sweep_is_found_by_the_run_itself(self, tmp_path):
        name = run_folder_name(LONG, str(tmp_path), ["seed"])
        assert name != run_folder_name(LONG, str(tmp_path))
        (tmp_path / name).mkdir()
        assert run_folder_name(LONG, str(tmp_path)) == name
