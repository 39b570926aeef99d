"""``request.json``: what a folder asks for, kept for the program that reads it back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtal.annotation.request import Request
from mtal.datasets.label_map import LabelMap

FILE = "request.json"


def write_about(
    folder: Path,
    name: str,
    request: Request,
    label_maps: Sequence[LabelMap],
    images: Sequence[str],
    sizes: Mapping[int, tuple[int, int]],
    masks: Mapping[int, Mapping[str, str]] | None = None,
) -> None:
    """Write it.

    Args:
        folder: of the request.
        name: that the folder will have.
        request: what is asked for.
        label_maps: of its heads.
        images: path of each picture below the folder.
        sizes: row → (H, W) of the picture.
        masks: row → head → digest of the mask that is handed out, so that one that comes back untouched is known.
    """
    frames = [
        {
            "image": image,
            "frame_id": frame_id,
            "size": list(sizes[row]),
            "asked": [m.task for m, asked in zip(label_maps, request.asked[row], strict=True) if asked],
            "masks": (masks or {}).get(row, {}),
        }
        for row, (image, frame_id) in enumerate(zip(images, request.frame_ids, strict=True))
    ]
    tasks = {m.task: described(m) for m in label_maps}
    content = {"id": name, "held_out": request.held_out, "tasks": tasks, "frames": frames}
    (folder / FILE).write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


def read_about(folder: Path, label_maps: Mapping[str, LabelMap]) -> dict[str, Any]:
    """Read it.

    Args:
        folder: of the request.
        label_maps: of the heads, as they are now.

    Raises:
        ValueError: it is of heads with other classes.
    """
    content: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    for task, then in content["tasks"].items():
        now = described(label_maps[task]) if task in label_maps else None
        if now is None or any(now[key] != then[key] for key in ("support", "exclusive", "classes")):
            raise ValueError(
                f"{folder / FILE}: {task} was asked for as {', '.join(then['classes'])}, and "
                f"{'there is no such head' if now is None else 'is ' + ', '.join(now['classes'])} now; give the "
                "run the heads it had, or oracle.root another folder"
            )
    return content


def described(label_map: LabelMap) -> Mapping[str, Any]:
    """A head as the file has it."""
    return {
        "support": label_map.support,
        "exclusive": label_map.exclusive,
        "classes": list(label_map.classes),
        "colors": [list(c) for c in label_map.colors],
    }
