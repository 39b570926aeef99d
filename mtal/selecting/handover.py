"""A selection as a folder for whoever labels its frames."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from joblib import hash as hash_of
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from mtal.annotation import Request, form
from mtal.annotation.about import write_about
from mtal.annotation.mask_files import grays, mask_folders, write_masks
from mtal.annotation.pictures import picture_names, whole_pictures
from mtal.datasets.videos import find_recordings, found_folder
from mtal.frames.hygiene import REASONS
from mtal.learning.experiment import describe_tasks
from mtal.learning.same_run import differences
from mtal.models.determinism import deterministic
from mtal.progress import track
from mtal.reporting.overview import write_overview
from mtal.selecting.checkpoint import Checkpoint
from mtal.selecting.readme import readme
from mtal.selecting.recordings import relative_file
from mtal.selecting.selection import Selection, select

_ABOUT = "selection.json"


def select_frames(config: DictConfig, checkpoint: Checkpoint, budget: int, folder: Path) -> bool:
    """Select ``budget`` frames and write all that is needed to label them to ``folder``.

    ``frames.csv``, ``images/``, ``masks/<task>/``, ``label_map.json``, ``overview.html``, ``README.txt`` and, for
    programs, ``selection.json`` and ``request.json``, by which ``oracle=folder`` reads the folder back. The folder gets
    its name when it is whole.

    Returns:
        Whether there was anything to do: not if ``folder`` holds this very selection.

    Raises:
        ValueError: ``folder`` holds something else, or see :func:`~mtal.selecting.selection.select`.
        FileNotFoundError: see there.
        RuntimeError: another process is making ``folder``.
    """
    asked = _asked(config, checkpoint, budget)
    scored = Path(config.cache) / "scored" / hash_of(str(folder.resolve()))
    if _is_there(folder, asked, scored):
        return False
    with _alone(folder):
        if _is_there(folder, asked, scored):  # since it was looked for
            return False
        _select_frames(config, checkpoint, budget, folder, asked, scored)
    return True


def _is_there(folder: Path, asked: Mapping[str, Any], scored: Path) -> bool:
    if not folder.exists():
        return False
    _refuse_other(folder, asked)
    shutil.rmtree(scored, ignore_errors=True)  # of a call that was killed when all was written
    return True


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The only process that makes ``folder``: two would take each other's scores away.

    The lock goes with the process, however that ends; a file that was left says nothing. A call that is refused or
    stopped leaves none.
    """
    missing = [above for above in folder.parents if not above.exists()]  # the nearest first
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RuntimeError(
            f"{folder} is in use by another process; wait for it, or give this selection another name="
        ) from error
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)  # while it is held: whoever comes now makes a file of their own
        lock.release()
        with suppress(OSError):  # something is in it
            for above in missing:
                above.rmdir()


def _select_frames(
    config: DictConfig, checkpoint: Checkpoint, budget: int, folder: Path, asked: Mapping[str, Any], scored: Path
) -> None:
    partial = folder.with_name(f".{folder.name}")
    with deterministic(config.trainer.get("deterministic") is True):
        selection = select(config, checkpoint, budget, scored)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            _write(partial, selection, config, {"asked": asked, **_found(config)})
            partial.rename(folder)
            shutil.rmtree(scored, ignore_errors=True)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _asked(config: DictConfig, checkpoint: Checkpoint, budget: int) -> dict[str, Any]:
    """All that the picks depend on."""
    plain: Any = OmegaConf.to_container(config, resolve=True)
    data = {
        k: v for k, v in plain["data"].items() if k not in ("root", "tasks", "index", "workers", "limit_s", "heads")
    }
    if not data["test_patients"]:
        del data["test_patients"]  # as selections have it that were made before there was a choice
    if data["rate_hz"] is None:
        del data["rate_hz"]
    asked = {
        "videos": find_recordings(Path(config.data.root).resolve(), config.data.rate_hz),
        "checkpoint": {"run": checkpoint.folder.path.name, "round": checkpoint.number, "model": checkpoint.digest},
        "budget": budget,
        "data": data,
        **{key: plain[key] for key in ("acquisition", "seed", "frames", "tasks", "trainer")},
    }
    return dict(json.loads(json.dumps(asked)))


