"""Heads of every kind, and images."""

import pytest
import torch
from torch import Tensor

from mtal.datasets.label_map import LabelMap
from mtal.tasks import Task


def task(name: str, support: str, classes: int, *, exclusive: bool) -> Task:
    colors = tuple((i, 0, 0) for i in range(classes))
    return Task(LabelMap(name, support, exclusive, tuple(f"c{i}" for i in range(classes)), colors))


@pytest.fixture(scope="session")
def tasks() -> list[Task]:
    """Tools, bleeding, phase, anatomy and overlapping structures."""
    return [
        task("tools", "frame", 3, exclusive=False),
        task("bleeding", "frame", 1, exclusive=False),
        task("phase", "frame", 4, exclusive=True),
        task("anatomy", "pixel", 5, exclusive=True),
        task("structures", "pixel", 2, exclusive=False),
    ]


@pytest.fixture
def images() -> Tensor:
    """Two uint8 RGB images of 64 x 96."""
    return torch.randint(0, 256, (2, 3, 64, 96), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
