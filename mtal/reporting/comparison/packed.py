"""A sweep in one small file: what a comparison reads of its runs, without weights, pictures, labels and places.

Runs of a study take megabytes each and are lost with the disk that they lie on; what its tables and figures are drawn
from takes a few kilobytes a run.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import shutil
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import yaml

from mtal.free_keys import PLACES
from mtal.reporting.comparison.found_runs import find_runs, read_finished
from mtal.whole_files import whole_or_not

SUFFIX = ".tar.xz"
_FILES = ("encoder.weights", "data.patients", "data.tasks")
"""Options that may be a file and matter: of a whole path the name is kept."""
_DIGEST = "digest"
"""Option of the data of a packed run, in the place of where they lie."""
_AS_THEY_ARE = ("tasks.json", "stopped.json")
_OF_A_ROUND = ("metrics.json", "timings.json")


def pack(sweep: Path, file: Path, add: bool = False) -> int:
    """Write the finished runs below a folder into one file; the same runs give the same bytes.

    Config, heads, frames, metrics, picks, timings and the prices of frames are kept. Options that say where things lie,
    the sources of frames, and the files and labels of picks are not: a packed sweep holds nothing of the data. Data are
    told apart by a digest of their frames and patients instead of their place, and so not where labels alone differ.
    Features are not kept either: how much the picks of a packed sweep look alike is not told.

    Args:
        sweep: folder of runs.
        file: to write, ``….tar.xz``; one that is there is replaced once the new one is whole.
        add: keep the runs of a file that is there, but for those of the same place: seeds that were run later join it.

    Returns:
        How many runs it holds.

    Raises:
        FileNotFoundError: no such folder, or no run in it.
        ValueError: none of its runs is finished, ``file`` has another suffix, or is to be added to and is no packed
            sweep.
    """
    if not file.name.endswith(SUFFIX):
        raise ValueError(f"{file}: a packed sweep is named ….{SUFFIX.removeprefix('.')}")
    runs, left_out = read_finished(find_runs([sweep]))
    if not runs:
        raise ValueError(f"{sweep}: none of its runs is finished ({left_out[0].path.name}: {left_out[0].reason})")
    file.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="mtal-") as room:
        kept = Path(room) / file.name.removesuffix(SUFFIX)
        if add and file.exists():
            with as_folders([file]) as (there,):
                shutil.copytree(there, kept)
        root = sweep.resolve()
        for run in runs:
            place = kept / (run.path.name if run.path == root else run.path.relative_to(root))
            shutil.rmtree(place, ignore_errors=True)
            _write(run.path, place)
        held = len(find_runs([kept]))
        with (
            whole_or_not(file, "give it a place elsewhere") as unfinished,
            tarfile.open(unfinished, "w:xz", format=tarfile.PAX_FORMAT, preset=9) as archive,
        ):
            # Files of one name are much alike, and take least room side by side.
            for found in sorted((p for p in Path(room).rglob("*") if p.is_file()), key=lambda p: (p.name, p)):
                archive.add(found, str(found.relative_to(room)), filter=_nobodys)
    return held


@contextmanager
def as_folders(sweeps: Sequence[Path]) -> Iterator[list[Path]]:
    """The same sweeps, those that are packed as folders that are there until the block ends.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a file is not a packed sweep.
    """
    with TemporaryDirectory(prefix="mtal-") as room:
        folders = []
        for number, sweep in enumerate(sweeps):
            if sweep.is_dir():
                folders.append(sweep)
                continue
            if not sweep.exists():
                raise FileNotFoundError(f"{sweep}: there is no such folder or packed sweep (….tar.xz)")
            place, unpacked = Path(room) / f"{number}", Path(room) / f"{number}.tar"
            try:
                # Unpacked to its end first: tarfile takes a file that is cut between two of its members for whole.
                with lzma.open(sweep) as packed, unpacked.open("wb") as file:
                    shutil.copyfileobj(packed, file)
                with tarfile.open(unpacked, "r:") as archive:
                    archive.extractall(place, filter="data")
            except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
                raise ValueError(f"{sweep}: not a packed sweep of scripts/pack_runs.py ({error})") from error
            folders.append(place / sweep.name.removesuffix(SUFFIX))
            if not folders[-1].is_dir():
                raise ValueError(
                    f"{sweep}: not a packed sweep of that name; give it back the name that it was packed by"
                )
        yield folders


def _write(run: Path, into: Path) -> None:
    """What is kept of a run."""
    into.mkdir(parents=True)
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    frames = pd.read_parquet(run / "frames.parquet")
    config.setdefault("data", {})[_DIGEST] = _digest(frames)
    for place in PLACES:
        _change(config, place.split("."), lambda _: None)
    for file in _FILES:
        _change(config, file.split("."), _name_alone)
    (into / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    _write_command_line(run, into)
    for name in _AS_THEY_ARE:
        if (run / name).exists():
            shutil.copyfile(run / name, into / name)
    frames.drop(columns="source", errors="ignore").to_parquet(into / "frames.parquet", index=False)
    for round_ in sorted((run / "rounds").glob("[0-9]*")):
        there = into / "rounds" / round_.name
        there.mkdir(parents=True)
        for name in _OF_A_ROUND:
            content = json.loads((round_ / name).read_text(encoding="utf-8"))
            (there / name).write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
        picks = pd.read_parquet(round_ / "picks.parquet")
        known = [c for c in picks.columns if c in ("source", "file") or c.startswith("label/")]
        picks.drop(columns=known).to_parquet(there / "picks.parquet", index=False)
        scores = round_ / "scores.parquet"
        if scores.is_file() and "cost_s" in pq.read_schema(scores).names:
            prices = pd.read_parquet(scores, columns=["frame_id", "cost_s"])
            prices.to_parquet(there / "scores.parquet", index=False)


def _write_command_line(run: Path, into: Path) -> None:
    """The options that the run was given, which name its strategy."""
    file = run / ".hydra" / "hydra.yaml"
    if not file.is_file():
        return
    hydra = yaml.safe_load(file.read_text(encoding="utf-8"))["hydra"]
    given = [o for o in hydra["overrides"]["task"] if o.partition("=")[0].lstrip("+~") not in PLACES]
    kept = {"hydra": {"overrides": {"task": given}}}
    (into / ".hydra").mkdir()
    (into / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump(kept), encoding="utf-8")


def _change(config: dict[str, Any], keys: Sequence[str], new: Callable[[Any], Any]) -> None:
    for key in keys[:-1]:
        config = config.get(key) or {}
    if config.get(keys[-1]) is not None:
        config[keys[-1]] = new(config[keys[-1]])


def _name_alone(given: Any) -> Any:
    """Of a whole path; anything else as it is, such as a number of patients or a regular expression."""
    return Path(given).name if isinstance(given, str) and Path(given).is_absolute() else given


def _digest(frames: pd.DataFrame) -> str:
    """Of all frames and whose they are, whatever the fold: 12 hexadecimal digits."""
    rows = sorted(f"{frame}\t{patient}" for frame, patient in zip(frames["frame_id"], frames["patient"], strict=True))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:12]


def _nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname, entry.mode = 0, 0, 0, "", "", 0o644
    return entry
