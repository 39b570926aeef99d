"""Whether a run folder holds the run that is to go on: compared before anything is written into it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtal.frames.index import typed
from mtal.free_keys import is_free
from mtal.learning.fingerprints import look_alike
from mtal.learning.old_options import old_options, with_values

_WAY_OUT = "Restore the data, or start a new run with name=…"
_WAY_OUT_OF_ENCODER = "Restore its file of weights, or start a new run with name=…"


class OtherRunError(ValueError):
    """A folder holds a run of another configuration, so it is not this run's to write into."""


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first keys of two nested mappings whose values differ, with both values; ``""`` where none do.

    >>> differences({"loop": {"batch": 4}, "seed": 0}, {"loop": {"batch": 8}, "seed": 0})
    'loop.batch: 4 then, 8 now'
    """
    return _listed(_flat(before), _flat(now))


def refuse_config(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Compare two configurations but for the options that are free, see :mod:`mtal.free_keys`.

    Raises:
        OtherRunError: they differ, and the keys are named with both values; or there is no such option any more.
    """
    was, is_ = ({key: value for key, value in _flat(config).items() if not is_free(key)} for config in (before, now))
    changed = _listed(was, is_)
    gone = {key: value for key, value in old_options(before, now).items() if not is_free(key)} if changed else {}
    if gone:
        raise OtherRunError(
            f"{path} holds a run with options that this version of mtal does not have ({with_values(gone)}). "
            "Go on with the version that began it, or start a new run with name=…"
        )
    if changed:
        raise OtherRunError(
            f"{path} holds a run of a different config ({changed}). Give the new run its own name=…, "
            "or take the old folder away"
        )


def refuse_tasks(file: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Compare what the heads mean: weights, masks and labels that a run keeps are read by the number of the class.

    Args:
        file: ``tasks.json``, for the message.
        before: its content.
        now: what it would be now. Colours may differ.

    Raises:
        ValueError: a head or the classes of one are others, or stand in another order.
    """
    told = []
    for task in [*before, *(t for t in now if t not in before)]:
        was, is_ = (_meaning(tasks.get(task)) for tasks in (before, now))
        if was != is_:
            told.append(f"{task} was {was} and is {is_}")
    if told:
        raise ValueError(f"{file}: the heads of this run mean something else now: {_first(told)}. {_WAY_OUT}")


def refuse_encoder(file: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Compare two descriptions of an encoder, see :attr:`~mtal.models.Encoder.description`.

    Args:
        file: ``encoder.json``, for the message.
        before: its content.
        now: what it would be now.

    Raises:
        ValueError: weights, mean, standard deviation or the order of the channels are others.
    """
    changed = differences(before, now)
    if changed:
        raise ValueError(f"{file}: the encoder of this run is another one now: {changed}. {_WAY_OUT_OF_ENCODER}")


def refuse_frames(file: Path, before: pd.DataFrame, now: pd.DataFrame) -> bool:
    """Compare two frame indices but for where the files lie.

    Returns:
        Whether files lie elsewhere.

    Raises:
        ValueError: the frames, their times, patients or splits are others.
    """
    before, now = typed(before), typed(now)
    if not before.drop(columns="source").equals(now.drop(columns="source")):
        gone, new = (sorted(set(a["frame_id"]) - set(b["frame_id"])) for a, b in ((before, now), (now, before)))
        told = [
            f"{len(some)} {what}, the first is {some[0]!r}" for some, what in ((gone, "gone"), (new, "new")) if some
        ]
        raise ValueError(
            f"{file} lists other frames than the data set does now: the data changed since this run "
            f"({'; '.join(told) or 'times, patients or splits differ'}). {_WAY_OUT}"
        )
    return not before["source"].equals(now["source"])


def refuse_labels(path: Path, before: pd.DataFrame, now: pd.DataFrame, whose: str) -> None:
    """Compare digests of labels, see :func:`~mtal.learning.fingerprints.label_digests`.

    Raises:
        ValueError: labels are others; the tasks are named, with how many frames and the first of them.
    """
    if told := _changed(before, now):
        raise ValueError(f"{path}: labels that {whose} have changed since: {told}. {_WAY_OUT}")


def tell_corrected(path: Path, before: pd.DataFrame, now: pd.DataFrame, whose: str) -> None:
    """Say that people have corrected labels, which what is learnt from now on goes by.

    See :func:`refuse_labels`.
    """
    if told := _changed(before, now):
        warnings.warn(
            f"{path}: labels that {whose} were corrected: {told}. Complete rounds stay as they are; the next goes by "
            "the corrected ones",
            stacklevel=2,
        )


def _changed(before: pd.DataFrame, now: pd.DataFrame) -> str:
    """Tasks whose digests differ, with how many frames and the first of them."""
    told = []
    for task in before.columns.drop("frame_id"):
        changed = before["frame_id"][before[task].to_numpy() != now[task].to_numpy()].tolist()
        if changed:
            told.append(f"{task} in {len(changed)} of {len(before)} frames (first {changed[0]!r})")
    return _first(told)


def refuse_looks(path: Path, before: pd.DataFrame, now: pd.DataFrame) -> None:
    """Compare what some pictures look like.

    Args:
        path: the run folder, for the message.
        before: ``frame_id`` and ``look``, see :func:`~mtal.learning.fingerprints.looks`.
        now: the same frames.

    Raises:
        ValueError: pictures are others.
    """
    if before.empty:
        return
    same = look_alike(*(np.stack(frames["look"].to_list()) for frames in (before, now)))
    if not same.all():
        first = before["frame_id"].to_numpy()[~same][0]
        raise ValueError(
            f"{path}: the pictures are others than those that this run began with: {int((~same).sum())} of "
            f"{len(same)} compared (first {first!r}). {_WAY_OUT}"
        )


def tell_moved(path: Path, before: pd.DataFrame, now: pd.DataFrame) -> None:
    """Say that the files of a run lie elsewhere."""
    was, is_ = (
        (frames["source"][before["source"].to_numpy() != now["source"].to_numpy()]).iloc[0] for frames in (before, now)
    )
    warnings.warn(
        f"{path}: the data lie elsewhere than when this run began (first {was}, now {is_}); frames and labels are the "
        "same, so it goes on",
        stacklevel=2,
    )


def _meaning(task: Mapping[str, Any] | None) -> str:
    if task is None:
        return "no head"
    return f"{task['family']} per {task['support']} with {', '.join(task['classes'])}"


def _first(told: Sequence[str]) -> str:
    return "; ".join(told[:3]) + (f"; and {len(told) - 3} more" if len(told) > 3 else "")


def _listed(was: Mapping[str, Any], is_: Mapping[str, Any]) -> str:
    changed = [key for key in sorted(was.keys() | is_.keys()) if was.get(key) != is_.get(key)]
    listed = "; ".join(f"{k}: {was.get(k, 'absent')!r} then, {is_.get(k, 'absent')!r} now" for k in changed[:5])
    return listed + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(node, Mapping):
        return {prefix: node}
    if not node:
        return {prefix: {}} if prefix else {}
    flat: dict[str, Any] = {}
    for key, value in node.items():
        flat |= _flat(value, f"{prefix}.{key}" if prefix else str(key))
    return flat
