"""What an annotation says of each head, and what the model believes as an annotation to correct."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mtal.annotation.answers import Said
from mtal.annotation.label_studio import brush, interface
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.refusals import Refusals
from mtal.suggest import nearest

Labels = npt.NDArray[np.uint8]
Told = tuple[Said, Labels | None]


class Results:
    """The results of one annotation by control.

    Args:
        results: as Label Studio has them, in the order in which they were made.
        label_maps: of the heads.
        size: (H, W) of the frame.
        where: the annotation, for messages.
    """

    def __init__(
        self,
        results: Sequence[Mapping[str, Any]],
        label_maps: Mapping[str, LabelMap],
        size: tuple[int, int],
        where: str,
    ) -> None:
        self.label_maps, self.size, self.where = label_maps, size, where
        self._by: dict[str, list[Mapping[str, Any]]] = {}
        for result in results:
            if "from_name" in result:  # relations between regions have none
                self._by.setdefault(result["from_name"], []).append(result)

    def answers(self, refusals: Refusals) -> dict[str, Told]:
        """What is said of each head that anything is said of; what is wrong goes to ``refusals``."""
        with refusals:
            self._no_other_controls()
        unusable = False
        with refusals:
            unusable = bool(self._chosen(interface.FRAME, (interface.UNUSABLE,), one=True))
        if unusable:
            return dict.fromkeys(self.label_maps, (Said.UNUSABLE, None))
        found: dict[str, Told] = {}
        for task, label_map in self.label_maps.items():
            with refusals:
                told = self._head(label_map)
                if told is not None:
                    found[task] = told
        return found

    def _no_other_controls(self) -> None:
        known = interface.controls(self.label_maps.values())
        other = [name for name in self._by if name not in known]
        if other:
            raise ValueError(
                f"{self.where}: {other[0]!r} is no part of the labelling interface{nearest(other[0], known)}; give it "
                "its name back in Settings > Labeling Interface, or take the answer out"
            )

    def _head(self, label_map: LabelMap) -> Told | None:
        task = label_map.task
        states = interface.controls([label_map])[interface.state_control(task)]
        state = self._chosen(interface.state_control(task), states, one=True)
        if label_map.support == "frame":
            names = self._chosen(interface.label_control(task), label_map.classes, one=label_map.exclusive)
            label = _tags(names, label_map) if names else None
        else:
            names = [n for r in self._by.get(interface.label_control(task), ()) for n in self._painted(r, label_map)]
            label = self._mask(label_map)
        if state == [interface.UNKNOWN]:  # whatever the model had believed, and was left there
            return Said.NOT_ANNOTATED, None
        if state and names:
            raise ValueError(f"{self.where}: {task} is {names[0]!r} and {state[0]!r}; keep one")
        if state:
            pixels = self.size if label_map.support == "pixel" else ()
            return Said.LABELLED, np.zeros((len(label_map.classes), *pixels), dtype=np.uint8)
        return None if label is None else (Said.LABELLED, label)

    def _chosen(self, control: str, known: Sequence[str], *, one: bool) -> list[str]:
        """What is ticked there."""
        names = [n for result in self._by.get(control, ()) for n in result["value"].get("choices", ())]
        self._check(names, control, known)
        if one and len(names) > 1:
            raise ValueError(f"{self.where}: {control} is {' and '.join(map(repr, names))}; keep one")
        return names

    def _painted(self, result: Mapping[str, Any], label_map: LabelMap) -> list[str]:
        """The one class of a region."""
        control = interface.label_control(label_map.task)
        names = list(result["value"].get("brushlabels", ()))
        self._check(names, control, label_map.classes)
        if len(names) != 1:
            raise ValueError(f"{self.where}: a region of {control} has {len(names)} labels; give it one, or delete it")
        return names

    def _check(self, names: Sequence[str], control: str, known: Sequence[str]) -> None:
        wrong = [n for n in names if n not in known]
        if wrong:
            raise ValueError(
                f"{self.where}: {wrong[0]!r} is no label of {control}{nearest(wrong[0], known)}; it has "
                f"{', '.join(known)}"
            )

    def _mask(self, label_map: LabelMap) -> Labels | None:
        """What was painted last counts where regions overlap and classes do not."""
        regions = self._by.get(interface.label_control(label_map.task), [])
        rest = (
            self._chosen(interface.rest_control(label_map.task), label_map.classes, one=True)
            if label_map.exclusive
            else []
        )
        if not regions and not rest:
            return None
        classes = label_map.classes
        if label_map.exclusive:
            label = np.full(self.size, classes.index(rest[0]) if rest else IGNORE, dtype=np.uint8)
        else:
            label = np.zeros((len(classes), *self.size), dtype=np.uint8)
        for result in regions:
            number = classes.index(self._painted(result, label_map)[0])
            painted = self._region(result)
            if label_map.exclusive:
                label[painted] = number
            else:
                label[number][painted] = 1
        return label

    def _region(self, result: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
        size = (result.get("original_height"), result.get("original_width"))
        try:
            if size != self.size:
                raise ValueError(f"the mask is {size[0]}x{size[1]}, but its frame is {self.size[0]}x{self.size[1]}")
            return brush.decode(result["value"].get("rle", ()), self.size)
        except ValueError as error:
            raise ValueError(f"{self.where}: {error} (height x width); paint it anew") from None


def believed(
    guess: Mapping[str, Labels], label_maps: Sequence[LabelMap], size: tuple[int, int]
) -> Iterator[dict[str, Any]]:
    """What the model says of a frame as results.

    Args:
        guess: head → its label; see :class:`~mtal.annotation.Answer`.
        label_maps: of the heads that are asked for.
        size: (H, W) of the frame.
    """
    for label_map in label_maps:
        label = guess.get(label_map.task)
        if label is None:
            continue
        control = interface.label_control(label_map.task)
        if label_map.support == "pixel":
            for number, name in enumerate(label_map.classes):
                mask = label == number if label_map.exclusive else label[number] == 1
                if mask.any():
                    value = {"format": "rle", "rle": brush.encode(mask), "brushlabels": [name]}
                    yield _result(f"{control}/{number}", control, "brushlabels", value, size)
            continue
        there = [int(label)] if label_map.exclusive else np.flatnonzero(label == 1).tolist()
        names = [label_map.classes[n] for n in there if n != IGNORE]
        if names:  # that there is nothing is for people to tick, who would have to untick it
            yield _result(control, control, "choices", {"choices": names}, size)


def _result(name: str, control: str, kind: str, value: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    return {
        "id": name,
        "from_name": control,
        "to_name": interface.IMAGE,
        "type": kind,
        "value": value,
        "original_width": size[1],
        "original_height": size[0],
        "image_rotation": 0,
    }


def _tags(names: Sequence[str], label_map: LabelMap) -> Labels:
    if label_map.exclusive:
        return np.array(label_map.classes.index(names[0]), dtype=np.uint8)
    return np.array([name in names for name in label_map.classes], dtype=np.uint8)
