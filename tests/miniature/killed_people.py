"""A project of four rounds with people in it, killed at every step, beside the same experiment simulated.

A program of its own, because it forks: ``python killed_people.py ROOT`` with the parent of this folder on the path.
Its folders ``simulated`` and ``people`` are the runs, ``desk`` is where the annotator works; the last line is a JSON
summary.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from miniature import recordings
from miniature.killed import child
from omegaconf import DictConfig

from mtal.annotation import LabelsPendingError, LabelStore, folder, hand_out
from mtal.launch import register
from mtal.learning import loop, run_folder
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
    "picking": (loop.Picker, "pick", True),
    "picked": (loop, "settle", False),
    "writing pictures": (hand_out, "write_masks", True),
    "handed out": (folder.FolderOracle, "note_asked", False),
    "asked": (folder.FolderOracle, "note_asked", True),
    "collecting": (LabelStore, "_write_mask", True),
    "collected": (LabelStore, "add", True),
    "training": (loop.Experiment, "_train", False),
    "trained": (run_folder, "_take_over", True),
    "named": (run_folder.RunFolder, "_let_go", False),
}
"""What is done → whose call it is, and whether the process dies once that has returned or before it begins."""


def ended(config: DictConfig, run: Path, moment: str = "") -> str:
    """Run in a process of its own: ``killed``, ``pending`` or ``done``."""

    def go() -> None:
        if moment:
            owner, name, after = MOMENTS[moment]
            setattr(owner, name, dying(getattr(owner, name), after=after))
        try:
            run_experiment(config, run)
        except LabelsPendingError:
            os._exit(3)

    _, status = os.waitpid(child(go), 0)
    if os.WIFSIGNALED(status):
        return "killed"
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, 3):
        raise SystemExit(f"{run} ended with exit code {code} at {moment!r}")
    return "pending" if code else "done"


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
                kills[moment] += ended(people, root / "people", moment) == "killed"


def main(root: Path) -> None:
    torch.set_num_threads(1)
    register()
    data = recordings.write(root / "data")
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        options = [*recordings.OPTIONS, f"data.root={data}", f"cache={root / 'cache'}"]
        known = ["data._target_=miniature.recordings.labelled", f"+data.masks={root / 'masks'}"]
        simulated = compose("config", overrides=[*options, *known])
        people = compose("config", overrides=[*options, "oracle=folder", f"oracle.root={root / 'desk'}"])
    if ended(simulated, root / "simulated") != "done":
        raise SystemExit("the simulated run did not come to its end")
    kills: Counter[str] = Counter()
    answered: set[Path] = set()
    ahead = [moment for moment in MOMENTS if moment not in ("collecting", "collected")]  # those come with the answers
    while True:
        how = ended(people, root / "people", ahead[0] if ahead else "")
        if how == "done":
            break
        if how == "killed":
            kills[ahead.pop(0)] += 1
        elif ahead:  # this start did not come to that
            ahead.append(ahead.pop(0))
        if how == "pending":
            answer(root, people, answered, kills)
    print(json.dumps({"kills": kills, "requests": sorted(r.name for r in answered)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
