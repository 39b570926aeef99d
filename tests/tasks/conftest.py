"""The four kinds of head: two families times two supports."""

from collections.abc import Callable

import pytest

from mtal.datasets.label_map import LabelMap
from mtal.tasks import Task

MakeTask = Callable[..., Task]


@pytest.fixture
def make_task() -> MakeTask:
    """Builds a task with classes c0, c1, ..."""

    def make(support: str, family: str, classes: int, name: str = "head", weight: float = 1.0) -> Task:
        return Task(
            LabelMap(
                task=name,
                support=support,
                exclusive=family == "categorical",
                classes=tuple(f"c{i}" for i in range(classes)),
                colors=tuple((i, 0, 0) for i in range(classes)),
            ),
            weight,
        )

    return make
