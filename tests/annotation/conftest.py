from functools import partial
from pathlib import Path

import numpy as np
import pytest
from miniature import three_frames

from mtal.annotation import Answer, FolderOracle, LabelStore, Said
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_map import LabelMap

TOOLS = LabelMap("tools", "frame", False, ("grasper", "hook"), ((0, 0, 1), (0, 0, 2)))
PHASE = LabelMap("phase", "frame", True, ("prepare", "dissect", "close"), ((0, 1, 0), (0, 2, 0), (0, 3, 0)))
ANATOMY = LabelMap("anatomy", "pixel", True, ("wall", "liver"), ((1, 0, 0), (2, 0, 0)), {7: 0, 9: 1})
VESSELS = LabelMap("vessels", "pixel", False, ("artery", "vein"), ((1, 1, 0), (2, 1, 0)))
MAPS = (TOOLS, PHASE, ANATOMY, VESSELS)


@pytest.fixture
def store(tmp_path) -> LabelStore:
    return LabelStore(tmp_path / "labels", MAPS)


@pytest.fixture
def answer():
    """An answer with a label, or with none."""

    def make(frame_id: str, task: str, label=None, said: Said | None = None, **more) -> Answer:
        said = said or (Said.NOT_ANNOTATED if label is None else Said.LABELLED)
        return Answer(frame_id, task, said, None if label is None else np.array(label, dtype=np.uint8), **more)

    return make


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> SurgicalDataset:
    return three_frames.write(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def request_of(dataset):
    return partial(three_frames.request, dataset)


@pytest.fixture
def oracle(dataset, tmp_path) -> FolderOracle:
    """Who hands out folders; a file may have another."""
    return FolderOracle(dataset, tmp_path / "desk")


@pytest.fixture
def asked(oracle, request_of) -> Path:
    """The folder of a request to the ``oracle``."""
    oracle.ask(request_of())
    return oracle.root / request_of().id
