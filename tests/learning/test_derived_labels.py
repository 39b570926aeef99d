import numpy as np
import pytest

from mtal.datasets.label_map import IGNORE
from mtal.learning.derived_labels import CoarseMasks, DerivedLabels

I = IGNORE  # noqa: E741
CELLS = np.array([[[0, 1], [I, 2]], [[I, I], [I, I]], [[1, 1], [1, I]]], dtype=np.uint8)  # [3, 2, 2]


@pytest.fixture
def derived():
    tags = np.array([[0, I], [I, I], [1, 1]], dtype=np.uint8)
    return DerivedLabels(
        name="some",
        frame_ids=["v/0", "w/0", "v/1"],
        positions=np.array([4, 7, 5]),
        videos=np.array(["v", "w", "v"]),
        targets={"tools": tags, "anatomy": CoarseMasks(CELLS, (4, 6))},
        weight=1.0,
        share=1.0,
        of=np.array([3, -1, 9]),
        told={"threshold": 0.9},
    )


class TestCoarseMasks:
    def test_each_pixel_as_its_cell(self):
        masks = CoarseMasks(CELLS, (4, 6))
        assert masks.shape == (3, 4, 6)
        np.testing.assert_array_equal(masks[:], CELLS.repeat(2, axis=1).repeat(3, axis=2))
        np.testing.assert_array_equal(masks[[2, 0]], masks[:][[2, 0]])
        np.testing.assert_array_equal(masks.take(np.array([2]))[:], masks[:][2:])
        np.testing.assert_array_equal(np.stack(list(masks)), masks[:])
        assert masks.labelled.tolist() == [True, False, True]

    def test_structures_that_overlap(self):
        layers = np.stack([CELLS, 2 - CELLS], axis=1)  # [3, 2, 2, 2]
        assert CoarseMasks(layers, (4, 4)).shape == (3, 2, 4, 4)
        np.testing.assert_array_equal(CoarseMasks(layers, (4, 4))[:], layers.repeat(2, axis=2).repeat(2, axis=3))

    def test_a_size_that_cells_do_not_divide(self):
        # the middle of a pixel of five lies in the first of two cells for the first two and a half of them
        assert CoarseMasks(np.array([[[0, 1]]], dtype=np.uint8), (1, 5))[[0]].tolist() == [[[0, 0, 0, 1, 1]]]


class TestDerivedLabels:
    def test_shares_of_labels_and_pixels(self, derived):
        shares = {task: share.tolist() for task, share in derived.shares().items()}
        assert shares == {"tools": [0.5, 0, 1], "anatomy": [0.75, 0, 0.75]}
        assert derived.record() == {"frames": 3, "share": {"tools": 0.5, "anatomy": 0.5}, "threshold": 0.9}
        assert derived.table().to_dict("list") == {
            "frame_id": ["v/0", "w/0", "v/1"],
            "of": [3, -1, 9],
            "share/tools": [0.5, 0, 1],
            "share/anatomy": [0.75, 0, 0.75],
        }

    def test_nothing_of_what_is_held_out(self, derived):
        left = derived.without(np.array([9]), np.array(["w"]))
        assert list(left.frame_ids) == ["v/0"]
        assert left.positions.tolist() == [4]
        assert left.targets["tools"].tolist() == [[0, I]]
        np.testing.assert_array_equal(left.targets["anatomy"][:], derived.targets["anatomy"][[0]])
        assert len(derived.without(np.array([]), np.array([], dtype=str))) == 3

    def test_none_at_all(self, derived):
        none = derived.take(np.array([], dtype=np.int64))
        assert none.record() == {"frames": 0, "share": {"tools": 0, "anatomy": 0}, "threshold": 0.9}
        assert len(none.table()) == 0
