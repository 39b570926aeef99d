"""Whole rounds after the encoder: how their stages grow with the pool, and what every choice of a stage takes."""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.growth import DIM, exponent
from benchmarks.one_round import CONFIGS, measure, write_pool
from rich.console import Console
from rich.table import Table

RELATION = "acquisition.signals.cross_task_inconsistency.relations=[{frame:tools,label:0,pixel:anatomy,classes:[1]}]"
BY_UTILITY = "acquisition/selector=top_k"
NOT_OF_A_POOL = {"hidden_label_bound"}  # reads labels that nobody has given
GROUPS = ("selector", "signals", "normalizer", "fusion")


def run(folder: Path, budget: int, overrides: list[str]) -> dict[str, Any]:
    """One round on the pool of a folder, in a process of its own.

    Raises:
        RuntimeError: it failed; the message is that of the error.
    """
    with tempfile.TemporaryDirectory(dir=folder) as own:
        for file in ("frames.parquet", "features.npy"):
            (Path(own) / file).hardlink_to(folder / file)
        found: dict[str, Any] = apart(measure, Path(own), budget, overrides)
    for kind in ("seconds", "processor"):
        found[kind]["whole"] = sum(found[kind].values())
    found["peaks"]["whole"] = max(found["peaks"].values())
    return found


def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """What a process forked off this one returns, which has done nothing so far but import.

    Raises:
        RuntimeError: it failed.
    """
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)

    def do() -> None:
        try:
            there.send((None, work(*arguments)))
        except Exception as error:  # noqa: BLE001  told by the parent
            there.send((f"{type(error).__name__}: {error}", None))

    process = context.Process(target=do)
    process.start()
    there.close()
    try:
        failed, found = here.recv()
    except EOFError:
        failed, found = "ended without a word, most likely for want of memory", None
    process.join()
    if failed:
        raise RuntimeError(failed)
    return found


def grown(arguments: argparse.Namespace) -> Table:
    """Every stage at every size, and the exponent of its processor time in the number of frames."""
    title = f"A round after the encoder: {DIM} features, three heads, budget {arguments.budget}"
    table = Table("stage", title=" ".join([title, *arguments.overrides]))
    runs = []
    for frames in arguments.frames:
        for heading in (f"{frames:,} frames, s", "of processor", "peak, GiB"):
            table.add_column(heading, justify="right")
        with tempfile.TemporaryDirectory() as folder:
            apart(write_pool, Path(folder), frames)
            runs.append(run(Path(folder), arguments.budget, arguments.overrides))
    table.add_column("exponent", justify="right")
    for stage in runs[-1]["seconds"]:
        cells = [f"{r[kind][stage]:.2f}" for r in runs for kind in ("seconds", "processor", "peaks")]
        slope = exponent(arguments.frames, [r["processor"][stage] for r in runs])
        table.add_row(stage, *cells, f"{slope:.2f}")
    table.add_row("written, GiB", *[cell for r in runs for cell in (f"{r['written']:.2f}", "", "")], "")
    return table


def choices(group: str) -> list[tuple[str, list[str]]]:
    """Names and overrides of all choices of a stage; what nobody reads but by utility is read by the highest."""
    names = sorted(f.stem for f in (CONFIGS / "acquisition" / group).glob("*.yaml"))
    found = []
    for name in names:
        overrides = [f"acquisition/{group}={name}"]
        if group != "selector":
            overrides.append(BY_UTILITY)
        if name == "cross_task_inconsistency":
            overrides.append(RELATION)
        if name not in NOT_OF_A_POOL:
            found.append((name, overrides))
    return found


def every(arguments: argparse.Namespace) -> None:
    """A line for each choice as it is measured, a table for each number of frames."""
    console = Console(width=140)
    told = ("whole", "score", "fuse", "select", "write")
    console.print("Seconds are the processor's")
    for frames in arguments.frames:
        console.print(f"Whole rounds of {frames:,} frames x {DIM} features, three heads, budget {arguments.budget}")
        console.print(f"| stage | choice | {', s | '.join(told)}, s | peak, GiB |\n|{'---|' * 8}")
        with tempfile.TemporaryDirectory() as folder:
            apart(write_pool, Path(folder), frames)
            for group, name, overrides in [(g, *choice) for g in arguments.every for choice in choices(g)]:
                try:
                    found = run(Path(folder), arguments.budget, [*overrides, *arguments.overrides])
                except RuntimeError as refused:
                    console.print(f"| {group} | `{name}` | {refused} ||||||", soft_wrap=True)
                    continue
                seconds = " | ".join(f"{found['processor'].get(stage, 0.0):.1f}" for stage in told)
                console.print(f"| {group} | `{name}` | {seconds} | {found['peaks']['whole']:.2f} |")


def compare(arguments: argparse.Namespace) -> None:
    if arguments.every:
        every(arguments)
        return
    Console(width=160).print(grown(arguments))
