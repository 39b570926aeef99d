"""Masks that come back as they were handed out.

Whoever only wrote ``done`` has looked at nothing, or finds that all is right: it is taken in, and told.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from miniature.desk import fill, write
from miniature.three_frames import FILES, SIZE, A, B


@pytest.fixture
def drawn(oracle, request_of) -> Path:
    """The folder of a request with masks that the model drew, but for the vessels of the second frame."""
    vessels = np.zeros((2, *SIZE), np.uint8)
    vessels[1, :5] = 1

    def guess(row, size):
        return {"anatomy": np.full(size, row, np.uint8), "vessels": vessels * (row == 0)}

    request = request_of(guess=guess)
    oracle.ask(request)
    return oracle.root / request.id


def test_are_told_once_with_the_first_and_taken_in(oracle, drawn):
    write(drawn / "masks/anatomy" / FILES[0], np.zeros((*SIZE, 3)))  # saved again as it was, by another program
    fill(drawn, {(row, f"label/{task}"): "done" for row in (0, 1) for task in ("anatomy", "vessels")})
    with pytest.warns(UserWarning, match="4 masks that are done now") as told:
        oracle.collect()
    empty, drew = sorted(str(warning.message) for warning in told)
    first, second = (drawn / "images" / file for file in FILES[:2])
    which = f"anatomy of {first}, vessels of {first}, anatomy of {second}"
    assert drew.startswith(f"3 of 4 masks that are done now came back exactly as the model drew them ({which}). ")
    assert empty.startswith("1 of 4 masks that are done now came back as empty as they were handed out ")
    assert f"(vessels of {second})" in empty
    labels = oracle.label([A, B], SIZE)
    assert [(y == k).all() for k, y in enumerate(labels["anatomy"])] == [True, True]
    assert labels["vessels"].sum(axis=(2, 3)).tolist() == [[0, 5 * SIZE[1]], [0, 0]]
    oracle.collect()  # and that is that


def test_what_was_corrected_is_not_told(oracle, drawn):
    fill(drawn, {(0, "label/anatomy"): "done", (0, "label/vessels"): "done", (1, "label/vessels"): "?"})
    mask = np.zeros(SIZE)
    mask[0, 0] = 1
    write(drawn / "masks/anatomy" / FILES[0], mask)
    write(drawn / "masks/vessels/artery" / FILES[0], mask * 255)
    oracle.collect()


def test_a_folder_that_does_not_say_what_was_handed_out(oracle, drawn):
    about = json.loads((drawn / "request.json").read_text())
    for frame in about["frames"]:
        del frame["masks"]
    (drawn / "request.json").write_text(json.dumps(about))
    fill(drawn, {(0, "label/anatomy"): "done"})
    oracle.collect()
