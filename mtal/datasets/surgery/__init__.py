"""A procedural laparoscopic cholecystectomy: organs, camera, tools, bleeding and workflow, drawn with exact labels."""

from mtal.datasets.surgery.names import LABEL_MAPS, ORGANS, PHASES, TOOLS
from mtal.datasets.surgery.render import BLOOD_AREA, TIP_VISIBLE, Frame, Surgery

__all__ = ["BLOOD_AREA", "LABEL_MAPS", "ORGANS", "PHASES", "TIP_VISIBLE", "TOOLS", "Frame", "Surgery"]
