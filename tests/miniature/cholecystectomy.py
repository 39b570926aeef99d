"""Two patients in the layouts of Cholec80 and CholecSeg8k, with labels that were worked out by hand.

Masks are squares of :mod:`miniature.squares`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from miniature import film
from miniature.squares import H, W, grow
from PIL import Image

FRAMES = {"video01": 60, "video12": 30}
TOOLS = {  # Grasper Bipolar Hook Scissors Clipper Irrigator SpecimenBag
    "video01": {0: (1, 0, 1, 0, 0, 0, 0), 25: (0, 0, 0, 0, 0, 0, 1), 50: (0, 1, 0, 0, 0, 1, 0)},
    "video12": {0: (0, 0, 1, 1, 0, 0, 0), 25: (1, 0, 0, 0, 1, 0, 0)},
}
PHASES = {  # of frame k
    "video01": ["Preparation"] * 10 + ["CalotTriangleDissection"] * 30 + ["CleaningCoagulation"] * 20,
    "video12": ["ClippingCutting"] * 5 + ["GallbladderRetraction"] * 25,
}
GRAYS = {  # clip → frame → squares
    "video01_00024": {
        24: [[0, 50, 50, 255], [11, 21, 21, 13], [31, 22, 24, 32]],
        25: [[0, 50, 50, 255], [11, 21, 12, 13], [25, 22, 23, 33]],
        26: [[5, 5, 5, 5], [21, 21, 21, 21], [24, 24, 24, 24]],
    },
    "video12_00010": {
        10: [[50, 50, 50, 50], [21, 21, 32, 32], [22, 22, 22, 22]],
        11: [[50, 50, 50, 50], [21, 21, 21, 32], [22, 22, 22, 22]],
    },
}


def write_cholec80(root: Path) -> Path:
    """Videos whose frame k is told by its gray value, and both kinds of annotations."""
    for folder in ("videos", "tool_annotations", "phase_annotations"):
        (root / folder).mkdir(parents=True)
    for video, count in FRAMES.items():
        film.write(root / "videos" / f"{video}.mp4", film.numbered(count, (H, W)))
        rows = ["Frame\tGrasper\tBipolar\tHook\tScissors\tClipper\tIrrigator\tSpecimenBag"]
        rows += ["\t".join(map(str, (frame, *labels))) for frame, labels in TOOLS[video].items()]
        (root / "tool_annotations" / f"{video}-tool.txt").write_text("\n".join(rows) + "\n")
        rows = ["Frame\tPhase"] + [f"{k}\t{name}" for k, name in enumerate(PHASES[video])]
        (root / "phase_annotations" / f"{video}-phase.txt").write_text("\n".join(rows) + "\n")
    return root


def write_cholecseg8k(root: Path) -> Path:
    """Clips with an image, the watershed mask and the two masks that nobody needs; one mask is RGBA."""
    for clip, frames in GRAYS.items():
        folder = root / clip.partition("_")[0] / clip
        folder.mkdir(parents=True)
        for number, squares in frames.items():
            gray = grow(squares)  # [H, W]
            channels = [gray, gray, gray] + [np.full_like(gray, 255)] * (number == 25)
            picture = film.numbered(number + 1, (H, W))[number]
            Image.fromarray(picture).save(folder / f"frame_{number}_endo.png")
            Image.fromarray(np.dstack(channels)).save(folder / f"frame_{number}_endo_watershed_mask.png")
            Image.fromarray(gray).save(folder / f"frame_{number}_endo_mask.png")
            Image.fromarray(picture).save(folder / f"frame_{number}_endo_color_mask.png")
    return root
