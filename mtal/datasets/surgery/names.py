"""What a frame of the synthetic surgery can show: organs, tools, phases and the label maps of its three tasks."""

from __future__ import annotations

from mtal.datasets.label_map import IGNORE, LabelMap

ORGANS = ("abdominal_wall", "liver", "gut", "fat", "gallbladder", "connective_tissue", "cystic_duct")
TOOLS = ("grasper", "bipolar", "hook", "scissors", "clipper", "irrigator", "specimen_bag")
PHASES = (
    "inspection",
    "preparation",
    "calot_dissection",
    "clipping_cutting",
    "gallbladder_dissection",
    "idle",
    "packaging",
    "cleaning",
)

TOOL_MAP = LabelMap(
    task="tools",
    support="frame",
    exclusive=False,
    classes=TOOLS,
    colors=(
        (170, 255, 0),
        (0, 170, 255),
        (169, 255, 184),
        (255, 170, 0),
        (200, 80, 255),
        (0, 255, 230),
        (255, 255, 255),
    ),
)
BLEEDING_MAP = LabelMap(task="bleeding", support="frame", exclusive=False, classes=("bleeding",), colors=((255, 0, 0),))
ANATOMY_MAP = LabelMap(
    task="anatomy",
    support="pixel",
    exclusive=True,
    classes=ORGANS,
    # The colours of CholecSeg8k, so that overlays of both read alike.
    colors=(
        (210, 140, 140),
        (255, 114, 114),
        (231, 70, 156),
        (186, 183, 75),
        (255, 160, 165),
        (255, 85, 0),
        (255, 255, 0),
    ),
    values={number: number for number in range(len(ORGANS))} | {IGNORE: IGNORE},
)
LABEL_MAPS = (TOOL_MAP, BLEEDING_MAP, ANATOMY_MAP)
