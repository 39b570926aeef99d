"""A frame that is asked for as a task of Label Studio."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mtal.annotation.label_studio import results
from mtal.annotation.label_studio.project import MODEL
from mtal.annotation.reason import reason
from mtal.annotation.request import Request
from mtal.datasets.label_map import LabelMap

_PERCENTILE = re.compile(r"percentile/(?P<task>[^/]+)/(?P<signal>.+)")
_SHOWN = 6  # scores

Key = tuple[str, str]
"""Request and frame."""


def key(task: Mapping[str, Any]) -> Key | None:
    """What a task asks for; ``None`` where it is none of ours."""
    data = task["data"]
    if not all(name in data for name in ("request", "frame_id", "asked", "size")):
        return None
    return str(data["request"]), str(data["frame_id"])


def file_names(request: str, frame_id: str) -> tuple[str, str]:
    """Of a frame's picture and of the strip around it; short, as the server cuts names off."""
    digest = hashlib.blake2b(frame_id.encode(), digest_size=8).hexdigest()
    return f"{request}_{digest}.png", f"{request}_{digest}_around.png"


def task_of(
    request: Request,
    name: str,
    row: int,
    place: str,
    label_maps: Mapping[str, LabelMap],
    size: tuple[int, int],
    urls: Sequence[str],
) -> dict[str, Any]:
    """The task of one frame.

    Args:
        request: what is asked for.
        name: of the request.
        row: of the frame.
        place: of the frame in the order of choice, in words.
        label_maps: of the heads.
        size: (H, W) of the frame.
        urls: of its picture and of the strip around it.
    """
    frame = request.frames.iloc[row].to_dict()
    asked = [task for task, is_asked in zip(request.tasks, request.asked[row], strict=True) if is_asked]
    data = {
        "image": urls[0],
        "around": f"![the seconds around]({urls[1]})",
        "title": f"{request.title}, frame {place}: {', '.join(asked)}",
        "why": _why(request, frame),
        "request": name,
        "frame_id": frame["frame_id"],
        "asked": asked,
        "size": list(size),
        "patient": str(frame["patient"]),
        "video": str(frame["video"]),
        "time_s": round(float(frame["time_s"]), 3),
    }
    guess = request.guess(row, size) if request.guess is not None else {}
    found = list(results.believed(guess, [label_maps[task] for task in asked], size))
    return {"data": data, "predictions": [{"model_version": MODEL, "result": found}] if found else []}


def _why(request: Request, frame: Mapping[Any, Any]) -> str:
    """When it was, and why it was chosen."""
    minutes, seconds = divmod(round(float(frame["time_s"]), 1), 60)
    told = [f"{frame['video']} at {int(minutes)}:{seconds:04.1f}"]
    if request.held_out:
        return f"{told[0]}. Drawn at random, to test on and never to learn from: label it with special care"
    if "reason_because" in frame:
        told.append(reason(frame))
    if isinstance(utility := frame.get("utility"), float) and not np.isnan(utility):
        told.append(f"utility {utility:.3g}")
    if scores := _scores(frame):
        told.append(f"percentiles: {scores}")
    return "; ".join(told)


def _scores(frame: Mapping[Any, Any]) -> str:
    """The highest percentiles, rounded down as reasons are."""
    found = [(float(value), match) for c, value in frame.items() if (match := _PERCENTILE.fullmatch(str(c)))]
    found = [(value, match) for value, match in found if not np.isnan(value)]
    found.sort(key=lambda pair: -pair[0])
    return ", ".join(f"{m['task']} {m['signal'].replace('_', ' ')} {int(v)}" for v, m in found[:_SHOWN])
