from collections.abc import Iterator

import numpy as np
import pytest
from label_studio_server import TOKEN, FakeLabelStudio, serving
from miniature import three_frames

from mtal.annotation import LabelStudioOracle, Request
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_map import LabelMap

TOOLS = LabelMap("tools", "frame", False, ("grasper", "<b>hook</b>"), ((0, 0, 1), (0, 0, 2)))
PHASE = LabelMap("phase", "frame", True, ("prepare", "dissect"), ((0, 1, 0), (0, 2, 0)))
ANATOMY = LabelMap("anatomy", "pixel", True, ("wall", "liver"), ((150, 0, 0), (200, 0, 0)), {7: 0, 9: 1})
VESSELS = LabelMap("vessels", "pixel", False, ("artery", "bile duct"), ((1, 1, 0), (2, 1, 0)))
MAPS = (TOOLS, PHASE, ANATOMY, VESSELS)
SIZE = (20, 30)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> SurgicalDataset:
    """Three pictures of one recording, of which nothing is known."""
    return three_frames.write(tmp_path_factory.mktemp("pictures"), SIZE, MAPS)


@pytest.fixture
def fake() -> FakeLabelStudio:
    return FakeLabelStudio()


@pytest.fixture
def url(fake, monkeypatch) -> Iterator[str]:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", TOKEN)
    with serving(fake) as address:
        yield address


@pytest.fixture
def start(dataset, url, tmp_path):
    """An oracle, as each start of the program makes one."""
    return lambda **more: LabelStudioOracle(
        dataset, **{"url": url, "store": tmp_path / "labels", "project": "ward"} | more
    )


@pytest.fixture
def request_of(dataset):
    """All heads of all three frames in another order, but for the first, which is asked for its tools alone."""
    asked = np.ones((3, 4), dtype=bool)
    asked[0, 1:] = False

    def make(**more) -> Request:
        frames = dataset.index.select(["v/000002", "v/000000", "v/000001"])
        return Request("00", frames.assign(**more.pop("columns", {})), [m.task for m in MAPS], asked, **more)

    return make


@pytest.fixture
def asked(start, request_of, fake) -> dict[str, int]:
    """Frame → its task."""
    start().ask(request_of())
    return {task["data"]["frame_id"]: number for number, task in fake.tasks.items()}
