"""One frame with a known mask through every part that fits it: pictures, training, prediction, scores and overlays."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import binary_erosion
from torch.nn.functional import one_hot

from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.masks import OwnSizeMasks
from mtal.frames.cache import FrameCache
from mtal.frames.image_folder import folder_source
from mtal.frames.index import FrameIndex
from mtal.frames.window import WHOLE, of_rows
from mtal.learning.evaluation import EvaluationSettings, measure
from mtal.learning.experiment import seen_through
from mtal.learning.held_out import HeldOutFrames
from mtal.learning.picks import predict_masks, said_on_frame, write_images
from mtal.scoring.inputs import FrameInputs
from mtal.scoring.site_weights import AskedSites
from mtal.tasks.on_frame import inside
from mtal.tasks.task import Task

FRAME = (480, 854)
INPUT = (96, 128)
GRID = (1100, 1460)  # cells of half a pixel or less, of whatever is shown
ORGANS = LabelMap(
    "organs", "pixel", True, ("tissue", "liver", "duct"), ((150, 90, 80), (90, 30, 30), (200, 190, 40)),
    {1: 0, 2: 1, 3: 2, 0: IGNORE},
)  # fmt: skip
CPU = torch.device("cpu")


class Perfect(torch.nn.Module):
    """Says what is labelled, at its own resolution."""

    def __init__(self, masks):  # [N, h, w]
        super().__init__()
        known = torch.from_numpy(np.where(masks == IGNORE, 0, masks)).long()
        self.logits = one_hot(known, 3).permute(0, 3, 1, 2).float()

    def forward(self, pictures):
        return SimpleNamespace(heads={"organs": SimpleNamespace(logits=self.logits[: len(pictures)])})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A circle of 420 pixels in a black frame; around it nothing is labelled."""
    root = tmp_path_factory.mktemp("frame")
    y, x = np.mgrid[: FRAME[0], : FRAME[1]]
    gray = np.where(np.hypot(y - 239.5, x - 400) < 210, 1, 0)
    gray[(gray == 1) & (x > 410)] = 2
    gray[150:330:, 300:341] = 3
    picture = np.array([(0, 0, 0), *ORGANS.colors], dtype=np.uint8)[gray]
    (root / "video").mkdir()
    Image.fromarray(picture).save(root / "video" / "0.png")
    Image.fromarray(gray.astype(np.uint8)).save(root / "mask.png")
    row = {"patient": "p", "video": "video", "frame": 0, "time_s": 0.0, "split": "pool"}
    row |= {"source": folder_source(root / "video"), "organs": root / "mask.png"}
    return SurgicalDataset.from_rows("frame", [row], (ORGANS,), {"video": FRAME})


@pytest.mark.parametrize("fit", ["stretch", "letterbox", "content"])
def test_a_mask_lies_where_it_was_drawn(dataset, tmp_path, fit):
    frames = FrameCache(tmp_path / "cache").get(dataset.index.table, INPUT, progress=False, fit=fit)
    (window,) = of_rows(frames.windows, [0]) or [WHOLE]
    shown = seen_through(dataset, frames.windows)
    ids, task = dataset.index.frame_ids, Task(ORGANS)
    truth = dataset.labels.mask("organs", ids[0])

    # what is learnt from lies on the picture: away from borders each class has its colour
    labels, picture = shown.labels.targets("organs", ids, INPUT), frames[[0]][0]
    for number, color in enumerate(ORGANS.colors):
        at = binary_erosion(labels[0] == number, np.ones((5, 5)))
        assert at.sum() > 20
        assert (np.abs(picture[at].astype(int) - color) <= 2).all()
    beyond = (picture == 0).all(axis=2) & (labels[0] == IGNORE)
    site_weights = AskedSites(windows=frames.windows)(task, np.array([0]), [torch.zeros(1)], INPUT)
    if fit == "letterbox":  # 128 pixels for 854: 72 rows of the frame and 12 above and below
        assert (site_weights.view(INPUT)[[0, 11, 84, 95]] == 0).all()
        assert beyond[:12].all()
    elif fit == "stretch":
        assert site_weights is None

    # a head that is right is right everywhere on the frame, whoever asks
    model, inputs = Perfect(shown.labels.targets("organs", ids, GRID)), FrameInputs(frames)
    targets = {"organs": OwnSizeMasks(lambda row: truth, 1)}
    windows = of_rows(frames.windows, [0])
    metrics = measure(model, [task], inputs, np.array([0]), targets, CPU, windows=windows).compute()
    assert {metrics[f"organs/IoU/{name}"] for name in ORGANS.classes} == {1.0}
    said = said_on_frame(model, [task], inputs, 0, FRAME, CPU, frames.windows)["organs"]
    known = truth != IGNORE
    assert inside(FRAME, window)[known].all()  # nothing that is labelled is cut away
    np.testing.assert_array_equal(said[known], truth[known])
    assert (said == IGNORE).any() == (fit == "content")

    # a run asks at either resolution
    held = SurgicalDataset(shown.name, FrameIndex(dataset.index.table.assign(split="test")), (ORGANS,), shown.labels)
    people = SimpleNamespace(answers=None)
    for resolution, said in (("labels", model), ("input", Perfect(labels))):
        settings = EvaluationSettings(resolution=resolution)
        held_out = HeldOutFrames(held, frames, inputs, [task], people, settings, {"test": None}, 0)
        found = held_out.measure("test", said, CPU).compute()
        assert {found[f"organs/IoU/{name}"] for name in ORGANS.classes} == {1.0}

    # and what a round keeps to look at is of one piece
    predicted = predict_masks(model, [task], inputs, np.array([0]), INPUT, CPU, windows)
    write_images(tmp_path / "images", frames, np.array([0]), {"organs": labels}, predicted)
    label, prediction = (
        np.asarray(Image.open(tmp_path / "images" / f"0000.organs{kind}.png")) for kind in ("", ".pred")
    )
    both = label != IGNORE
    assert (label == prediction)[both].mean() > 0.97  # middles of pixels against nearest ones, at borders
    if fit == "letterbox":
        assert (prediction[:12] == IGNORE).all()
        assert (prediction[12:84] != IGNORE).all()
