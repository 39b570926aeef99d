import numpy as np
import pytest

from mtal.datasets.label_map import IGNORE
from mtal.datasets.masks import Masks, OwnSizeMasks, ReadMasks, in_parts, joined, labelled_rows, take


@pytest.fixture
def array():
    labels = np.random.default_rng(0).integers(0, 4, (7, 2, 3)).astype(np.uint8)
    labels[[1, 4]] = IGNORE
    labels[2, 0] = IGNORE
    return labels


def reader(array, **options):
    asked = []

    def read(rows):
        asked.extend(rows.tolist())
        return array[rows]

    return ReadMasks(read, len(array), array.shape[1:], **options), asked


ROWS = [slice(None), slice(2, 5), [3, 0, 3], np.array([6, 1]), np.zeros(0, dtype=np.int64), np.arange(7) % 2 == 0]


@pytest.mark.parametrize("rows", ROWS, ids=str)
def test_rows_are_those_of_the_array(array, rows):
    for masks in (Masks.of(array), reader(array)[0], reader(array, keep_bytes=13)[0]):
        for _ in range(2):  # the second time some are kept
            np.testing.assert_array_equal(masks[rows], array[rows])
        np.testing.assert_array_equal(take(masks, rows)[:], array[rows])
        assert masks.shape == array.shape


def test_frames_without_a_label_take_no_room(array):
    masks = Masks.of(array)
    assert [mask is None for mask in masks._masks] == [False, True, False, False, True, False, False]
    np.testing.assert_array_equal(masks.labelled, labelled_rows(array))


def test_read_once_as_long_as_there_is_room(array):
    masks, asked = reader(array, keep_bytes=12)  # two masks of six pixels; empty ones take none
    for _ in range(3):
        masks[[0, 1, 2, 3]]
    assert sorted(asked) == [0, 1, 2, 3, 3, 3]
    np.testing.assert_array_equal(masks.labelled, labelled_rows(array))


def test_parts_of_a_reader_read_nothing_before_they_are_asked(array):
    masks, asked = reader(array)
    part = take(masks, [5, 6])
    assert asked == []
    np.testing.assert_array_equal(part[[1]], array[[6]])
    assert asked == [6]


def test_joined_and_in_parts(array):
    both = joined(Masks.of(array[:3]), Masks.of(array[3:]))
    np.testing.assert_array_equal(both[:], array)
    np.testing.assert_array_equal(joined(array[:3], array[3:]), array)
    assert [len(part) for part in in_parts(both, 3)] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(list(in_parts(both, 3))), array)
    np.testing.assert_array_equal(np.stack(list(both)), array)


def test_no_frame():
    assert labelled_rows(np.zeros((0, 3), dtype=np.uint8)).shape == (0,)
    assert Masks([], (2, 3))[:].shape == (0, 2, 3)


def test_masks_of_their_own_size_are_read_once_as_long_as_there_is_room():
    asked = []
    masks = [np.full((4, 5), 1, np.uint8), None, np.full((2, 3, 7), IGNORE, np.uint8), np.eye(9, dtype=np.uint8)]

    def read(row):
        asked.append(row)
        return masks[row]

    kept = OwnSizeMasks(read, 4)
    for _ in range(2):
        np.testing.assert_array_equal(kept.of(0), masks[0])
        np.testing.assert_array_equal(kept.of(3), masks[3])
        assert kept.of(1) is kept.of(2) is None
    assert sorted(asked) == [0, 1, 2, 3]
    assert [(mask != IGNORE).any() for mask in kept] == [True, False, False, True]
    assert labelled_rows(kept).tolist() == [True, False, False, True]
    short = OwnSizeMasks(read, 4, keep_bytes=0)
    for _ in range(2):
        np.testing.assert_array_equal(short.of(3), masks[3])
    assert asked[4:] == [3, 3]
