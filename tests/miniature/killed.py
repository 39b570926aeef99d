"""Run one experiment whole, and the same again under SIGKILL at random moments until it has been hit often enough.

A program of its own, because it forks: ``python killed.py ROOT KILLS`` with this folder's parent on the path.
Everything is imported once and each attempt is a fork of that, so an attempt costs no start-up. The folder ``whole`` is
the run that nobody disturbed, ``killed00`` and so on are the others; the last line printed is a JSON summary.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from miniature import vocalfolds
from omegaconf import DictConfig

from mtal.launch import register
from mtal.learning.experiment import run_experiment

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def child(work: Callable[[], object]) -> int:
    """Fork, do it, and leave by the shortest way."""
    gc.freeze()  # else each child goes through all that was imported, and copies it; two thirds of its time
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001  nothing may return into the parent's code
            traceback.print_exc()
        finally:
            os._exit(code)
    gc.unfreeze()
    return pid


def rounds(run: Path) -> int:
    """Complete ones."""
    return len(list(run.glob("rounds/[0-9]*")))


def ended(pid: int, within_s: float) -> int | None:
    """Exit status of ``pid``, or ``None`` while it runs."""
    until = time.monotonic() + within_s
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        if time.monotonic() > until:
            return None
        time.sleep(0.002)


def attempt(config: DictConfig, run: Path, complete: int, then_s: float) -> bool:
    """Whether the run was killed, ``then_s`` after it had so many rounds, before it came to its end."""
    pid = child(lambda: run_experiment(config, run))
    status = None
    while status is None and rounds(run) < complete:
        status = ended(pid, 0.002)
    if status is None:
        status = ended(pid, then_s)
    if status is None:
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return True
    if status != 0:
        raise SystemExit(f"{run} ended with status {status}")
    return False


def moment(generator: np.random.Generator, duration_s: float, kill: bool) -> float:
    """Seconds of a round, more often few than many; more than any run takes where there is to be no kill."""
    return duration_s / 3 * generator.uniform() * generator.uniform() if kill else 600


def main(root: Path, kills: int) -> None:
    torch.set_num_threads(1)
    register()
    data = vocalfolds.write(root / "data")
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("config", overrides=[*vocalfolds.OPTIONS, "loop.rounds=2", f"data.root={data}"])
    config.cache = str(root / "cache_whole")
    start = time.monotonic()
    attempt(config, root / "whole", 0, 600)
    duration_s = time.monotonic() - start
    generator = np.random.default_rng(0)
    rounds_at_kill: list[int] = []
    runs = 0
    while len(rounds_at_kill) < kills:
        run = root / f"killed{runs:02d}"
        config.cache = str(root / f"cache{runs:02d}")  # decoding and encoding are killed as well
        runs += 1
        # by what is done and not by the clock alone, so that every round is hit however fast the machine is
        while attempt(config, run, len(rounds_at_kill) % 3, moment(generator, duration_s, len(rounds_at_kill) < kills)):
            rounds_at_kill.append(rounds(run))
    print(json.dumps({"runs": runs, "rounds_at_kill": rounds_at_kill, "seconds": duration_s}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
