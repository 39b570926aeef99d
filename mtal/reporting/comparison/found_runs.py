"""Run folders below the given ones: those that can be compared, and those that can't yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtal.reporting.run_reader import Run, read_run

_MARKS = ("config.yaml", ".hydra", ".lock", "failed.txt")  # what only a run folder holds
_EARLY = "it ended before its first round"


@dataclass(frozen=True)
class LeftOut:
    """A run that is not compared, and why."""

    path: Path
    reason: str


Read = Callable[[Sequence[Path]], tuple[list[Run], list[LeftOut]]]
"""Reads runs: :func:`read_finished`, or :class:`ReadOnce`."""


def find_runs(folders: Sequence[Path]) -> list[Path]:
    """Run folders among ``folders`` and anywhere below them, each once: folder by folder, in order of name.

    A folder in which a run was begun or failed counts as one even where it did not get far enough to leave anything.

    Raises:
        FileNotFoundError: a folder does not exist, or there is no run in it.
    """
    found: dict[Path, None] = {}
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: there is no such folder; give a sweep's folder or a run's")
        here = list(_below(folder.resolve()))
        if not here:
            raise FileNotFoundError(f"{folder}: there is no run in it (a run holds config.yaml and rounds/)")
        found |= dict.fromkeys(here)
    return list(found)


def find_begun(folders: Sequence[Path]) -> tuple[list[Path], list[LeftOut]]:
    """Those of :func:`find_runs` that came as far as their first round, and the others.

    Raises:
        FileNotFoundError: as there.
    """
    found = find_runs(folders)
    begun = [path for path in found if (path / "config.yaml").is_file()]
    return begun, [LeftOut(path, _EARLY) for path in found if path not in begun]


def read_finished(paths: Sequence[Path]) -> tuple[list[Run], list[LeftOut]]:
    """Read the runs that have all their rounds, and say of the others what they lack."""
    return _apart(map(_read, paths))


class ReadOnce:
    """:func:`read_finished` for several comparisons that share runs: each is read once, and is to stay as it is."""

    def __init__(self) -> None:
        self._known: dict[Path, Run | LeftOut] = {}

    def __call__(self, paths: Sequence[Path]) -> tuple[list[Run], list[LeftOut]]:
        """See :func:`read_finished`."""
        self._known |= {path: _read(path) for path in paths if path not in self._known}
        return _apart(self._known[path] for path in paths)


def is_full_pool(run: Run) -> bool:
    """Whether the run was trained on the whole pool at once (``loop.initial: all``)."""
    return run.config.get("loop", {}).get("initial") == "all"


def _read(path: Path) -> Run | LeftOut:
    if not (path / "config.yaml").is_file():
        return LeftOut(path, _EARLY)
    try:
        run = read_run(path)
    except (FileNotFoundError, ValueError) as error:
        return LeftOut(path, str(error))
    missing = _missing_rounds(run)
    return LeftOut(path, missing) if missing else run


def _apart(found: Iterable[Run | LeftOut]) -> tuple[list[Run], list[LeftOut]]:
    runs: list[Run] = []
    left_out: list[LeftOut] = []
    for one in found:
        if isinstance(one, Run):
            runs.append(one)
        else:
            left_out.append(one)
    return runs, left_out


def _below(folder: Path) -> Iterator[Path]:
    if any((folder / name).exists() for name in _MARKS):
        yield folder
        return
    for child in sorted(folder.iterdir()):
        if child.is_dir() and not child.name.startswith("."):
            yield from _below(child)


def _missing_rounds(run: Run) -> str:
    if not run.rounds:
        return "no round is complete yet"
    wanted = int(run.config.get("loop", {}).get("rounds", len(run.rounds) - 1)) + 1
    pool = int((run.frames["split"] == "pool").sum())
    if len(run.rounds) < wanted and run.rounds[-1].labelled < pool and not run.stopped:
        return f"unfinished: {len(run.rounds)} of {wanted} rounds are there; run it again to go on"
    return ""
