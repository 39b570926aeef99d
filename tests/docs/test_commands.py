"""Every command that is shown is one that the program takes: its options, their choices and their values."""

import argparse
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
from composed import CONFIGS, once
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import instantiate
from omegaconf import OmegaConf

from mtal.launch import refuse_unknown, register
from mtal.launch.schema import RunSchema
from mtal.learning.loop_settings import LoopSettings
from mtal.selecting import Request

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
SHOWN = re.compile(r"python (scripts/.*)|make run ARGS=(.*)")
register()


def in_markdown(text: str) -> Iterator[str]:
    """Lines of the blocks of shell commands, variables filled in, and code within the lines."""
    for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL):
        variables = {"study": "study"}
        for line in block.replace("\\\n", " ").splitlines():
            assigned = re.fullmatch(r'(\w+)="(.*)"', line)
            variables |= {assigned[1]: assigned[2]} if assigned else {}
            yield re.sub(r"\$(\w+)", lambda name, known=variables: known[name[1]], line)
    yield from re.findall(r"(?<!`)`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL).replace("\n", " "))


def in_code(text: str) -> Iterator[str]:
    """What a docstring of a script or a comment of a configuration shows, without the brackets of what is optional."""
    for line in re.sub(r" *\\\n# +", " ", text).splitlines():
        shown = re.search(r"(?:^|# +|: |``)(python scripts/[^`]*?)(?:  .*|``.*)?$", line)
        if shown:
            yield re.sub(r"\[(--[^\]]+)\]", r"\1", shown[1]).replace("...", "")


def commands() -> list[tuple[str, ...]]:
    """Words of every command, the script first, each command once."""
    lines = [line for page in PAGES for line in in_markdown(page.read_text())]
    for file in [*(REPOSITORY / "scripts").glob("*.py"), *CONFIGS.rglob("*.yaml")]:
        lines += in_code(file.read_text())
    found = {}
    for line in lines:
        shown = SHOWN.search(line.replace("<name>", "cholec80").replace("…", ""))
        if shown:
            words = shlex.split(shown[1] or f"scripts/run.py {shlex.split(shown[2])[0]}", comments=True)
            found[tuple(words)] = None
    return list(found)


COMMANDS = commands()


def composed(overrides: list[str]) -> None:
    """Compose what a command asks for, the first run where it is a sweep: nothing is missing or out of its range."""
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "mtal.launch.overrides.compose", lambda *given, **more: seen.append(once(*given, **more)) or seen[0]
        )
        refuse_unknown(CONFIGS, overrides)
    config = deepcopy(seen[0])
    for option in OverridesParser.create().parse_overrides(overrides):
        key = option.get_key_element().lstrip("+~")
        if "/" not in key and not (CONFIGS / key).is_dir():
            value = next(option.sweep_iterator()) if option.is_sweep_override() else option.value()
            OmegaConf.update(config, key, value, force_add=option.is_add())
    OmegaConf.to_container(config, throw_on_missing=True)
    instantiate(config.trainer)
    LoopSettings.of(OmegaConf.to_container(config.loop, resolve=True))


class _AsFarAsParsed(Exception):
    pass


@pytest.mark.filterwarnings("ignore:Pydantic V1 style")  # of wandb-workspaces
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_is_taken(command, monkeypatch):
    script, *arguments = command
    if script in ("scripts/run.py", "scripts/inspect_data.py"):
        composed([a for a in arguments if a != "-m"])
    elif script == "scripts/select_frames.py":
        request = Request.parse(arguments)
        refuse_unknown(CONFIGS, ["data=videos", *request.overrides])
    else:
        parse = argparse.ArgumentParser.parse_args

        def only_parse(parser, *given):
            parse(parser, *given)
            raise _AsFarAsParsed

        monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_parse)
        monkeypatch.setattr(sys, "argv", list(command))
        monkeypatch.syspath_prepend(REPOSITORY / "scripts")
        with pytest.raises(_AsFarAsParsed):
            runpy.run_path(str(REPOSITORY / script), run_name="__main__")


def test_finds_the_commands():
    assert len(COMMANDS) > 50
    assert {c[0] for c in COMMANDS} == {f"scripts/{f.name}" for f in (REPOSITORY / "scripts").glob("*.py")}


@cache
def options() -> frozenset[str]:
    """Dotted names of all options that any choice has, without composing each of them."""

    def flat(node, prefix):
        for key in node:
            name = f"{prefix}{key}"
            yield name
            is_value = OmegaConf.is_missing(node, key) or OmegaConf.is_interpolation(node, key)
            if not is_value and OmegaConf.is_dict(node[key]):
                yield from flat(node[key], f"{name}.")

    found = set(flat(OmegaConf.structured(RunSchema), ""))
    for file in CONFIGS.rglob("*.yaml"):
        folder = ".".join(file.parent.relative_to(CONFIGS).parts)
        named = re.match(r"# @package (\S+)", file.read_text())
        prefix = f"{named[1] if named else folder}.".removeprefix("_global_").lstrip(".")
        found |= set(flat(OmegaConf.load(file), prefix))
    return frozenset(found)


ASSIGNED = re.compile(r"(?<!\S)['\"]?([+~]{0,2})([a-z][\w./@]*)=([^\s'{]*)")


def mentioned() -> list[tuple[str, str, str]]:
    """``name=value`` in the running text of the pages, with the signs before it."""
    spans = [s for page in PAGES for s in in_markdown(page.read_text()) if not SHOWN.search(s)]
    return sorted({found for span in spans for found in ASSIGNED.findall(span)})


@pytest.mark.parametrize(("sign", "name", "value"), mentioned())
def test_option_exists(sign, name, value):
    """It, or one that ends in its name where the text is short; of one that is added what it is added to."""
    if "/" in name or (CONFIGS / name).is_dir():
        group = name.partition("@")[0]
        assert (CONFIGS / group / f"{value}.yaml").is_file() or group.startswith("hydra/")
    elif "+" in sign:
        section, part, _ = name.split(".", 2)
        assert any(option.startswith(f"{section}.{part}.") for option in options())
    elif name not in ("budget", "checkpoint"):  # of select_frames.py
        assert any(option == name or option.endswith(f".{name}") for option in options())


EXPERIMENTS = {f.stem: OmegaConf.load(f) for f in (CONFIGS / "experiment").glob("*.yaml")}
SWEPT = {name: c.hydra.sweeper.params for name, c in EXPERIMENTS.items() if OmegaConf.select(c, "hydra.sweeper.params")}


@pytest.mark.parametrize("experiment", SWEPT)
def test_a_recipe_sweeps_what_is_there(experiment):
    refuse_unknown(CONFIGS, [f"experiment={experiment}", *(f"{key}={v}" for key, v in SWEPT[experiment].items())])
