"""The layout of the vocal-fold frames with 24 pictures of 48 x 64, for whatever goes through the configuration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

H, W = 48, 64
POOL, TEST = 16, 8
OPTIONS = (
    "data=vocalfolds",
    "strategy=joint_badge",  # no cross-validation
    "encoder=timm",
    "encoder.name=test_efficientnet",
    "encoder.frozen=true",
    "logger=none",
    "frames.image_size=[64,64]",
    "model.channels=32",
    "model.hidden=8",
    "loop.initial=4",
    "loop.batch=3",
    "loop.rounds=1",
    "acquisition.minimum_gap_s=0",
    "trainer.steps=2",
    "trainer.batch_size=4",
    "trainer.accelerator=cpu",
)
"""What makes a run take a second; ``data.root``, ``run_root`` and ``cache`` are for the test to give."""


def write(root: Path) -> Path:
    """Patient 2 is the pool and patient 1 held out, as ``split=patient`` has it."""
    generator = np.random.default_rng(4)
    for folder, count in (("patient2/seq5", POOL // 2), ("patient2/seq6", POOL // 2), ("patient1/seq1", TEST)):
        (root / "img" / folder).mkdir(parents=True)
        (root / "annot" / folder).mkdir(parents=True)
        for number in range(1, count + 1):
            mask = np.ones((H, W), dtype=np.uint8)
            left, right = sorted(generator.integers(4, W - 4, size=2).tolist())
            mask[:, left:] = 2
            mask[:, right:] = 3
            mask[: generator.integers(1, 20), :8] = 4
            for tool in (5, 6):
                if generator.random() < 0.5:
                    mask[30 + 8 * (tool - 5) : 36 + 8 * (tool - 5), 10:50] = tool
            picture = mask[..., None] * np.array([20, 35, 40]) + generator.integers(0, 30, size=(H, W, 3))
            Image.fromarray(picture.astype(np.uint8)).save(root / "img" / folder / f"{number:04d}.jpg")
            Image.fromarray(mask).save(root / "annot" / folder / f"{number:04d}.png")
    return root
