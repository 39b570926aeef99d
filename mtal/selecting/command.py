"""The command line of the selection: four options of its own, and those of the configuration that it may change."""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from mtal.acquisition import Acquisition
from mtal.launch import UnknownOptionError, check_overrides, ending_by_signal, register
from mtal.launch.faults import FAULTS_OF_INPUT, tell
from mtal.launch.interruption import STANDING
from mtal.launch.plain_warnings import plain_warnings
from mtal.launch.unread import warn_of_unread
from mtal.learning.old_options import old_options, with_values
from mtal.selecting.checkpoint import Checkpoint
from mtal.selecting.handover import select_frames
from mtal.selecting.selection import options_of
from mtal.suggest import nearest

OWN = ("videos", "checkpoint", "budget", "name", "selections")
OPEN = ("data", "acquisition", "strategy", "trainer", "seed", "cache", "cache_limit_gib", "scoring")
"""Parts of the configuration that are not the run's affair."""
_OF_THE_RUN = ("acquisition", "augment", "encoder", "frames", "loop", "model", "tasks", "trainer")


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        videos: folder of recordings.
        checkpoint: folder of a run or of one of its rounds.
        budget: frames to select.
        folder: where they go.
        overrides: options of the configuration.
    """

    videos: Path
    checkpoint: Path
    budget: int
    folder: Path
    overrides: tuple[str, ...] = ()

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> Request:
        """Read a command line.

        Raises:
            UnknownOptionError: an option does not exist, or is the run's affair.
            ValueError: one is missing or has no meaning.
        """
        own: dict[str, str] = {}
        overrides = []
        for argument in arguments:
            key, _, value = argument.partition("=")
            if key in OWN:
                own[key] = value
                continue
            head = re.split(r"[./@]", key.lstrip("+~"))[0]
            if head not in OPEN:
                raise UnknownOptionError(
                    f"unknown option {key!r}{nearest(key, OWN)}; options are {', '.join(OWN)} and those that begin "
                    f"with {', '.join(OPEN)}; all others are the checkpoint's"
                )
            if key in ("data", "data.root", "data.tasks"):
                raise UnknownOptionError(f"{key} can't be given: the data are the videos below videos=DIR")
            overrides.append(argument)
        for key, example in (("videos", "DIR"), ("checkpoint", "runs/demo/default"), ("budget", "200")):
            if not own.get(key):
                raise ValueError(f"{key} is missing: give it on the command line, as in {key}={example}")
        if not own["budget"].isdecimal() or int(own["budget"]) < 1:
            raise ValueError(f"budget must be a number of frames of at least 1, not {own['budget']!r}")
        videos = Path(own["videos"])
        name = own.get("name") or videos.resolve().name
        if Path(name).name != name or name.startswith("."):
            raise ValueError(f"name must be the name of a folder, not {name!r}; selections=DIR says where it goes")
        folder = Path(own.get("selections") or "selections") / name
        return cls(videos, Path(own["checkpoint"]), int(own["budget"]), folder, tuple(overrides))


def configured(request: Request, checkpoint: Checkpoint, configs: Path) -> DictConfig:
    """The run's configuration with the recordings as its data and the options of the request on top.

    A choice of a group (``strategy=…``, ``acquisition/selector=…``) puts an acquisition made of the defaults and of all
    the options given in the place of the run's, and ``trainer=…`` a trainer; a value (``acquisition.minimum_gap_s=5``)
    alone changes the run's.

    Raises:
        ValueError: the run has options that this version does not have.
    """
    with initialize_config_dir(str(configs), version_base="1.3"):
        composed = compose("config", overrides=["data=videos", *request.overrides])
    composed.data.root = str(request.videos)
    composed.data.tasks = str(checkpoint.folder.path)
    for key in ("data", "acquisition"):
        OmegaConf.resolve(composed[key])
    config = checkpoint.config.copy()
    given = {o.key_or_group: o for o in OverridesParser.create().parse_overrides(list(request.overrides))}
    replaced = {"data", "cache", "cache_limit_gib", "scoring"} | ({"acquisition", "trainer"} & given.keys())
    if any(key == "strategy" or key.startswith("acquisition/") for key in given):
        replaced.add("acquisition")
    for key in replaced:
        config[key] = composed[key]
    config.loop.batch_seconds = config.loop.batch_answers = None  # the budget is a number of frames
    for key, override in given.items():
        if key.partition(".")[0] in {"acquisition", "trainer", "seed"} - replaced:
            OmegaConf.update(config, key, override.value(), force_add=True)
    _refuse_old_options(checkpoint, config, composed)
    return config


def _refuse_old_options(checkpoint: Checkpoint, config: DictConfig, composed: DictConfig) -> None:
    used, now = (
        {key: OmegaConf.to_container(some[key]) for key in _OF_THE_RUN if key in some} for some in (config, composed)
    )
    if gone := old_options(used, now):
        raise ValueError(
            f"{checkpoint.folder.path / 'config.yaml'} has options that this version of mtal does not have "
            f"({with_values(gone)}): select with the version that began the run, or choose another checkpoint"
        )


def main(arguments: Sequence[str], configs: Path) -> None:
    """Do what a command line asks for, or end the program with one clear line."""
    register()
    console = Console()
    try:
        request = Request.parse(arguments)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  there is no console yet
        raise SystemExit(2) from None
    check_overrides(configs, ["data=videos", *request.overrides])
    try:
        with ending_by_signal(), plain_warnings(Console(stderr=True)):
            STANDING.set(partial(_standing, request.folder))
            if not request.videos.is_dir():
                raise FileNotFoundError(
                    f"videos={request.videos}: there is no such folder; give the one that holds the recordings"
                )
            checkpoint = Checkpoint.read(request.checkpoint)
            config = configured(request, checkpoint, configs)
            _warn_of_unread(request.overrides, options_of(config).acquisition)
            done = select_frames(config, checkpoint, request.budget, request.folder)
    except (*FAULTS_OF_INPUT, HydraException, OmegaConfBaseException) as error:
        tell(error)
        raise SystemExit(1) from error
    if not done:
        console.print(f"There already: {request.folder}", highlight=False, soft_wrap=True)
        return
    for line in _summary(request.folder):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _standing(folder: Path) -> str:
    return f"{folder} is whole" if folder.exists() else f"{folder} is not there yet; the same command begins again"


def _warn_of_unread(overrides: Sequence[str], acquisition: Acquisition) -> None:
    warn_of_unread(overrides, acquisition)
    for override in overrides:
        if "acquisition.cold_start" in override:
            warnings.warn(
                f"{override} has no effect, because a trained model is there: acquisition/selector chooses all frames, "
                "and there is no initial set",
                stacklevel=2,
            )


def _summary(folder: Path) -> Iterator[str]:
    """What was found, what was left out, and where the rest is."""
    about = json.loads((folder / "selection.json").read_text(encoding="utf-8"))
    videos = about["videos"]
    yield (
        f"{about['selected']} frames selected from {sum(v['kept'] for v in videos)} frames of {len(videos)} "
        f"video{'' if len(videos) == 1 else 's'}"
    )
    if about["dropped"]:
        yield "left out: " + ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in about["dropped"].items())
    yield from (f"not read: {bad['reason']}" for bad in about["quarantined"])
    yield f"{folder / 'overview.html'}  (open it in a browser)"
