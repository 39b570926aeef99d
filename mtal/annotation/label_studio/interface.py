"""The labelling interface of a project, drawn from the label maps, and what its controls are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree import ElementTree as ET

from mtal.datasets.label_map import LabelMap

IMAGE, FRAME = "image", "frame"
UNUSABLE = "unusable"
NOTHING, UNKNOWN = "checked, none of these is there", "cannot be told"
"""Choices that stand for no class."""


def label_control(task: str) -> str:
    """The control by which classes are told or painted."""
    return f"label/{task}"


def state_control(task: str) -> str:
    """The control by which an annotator says that there is nothing, or that it cannot be told."""
    return f"state/{task}"


def rest_control(task: str) -> str:
    """The control by which an annotator says what all is that was not painted."""
    return f"rest/{task}"


def controls(label_maps: Iterable[LabelMap]) -> dict[str, tuple[str, ...]]:
    """Control → its labels, of all that the interface has."""
    found: dict[str, tuple[str, ...]] = {FRAME: (UNUSABLE,)}
    for label_map in label_maps:
        found[label_control(label_map.task)] = label_map.classes
        found[state_control(label_map.task)] = (UNKNOWN,) if label_map.exclusive else (NOTHING, UNKNOWN)
        if _has_rest(label_map):
            found[rest_control(label_map.task)] = label_map.classes
    return found


def drawn(label_maps: Iterable[LabelMap]) -> str:
    """The interface as Label Studio takes it; names of classes are text there and never markup."""
    maps = list(label_maps)
    view = ET.Element("View", style="display: flex; gap: 1em")
    left, right = (ET.SubElement(view, "View", style=f"flex: {n} 0 0; min-width: 0") for n in (3, 1))
    ET.SubElement(left, "Header", value="$title", size="4")
    ET.SubElement(left, "Header", value="$why", size="5", style="font-size: 14px; font-weight: normal")
    ET.SubElement(left, "Image", name=IMAGE, value="$image", zoom="true", zoomControl="true", brightnessControl="true")
    ET.SubElement(left, "Header", value="The seconds around", size="5")
    ET.SubElement(left, "Markdown", value="$around")  # a second Image would keep the server from taking uploads
    for label_map in maps:
        ET.SubElement(right, "Header", value=label_map.task, size="4")
        if label_map.support == "pixel":
            _brush(right, label_map)
        else:
            _choices(right, label_control(label_map.task), label_map.classes, one=label_map.exclusive)
        if _has_rest(label_map):
            ET.SubElement(right, "Header", value=f"{label_map.task}: all that is not painted is", size="5")
            _choices(right, rest_control(label_map.task), label_map.classes, one=True)
        states = (UNKNOWN,) if label_map.exclusive else (NOTHING, UNKNOWN)
        _choices(right, state_control(label_map.task), states, one=True)
    ET.SubElement(right, "Header", value="The picture", size="4")
    _choices(right, FRAME, (UNUSABLE,), one=True)
    ET.indent(view)
    return ET.tostring(view, encoding="unicode")


def differences(now: Mapping[str, Any], label_maps: Iterable[LabelMap]) -> list[str]:
    """What a person has changed in the controls of an interface so that labels mean something else, or are missing.

    Args:
        now: ``parsed_label_config`` of the project.
        label_maps: by which it was drawn.
    """
    told = []
    for name, labels in controls(label_maps).items():
        if name not in now:
            told.append(f"{name} is gone")
            continue
        there = list(now[name].get("labels", ()))
        gone, new = [x for x in labels if x not in there], [x for x in there if x not in labels]
        if gone:
            told.append(f"{name} lacks {', '.join(map(repr, gone))}")
        if new:
            told.append(f"{name} has {', '.join(map(repr, new))}, which is no class")
    return told


def _has_rest(label_map: LabelMap) -> bool:
    return label_map.support == "pixel" and label_map.exclusive


def _brush(parent: ET.Element, label_map: LabelMap) -> None:
    brush = ET.SubElement(parent, "BrushLabels", name=label_control(label_map.task), toName=IMAGE)
    for name, color in zip(label_map.classes, label_map.colors, strict=True):
        ET.SubElement(brush, "Label", value=name, background="#{:02x}{:02x}{:02x}".format(*color))


def _choices(parent: ET.Element, name: str, labels: Iterable[str], *, one: bool) -> None:
    choice = "single" if one else "multiple"
    choices = ET.SubElement(parent, "Choices", name=name, toName=IMAGE, choice=choice, showInline="true")
    for label in labels:
        ET.SubElement(choices, "Choice", value=label)
