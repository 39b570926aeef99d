import doctest
import itertools
import re

from mtal.launch import schema
from mtal.launch.schema import run_folder_name

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
]


def test_doctest():
    assert doctest.testmod(schema).failed == 0
    assert doctest.testmod(schema).attempted == 3


def test_different_options_different_folders():
    names = [run_folder_name(c) for c in COMMANDS]
    assert len(set(names)) == len(COMMANDS)
    for a, b in itertools.combinations(names, 2):
        assert a.casefold() != b.casefold()


def test_same_options_same_folder():
    assert [run_folder_name(c) for c in COMMANDS] == [run_folder_name(c) for c in COMMANDS]


def test_safe_as_one_folder_s_name():
    for command in COMMANDS:
        name = run_folder_name(command)
        assert re.fullmatch(r"[\w.,=+-]{1,120}", name)
        assert not name.startswith(".")


def test_plain_options_stay_legible():
    assert run_folder_name("") == "default"
    assert run_folder_name("acquisition/fusion=mean,acquisition/selector=badge,seed=1") == (
        "fusion=mean,selector=badge,seed=1"
    )
