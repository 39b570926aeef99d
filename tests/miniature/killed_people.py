"""Two projects of three rounds with people in them, killed on the way, beside the same experiment simulated.

A program of its own, because it forks: ``python killed_people.py ROOT`` with the parent of this folder on the path.
Its folders ``simulated``, ``people`` and ``studio`` are the runs. ``people`` answer in the folder ``desk``, and it is
killed at each step that is of folders alone; ``studio`` asks a server of Label Studio's kind, is killed at random
moments, and loses the connection at others. The last line is a JSON summary.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from label_studio_server import TOKEN, Cut, FakeLabelStudio, serving
from miniature import moments, recordings
from miniature.killed import child
from omegaconf import DictConfig

from mtal.annotation import AwayError, LabelsPendingError, LabelStore, folder, hand_out
from mtal.launch import register
from mtal.learning.experiment import run_experiment

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def dying(call: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    """The same call, by which the process is killed: before it does anything, or once all is done."""

    def die(*arguments: Any, **named: Any) -> None:
        if after:
            call(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    return die


MOMENTS: dict[str, tuple[Any, str, bool]] = {
    "writing pictures": (hand_out, "write_masks", True),
    "handed out": (folder.FolderOracle, "note_asked", False),
    "asked": (folder.FolderOracle, "note_asked", True),
    "collecting": (LabelStore, "_write_mask", True),
    "collected": (LabelStore, "add", True),
}
"""What is done → whose call it is, and whether the process dies once that has returned or before it begins."""


def at_moment(moment: str) -> None:
    """Have this process killed at one of :data:`MOMENTS`."""
    owner, name, after = MOMENTS[moment]
    setattr(owner, name, dying(getattr(owner, name), after=after))


def ended(config: DictConfig, run: Path, prepare: Callable[[], None] = lambda: None) -> str:
    """Run in a process of its own, once that is prepared: ``killed``, ``pending``, ``away`` or ``done``."""
    codes = {0: "done", 3: "pending", 4: "away"}

    def go() -> None:
        prepare()
        try:
            run_experiment(config, run)
        except LabelsPendingError:
            os._exit(3)
        except AwayError:
            os._exit(4)

    _, status = os.waitpid(child(go), 0)
    if os.WIFSIGNALED(status):
        return "killed"
    code = os.waitstatus_to_exitcode(status)
    if code not in codes:
        raise SystemExit(f"{run} ended with exit code {code}")
    return codes[code]


def answer(root: Path, people: DictConfig, answered: set[Path], kills: Counter[str]) -> None:
    """Fill in what is asked for; the first time tags today, masks tomorrow, and killed while it is taken in."""
    for request in sorted((root / "desk").glob("[!.]*/request.json")):
        if request.parent in answered:
            continue
        if not answered:
            recordings.fill_in(request.parent, tasks=("tools",))
            if ended(people, root / "people") != "pending":
                raise SystemExit("went on although masks were owed")
        recordings.fill_in(request.parent)
        answered.add(request.parent)
        for moment in ("collecting", "collected"):
            if not kills[moment]:
                kills[moment] += ended(people, root / "people", partial(at_moment, moment)) == "killed"


def with_folder(root: Path, people: DictConfig) -> dict[str, Any]:
    """A project whose annotators work in a folder."""
    kills: Counter[str] = Counter()
    answered: set[Path] = set()
    ahead = [moment for moment in MOMENTS if moment not in ("collecting", "collected")]  # those come with the answers
    while True:
        how = ended(people, root / "people", partial(at_moment, ahead[0]) if ahead else lambda: None)
        if how == "done":
            return {"kills": kills, "requests": sorted(r.name for r in answered)}
        if how == "killed":
            kills[ahead.pop(0)] += 1
        elif ahead:  # this start did not come to that
            ahead.append(ahead.pop(0))
        if how == "pending":
            answer(root, people, answered, kills)


AHEAD = (
    ("asking", "asking"),
    ("collecting", "picking"),
    ("training", "asking"),
    ("collecting", "picking"),
    ("training",),
)
"""When the process is killed before annotators have the held-out frames, before they have those of each round, and
before the end: each phase twice or more, no start twice in one place, which costs a second each."""
EFFECTS = {"picking": 10, "asking": 14, "collecting": 25, "training": 40}
"""At which of how many first effects."""


class Cuts:
    """The connection breaks once the server has done what it was asked; from then on nobody answers."""

    def __init__(self, fake: FakeLabelStudio, generator: np.random.Generator) -> None:
        self.after_calls = sorted(generator.choice(np.arange(5, 60), 2, replace=False).tolist())
        self.broken: list[str] = []
        self.away = self.sent = False
        self._calls = 0
        fake.before, fake.after = self._before, self._after

    def _before(self, method: str, path: str) -> None:
        if self.away:
            raise Cut

    def _after(self, method: str, path: str) -> None:
        self._calls += 1
        sends = method == "POST" and path.endswith("/import")
        if self._calls in self.after_calls or (sends and not self.sent):  # the first pictures, and at random
            self.sent |= sends
            self.away = True
            self.broken.append(f"{method} {path}")
            raise Cut


def with_server(root: Path, people: DictConfig, fake: FakeLabelStudio) -> dict[str, Any]:
    """A project whose annotators work in Label Studio."""
    generator = np.random.default_rng(14)
    cuts, kills = Cuts(fake, generator), []

    def until(wanted: str, prepare: Callable[[], None]) -> None:
        while (how := ended(people, root / "studio", prepare)) != wanted:
            if how != "away" or not cuts.away:
                raise SystemExit(f"{how}, and not {wanted}, after {kills}")
            cuts.away = False

    for phases, end in zip(AHEAD, [*(len(AHEAD) - 1) * ["pending"], "done"], strict=True):
        for phase in phases:
            number = int(generator.integers(EFFECTS[phase])) + 1
            until("killed", partial(moments.die, phase, number))
            kills.append((phase, number))
        until(end, lambda: None)
        for number, task in fake.tasks.items():
            if not task["annotations"]:
                video, frame = task["data"]["frame_id"].split("/")
                fake.annotate(number, recordings.painted(video, int(frame)))
    shown = [(t["data"]["request"], t["data"]["frame_id"]) for t in fake.tasks.values()]
    return {"kills": kills, "broken": cuts.broken, "tasks": shown}


def main(root: Path) -> None:
    torch.set_num_threads(1)
    register()
    data, fake = recordings.write(root / "data"), FakeLabelStudio()
    os.environ["LABEL_STUDIO_API_KEY"] = TOKEN
    with serving(fake) as url:
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            options = [*recordings.OPTIONS, f"data.root={data}", f"cache={root / 'cache'}"]
            known = ["data._target_=miniature.recordings.labelled", f"+data.masks={root / 'masks'}"]
            simulated = compose("config", overrides=[*options, *known])
            people = compose("config", overrides=[*options, "oracle=folder", f"oracle.root={root / 'desk'}"])
            server = ["oracle=label_studio", f"oracle.url={url}", f"oracle.store={root / 'labels'}", "name=ward"]
            studio = compose("config", overrides=[*options, *server])
        if ended(simulated, root / "simulated") != "done":
            raise SystemExit("the simulated run did not come to its end")
        print(json.dumps({"folder": with_folder(root, people), "server": with_server(root, studio, fake)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
