"""A procedural laparoscopic cholecystectomy: organs, camera, tools, bleeding and workflow, drawn with exact labels."""

from mtal.datasets.surgery.names import ANATOMY_MAP, BLEEDING_MAP, LABEL_MAPS, ORGANS, PHASES, TOOL_MAP, TOOLS
from mtal.datasets.surgery.render import BLOOD_AREA, TIP_VISIBLE, Frame, Surgery

__all__ = [
    "ANATOMY_MAP",
    "BLEEDING_MAP",
    "BLOOD_AREA",
    "LABEL_MAPS",
    "ORGANS",
    "PHASES",
    "TIP_VISIBLE",
    "TOOLS",
    "TOOL_MAP",
    "Frame",
    "Surgery",
]
