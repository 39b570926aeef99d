"""Run a sweep whole, and the same again under SIGKILL at random moments until it has been hit often enough.

A program of its own, because it forks: ``python killed_sweep.py ROOT KILLS`` with this folder's parent on the path. The
sweep of ``ROOT/whole`` is the one that nobody disturbed, the one of ``ROOT/killed`` the other. The last line printed is
a JSON summary: how many runs were finished at each kill, and how often a finished run was written again.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from miniature import vocalfolds
from miniature.killed import ended
from remembered import remember_choices

from mtal.launch import register  # takes along, before the first fork, what attempts would import each

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "run.py"
FUSIONS = ("mean", "pareto")
SWEEP = (f"acquisition/fusion={','.join(FUSIONS)}", "seed=0")
RUNS = 2


def child(arguments: list[str]) -> int:
    """Fork and sweep."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            sys.argv = [str(SCRIPT), *arguments]
            runpy.run_path(str(SCRIPT), run_name="__main__")
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            os._exit(code)
    return pid


def finished(sweep: Path) -> dict[str, int]:
    """When each finished run got its report, in nanoseconds."""
    return {p.parent.name: p.stat().st_mtime_ns for p in sweep.glob("*/report.html")}


def rounds(sweep: Path) -> int:
    """How many rounds are complete, over all runs."""
    return len(list(sweep.glob("*/rounds/[0-9]*")))


def ended_or_far(pid: int, within_s: float, sweep: Path, most: int) -> int | None:
    """Exit status of ``pid``, or ``None`` once the time is over or so many rounds are there."""
    until, status = time.monotonic() + within_s, None
    while status is None and time.monotonic() < until and rounds(sweep) < most:
        status = ended(pid, 0.01)
    return status


def main(root: Path, kills: int) -> None:
    """See the head of this file."""
    torch.set_num_threads(1)
    remember_choices()
    register()
    with initialize_config_dir(str(SCRIPT.parents[1] / "configs"), version_base="1.3"):
        for fusion in FUSIONS:
            compose("config", overrides=[*vocalfolds.OPTIONS, f"acquisition/fusion={fusion}"])
    data = vocalfolds.write(root / "data")
    options = ["-m", *vocalfolds.OPTIONS, *SWEEP, f"data.root={data}", "name=sweep"]
    started = time.time()
    status = ended(child([*options, f"run_root={root / 'whole'}", f"cache={root / 'cache_whole'}"]), 600)
    assert status == 0, status
    start_up_s = min(p.stat().st_mtime for p in (root / "whole" / "sweep").glob("*/tasks.json")) - started
    total = rounds(root / "whole" / "sweep")
    round_s = (time.time() - started - start_up_s) / total
    generator = np.random.default_rng(0)
    # by what is done rather than by the clock, which a busy machine would let run out before the last kill
    moments = sorted(generator.integers(0, total * 3 // 4, kills))
    sweep = root / "killed" / "sweep"
    finished_at_kill: list[int] = []
    again = 0
    known: dict[str, int] = {}
    for kill, moment in enumerate([*moments, None]):
        pid = child([*options, f"run_root={root / 'killed'}", f"cache={root / 'cache_killed'}"])
        if moment is None:
            status = ended(pid, 600)
        else:
            far = moment + 2 if kill else 1  # the first hits the first run, the last a later one
            status = ended_or_far(pid, start_up_s / 2, sweep, far)
            while status is None and (rounds(sweep) < min(moment, far) or (kill == kills - 1 and not finished(sweep))):
                status = ended(pid, 0.01)
            if status is None:
                status = ended_or_far(pid, generator.uniform(0, start_up_s / 2 + round_s), sweep, far)
        if status is None:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        now = finished(sweep)
        again += sum(now[run] != written for run, written in known.items())
        known = now
        if moment is None:
            assert status == 0, status
        elif status is None:
            finished_at_kill.append(len(now))
    print(json.dumps({"finished_at_kill": finished_at_kill, "written_again": again}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
