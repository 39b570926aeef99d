"""EndoVis 2018, robotic scene segmentation: kidney surgery on pigs with a mask for each frame.

Allan et al., "2018 Robotic Scene Segmentation Challenge", arXiv 2001.11190, 2020. Layout
``seq_1/left_frames/frame000.png`` and ``seq_1/labels/frame000.png``, whose colours are the classes; files count from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.folder_rows import folder_rows
from mtal.datasets.label_map import LabelMap
from mtal.datasets.mask import class_shares
from mtal.datasets.splits import assign_splits
from mtal.refusals import Refusals

MASK = LabelMap(
    task="mask",
    support="pixel",
    exclusive=True,
    classes=(
        "background tissue",
        "instrument shaft",
        "instrument clasper",
        "instrument wrist",
        "kidney parenchyma",
        "covered kidney",
        "thread",
        "clamps",
        "suturing needle",
        "suction instrument",
        "small intestine",
        "ultrasound probe",
    ),
    colors=(
        (0, 0, 0),
        (0, 255, 0),
        (0, 255, 255),
        (125, 255, 12),
        (255, 55, 0),
        (24, 55, 125),
        (187, 155, 25),
        (0, 255, 125),
        (255, 255, 125),
        (123, 15, 175),
        (124, 155, 5),
        (12, 255, 141),
    ),
    values={
        (0, 0, 0): 0,
        (0, 255, 0): 1,
        (0, 255, 255): 2,
        (125, 255, 12): 3,
        (255, 55, 0): 4,
        (24, 55, 125): 5,
        (187, 155, 25): 6,
        (128, 155, 25): 6,  # as the list of classes in the release has it
        (0, 255, 125): 7,
        (255, 255, 125): 8,
        (123, 15, 175): 9,
        (124, 155, 5): 10,
        (12, 255, 141): 11,
    },
)
"""Every class of the masks."""
ANATOMY = MASK.only("anatomy", ("background tissue", "kidney parenchyma", "covered kidney", "small intestine"))
TOOLS = LabelMap(
    task="tools",
    support="frame",
    exclusive=False,
    classes=("instrument", "thread", "clamps", "suturing needle", "suction instrument", "ultrasound probe"),
    colors=((0, 255, 0), (187, 155, 25), (0, 255, 125), (255, 255, 125), (123, 15, 175), (12, 255, 141)),
)
TEST_VIDEOS = ("seq_2", "seq_5", "seq_9", "seq_15")
_PARTS = ((1, 2, 3), (6,), (7,), (8,), (9,), (11,))  # classes of the mask that make up each tool


def load(
    root: Path | str,
    native_rate_hz: float = 1.0,
    tool_area: float = 0.001,
    test_videos: Sequence[str] = TEST_VIDEOS,
    val_videos: Sequence[str] = (),
) -> SurgicalDataset:
    """The frames of EndoVis 2018 for the tasks tools and anatomy; blood is not annotated.

    Shaft, wrist and clasper are one instrument. Anatomy ignores the pixels of tools. The release does not say which
    sequences are of one animal; each is taken for a patient. The default split is the one of González, Bravo-Sánchez
    and Arbeláez, "ISINet", MICCAI 2020.

    Args:
        root: folder of ``seq_1`` and so on.
        native_rate_hz: frames per second that file numbers count. The files do not tell; it is an assumption, used for
            the time between frames and nothing else.
        tool_area: share of the frame above which a tool is in view.
        test_videos: held out for the test.
        val_videos: held out for validation.

    Raises:
        FileNotFoundError: a folder or a mask is missing.
        ValueError: a mask cannot be read, is of another size than its frame, or holds an unknown colour.
    """
    root = Path(root)
    folders = {p.name: p for p in sorted(root.glob("seq_*")) if p.is_dir()}
    if not folders:
        raise FileNotFoundError(f"{root}: no seq_1 here; the root of EndoVis 2018 holds seq_1, seq_2 and so on")
    splits = assign_splits("endovis2018", folders, test_videos, val_videos)
    rows: list[dict[str, Any]] = []
    pictures: dict[str, Path] = {}  # frame_id → file
    refusals = Refusals()
    for video, folder in folders.items():
        with refusals:
            places, images = folder_rows(video, video, splits[video], folder / "left_frames", 0, native_rate_hz)
            rows += [{**p, "anatomy": folder / "labels" / i.name} for p, i in zip(places, images.values(), strict=True)]
            pictures |= images
    refusals.tell()
    shares = class_shares([r["anatomy"] for r in rows], MASK, list(pictures.values()))  # [N, C]
    for row, share in zip(rows, shares, strict=True):
        row["tools"] = [int(share[list(part)].sum() > tool_area) for part in _PARTS]
    return SurgicalDataset.from_rows("endovis2018", rows, (TOOLS, ANATOMY), pictures)
