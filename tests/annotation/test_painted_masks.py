"""Masks that programs of annotators leave: erased by alpha, painted in colours, of one class alone."""

import numpy as np
import pytest
from miniature import three_frames
from miniature.desk import fill, write
from miniature.three_frames import FILES, SIZE, A

from mtal.annotation import FolderOracle, Request
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.palette import colors_of


class TestErasedMasks:
    """Whoever erases leaves transparent pixels, with the value that was there or with 0."""

    @pytest.mark.parametrize("left", [0, 1])
    def test_nothing_tells_what_is_there_where_each_value_is_a_class(self, oracle, asked, left):
        fill(asked, {(0, "label/anatomy"): "done"})
        mask = np.full((*SIZE, 4), (1, 1, 1, 255), np.uint8)
        mask[:3] = (left, left, left, 0)
        write(asked / "masks/anatomy" / FILES[0], mask)
        with pytest.raises(ValueError, match=r"anatomy.001_v_000000\.png: .*% of the mask is transparent"):
            oracle.collect()

    def test_one_class_is_not_there(self, oracle, asked):
        fill(asked, {(0, "label/vessels"): "done"})
        mask = np.full((*SIZE, 4), 255, np.uint8)
        mask[:3, :, 3] = 0
        write(asked / "masks/vessels/artery" / FILES[0], mask)
        oracle.collect()
        there = oracle.label([A], SIZE)["vessels"][0][0]
        np.testing.assert_array_equal(there, np.arange(SIZE[0])[:, None].repeat(SIZE[1], axis=1) >= 3)


def test_a_single_class_that_others_may_overlap(tmp_path):
    vessels = LabelMap("vessels", "pixel", False, ("artery",), ((1, 1, 0),))
    dataset = three_frames.write(tmp_path, SIZE, (vessels,))
    oracle = FolderOracle(dataset, tmp_path / "desk")
    request = Request("00", dataset.index.select([A]), ["vessels"], np.ones((1, 1), bool))
    oracle.ask(request)
    there = np.array([[0] * 10 + [1] * 20] * SIZE[0], np.uint8)
    write(oracle.root / request.id / "masks/vessels/artery" / FILES[0], there * 255)
    fill(oracle.root / request.id, {(0, "label/vessels"): "done"})
    oracle.collect()
    np.testing.assert_array_equal(oracle.label([A], SIZE)["vessels"][0][0], there)


class TestPaintedMasks:
    def test_white_and_class_numbers_are_what_the_grays_say(self, tmp_path):
        """20 classes, of which two have the colours white and 2/2/2, as those of a data set may."""
        colors = ((255, 255, 255), (2, 2, 2), *colors_of(18))
        organs = LabelMap("organs", "pixel", True, tuple(f"organ {n}" for n in range(20)), colors)
        dataset = three_frames.write(tmp_path, SIZE, (organs,))
        oracle = FolderOracle(dataset, tmp_path / "desk")
        request = Request("00", dataset.index.select([A]), ["organs"], np.ones((1, 1), bool))
        oracle.ask(request)
        folder = oracle.root / request.id
        text = " ".join((folder / "README.txt").read_text().split())  # without ends of lines
        assert "230/159/0 = organ 2" in text
        assert "255/255/255 = " not in text
        label = np.array([[IGNORE] * 10 + [2] * 10 + [7] * 10] * SIZE[0], np.uint8)
        mask = label[..., None].repeat(3, axis=2)
        mask[:, 20:] = colors[7]
        write(folder / "masks/organs" / FILES[0], mask)
        fill(folder, {(0, "label/organs"): "done"})
        oracle.collect()
        np.testing.assert_array_equal(oracle.label([A], SIZE)["organs"][0], label)

    def test_colours_that_come_without_are_none_of_grays(self):
        assert not {(n, n, n) for n in (*range(100), IGNORE)} & {*colors_of(100)}