def _refuse_other(folder: Path, asked: Mapping[str, Any]) -> None:
    file = folder / _ABOUT
    if not file.is_file():
        raise ValueError(f"{folder} is there already and is no selection; give this one another name=…")
    before = json.loads(file.read_text())["asked"]
    if "trainer" not in before:  # selections that were made before it was compared
        asked = {key: value for key, value in asked.items() if key != "trainer"}
    changed = differences(before, asked)
    if changed:
        raise ValueError(
            f"{folder} holds another selection ({changed}); give this one its own name=…, or take the old folder away"
        )


def _found(config: DictConfig) -> dict[str, Any]:
    """What became of the recordings."""
    root, told = config.data.root, found_folder(config.data.root, config.data.index)
    kept, dropped = pd.read_parquet(told / "frames.parquet"), pd.read_parquet(told / "dropped.parquet")
    bad = pd.read_csv(told / "quarantined.csv")
    counts, per_video = dropped["reason"].value_counts(), kept["video"].value_counts()
    sampled = pd.concat([kept, dropped])
    videos = [
        {
            "video": str(name),
            "file": relative_file(str(rows["source"].iloc[0]), root),
            "sampled": len(rows),
            "kept": int(per_video.get(name, 0)),
            "end_s": float(rows["time_s"].max()),
        }
        for name, rows in sampled.groupby("video")
    ]
    return {
        "videos": videos,
        "dropped": {r: int(counts[r]) for r in REASONS if r in counts},
        "quarantined": [
            {"file": relative_file(source, root), "reason": reason.replace(source, relative_file(source, root))}
            for source, reason in zip(bad["source"], bad["reason"], strict=True)
        ],
    }


def _write(folder: Path, selection: Selection, config: DictConfig, about: dict[str, Any]) -> None:
    about["tasks"], about["selected"] = describe_tasks(selection.tasks), len(selection.table)
    files = picture_names(selection.table)
    (folder / "images").mkdir()
    pictures = whole_pictures(selection.table)
    sizes: dict[int, tuple[int, int]] = {}
    drawn: dict[int, dict[str, str]] = {}
    for order, picture in track(pictures, "Writing images and masks", total=len(files)):
        Image.fromarray(picture).save(folder / "images" / files[order])
        sizes[order] = picture.shape[:2]
        masks = selection.masks(order, picture.shape[:2])
        drawn[order] = {
            task.name: write_masks(folder, files[order], task.label_map, masks[task.name])
            for task in selection.pixel_tasks
        }
    meaning = {task.name: grays(task.label_map) for task in selection.pixel_tasks}
    (folder / "label_map.json").write_text(json.dumps(meaning, indent=1, ensure_ascii=False), encoding="utf-8")
    _frames_csv(selection, files, config.data.root).to_csv(folder / "frames.csv", index=False)
    maps = [task.label_map for task in selection.tasks]
    request = Request("selection", selection.table, [m.task for m in maps], selection.asked)
    write_about(folder, request.id, request, maps, [f"images/{file}" for file in files], sizes, drawn)
    (folder / _ABOUT).write_text(json.dumps(about, indent=1, ensure_ascii=False), encoding="utf-8")
    (folder / "README.txt").write_text(readme(selection, about), encoding="utf-8")
    write_overview(folder)


def _frames_csv(selection: Selection, files: list[str], root: str) -> pd.DataFrame:
    table = selection.table
    folders = {column: to for task in selection.pixel_tasks for column, to in mask_folders(task.label_map).items()}
    columns = {
        "rank": table["order"] + 1,
        "image": [f"images/{file}" for file in files],
        **{
            form.column(t.name): np.where(asked, "", form.NOT_ASKED)
            for t, asked in zip(selection.tasks, selection.asked.T, strict=True)
        },
        form.UNUSABLE: "",
        form.SECONDS: "",
        **{column: [f"{to}/{file}" for file in files] for column, to in folders.items()},
        "video": table["video"],
        "file": [os.path.relpath(file, Path(root).resolve()) for file in table["file"]],
        "patient": table["patient"],
        "frame": table["frame"],
        "time": [_time(s) for s in table["time_s"]],
        "time_s": table["time_s"].round(6),
        "reason": table["reason"],
        "utility": table["utility"],
    }
    rest = [c for c in table.columns if c.startswith(("score/", "percentile/", "predicted/"))]
    return pd.DataFrame(columns).join(table[rest])


def _time(seconds: float) -> str:
    """Time in a video as h:mm:ss.mmm.

    >>> _time(3725.0405)
    '1:02:05.040'
    """
    thousandths = int(seconds * 1000 + 1e-6)
    whole, rest = divmod(thousandths, 1000)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}.{rest:03d}"
