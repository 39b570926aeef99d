"""What annotators are asked for the picks of a round."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from mtal.annotation import Request
from mtal.learning.picks import said_on_frame
from mtal.learning.run_folder import RunFolder
from mtal.learning.setup import Setup


def request_picks(setup: Setup, folder: RunFolder, number: int, table: pd.DataFrame) -> Request:
    """The picks of a round as annotators are asked for them, with what the model of the round before says of each.

    Args:
        setup: what the run is made of.
        folder: of the run, with all rounds before.
        number: of the round; nothing is learnt so far in round 0.
        table: its picks, with ``asked/<task>``.
    """
    frame_ids, tasks = table["frame_id"].tolist(), [t.name for t in setup.tasks]
    sources = setup.dataset.index.select(frame_ids)["source"].to_numpy()
    asked = np.stack([table[f"asked/{task}"].to_numpy(dtype=bool) for task in tasks], axis=1)  # [N, T]

    model = cache(lambda: setup.model_before(folder, number))  # nobody asks where all is answered

    def guess(row: int, size: tuple[int, int]) -> dict[str, np.ndarray]:
        (at,) = setup.positions([frame_ids[row]]).tolist()
        return said_on_frame(model(), setup.tasks, setup.inputs, at, size, setup.device, setup.frames.windows)

    return Request(f"{number:02d}", table.assign(source=sources), tasks, asked, guess=guess if number else None)
