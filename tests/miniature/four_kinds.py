"""A table with a head of each of the four kinds, partly labelled as Endoscapes is: tags everywhere, masks on some."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

SIDE, PER_PATIENT = 48, 12
PHASES, TOOLS, ANATOMY, ORGANS = (
    ("cut", "clip", "wash"),
    ("hook", "grasper"),
    ("wall", "cavity"),
    ("liver", "bile duct"),
)
HEADS = (
    "{phase: {column: phase}, tools: {columns: 'has_*'}, "
    "anatomy: {mask: parts, classes: {1: wall, 2: cavity}}, "
    "organs: {masks: {liver: liver, bile duct: duct}}}"
)


def options(root: Path) -> list[str]:
    """Of the command line, for a run of two seconds."""
    return [
        *("experiment=tiny", "tasks=all", "data=table", f"data.path={root / 'frames.csv'}"),
        *(f"data.heads={HEADS}", "data.test_patients=[cyd]", "encoder=timm", "encoder.name=test_efficientnet"),
        *("encoder.frozen=true", "frames.image_size=[64,64]", "model.channels=32", "model.hidden=8"),
        *("loop.initial=8", "loop.batch=4", "trainer.steps=8", "trainer.batch_size=4", "trainer.accelerator=cpu"),
        *("trainer.learning_rate=0.03", "acquisition.minimum_gap_s=0"),
    ]


def write(root: Path) -> Path:
    """Patients ada, ben and cyd in a folder each; liver and bile duct overlap in every frame that has both."""
    generator = np.random.default_rng(3)
    rows = []
    for patient in ("ada", "ben", "cyd"):
        for k in range(PER_PATIENT):
            name = f"{patient}/{k:03d}.png"
            edge = int(generator.integers(16, 32))
            parts = np.where(np.arange(SIDE) < edge, 1, 2).astype(np.uint8) * np.ones((SIDE, 1), dtype=np.uint8)
            parts[:4] = 0  # nobody annotated the upper border
            liver, duct = np.zeros((2, SIDE, SIDE), dtype=np.uint8)
            liver[8:], duct[16:40, 8:40] = 255, 255 * (k % 3 > 0)
            picture = np.stack([60 + 60 * parts, 40 + liver // 2, 30 + duct // 2], axis=2)
            picture += generator.integers(0, 20, size=picture.shape, dtype=np.uint8)
            for folder, image in (("images", picture), ("parts", parts), ("liver", liver), ("duct", duct)):
                (root / folder / patient).mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(root / folder / name)
            rows.append(
                {
                    "image": f"images/{name}",
                    "patient": patient,
                    "phase": PHASES[k // 4] if k != 5 else "",
                    "has_hook": k % 2,
                    "has_grasper": "" if k == 7 else int(k < 6),
                    "parts": f"parts/{name}" if k % 2 == 0 else "",
                    "liver": f"liver/{name}" if k % 4 == 0 else "",
                    "duct": f"duct/{name}" if k % 8 == 0 else "",  # of the others only the liver is known
                }
            )
    pd.DataFrame(rows).to_csv(root / "frames.csv", index=False)
    return root
