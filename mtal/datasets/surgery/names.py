"""What a frame of the synthetic surgery can show, by the names and gray values of Cholec80 and CholecSeg8k."""

from __future__ import annotations

from mtal.datasets import cholec80, cholecseg8k
from mtal.datasets.label_map import IGNORE

TOOLS = cholec80.TOOLS.classes
PHASES = cholec80.PHASE_NAMES
ORGANS = cholecseg8k.ANATOMY.classes
LABEL_MAPS = (cholec80.TOOLS, cholecseg8k.BLEEDING, cholecseg8k.ANATOMY)

GRAY = {
    cholecseg8k.MASK.classes[number]: gray
    for gray, number in cholecseg8k.MASK.values.items()
    if number != IGNORE and isinstance(gray, int)
}
"""Gray value of each class of CholecSeg8k's watershed masks."""
BACKGROUND = GRAY["black background"]
BLOOD = GRAY["blood"]
TOOL_GRAY = {"grasper": GRAY["grasper"], "hook": GRAY["L-hook electrocautery"]}
"""The other five tools have no gray value in CholecSeg8k: their pixels are ``UNLABELLED``."""
UNLABELLED = 255
