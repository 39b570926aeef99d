import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from mtal.datasets.runs import Runs, confusion


@pytest.fixture
def masks():
    """Pairs of masks: of large areas, of single pixels, of one value."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 4, (2, 5, 6)).repeat(7, axis=1).repeat(9, axis=2)
    fine = generator.integers(0, 4, (2, 11, 13))
    return [tuple(pair.astype(np.uint8)) for pair in (coarse, fine, np.full((2, 3, 4), 2), np.array([[[1]], [[3]]]))]


class TestRuns:
    def test_there_and_back(self, masks):
        for mask, layers in masks:
            for pixels in (mask, mask.T, np.stack([mask, layers])):
                runs = Runs.of(pixels)
                np.testing.assert_array_equal(runs.pixels(), pixels)
                assert runs.lengths.min() >= 1
                assert len(runs.starts) == 1 + np.count_nonzero(np.diff(pixels.ravel().astype(int)))

    def test_runs_of_no_pixels(self):
        runs = Runs(np.array([0, 0, 2, 2, 2, 3]), np.array([9, 1, 9, 9, 4, 5], dtype=np.uint8), (2, 2))
        assert runs.pixels().tolist() == [[1, 1], [4, 5]]


class TestConfusion:
    def test_agrees_with_scikit_learn(self, masks):
        for truth, said in masks:
            frames = [(truth, said), (said, truth), (truth, truth)]
            wanted, answers = (Runs.joined([Runs.of(x) for x in column]) for column in zip(*frames, strict=True))
            table = confusion(wanted, answers, 4)  # [3, 5, 5]
            for found, pair in zip(table, frames, strict=True):
                expected = confusion_matrix(*(x.ravel() for x in pair), labels=range(4))
                np.testing.assert_array_equal(found[:4, :4], expected)
                assert found.sum() == truth.size

    def test_what_is_no_class_stands_apart(self):
        truth, said = (np.array([row], dtype=np.uint8) for row in ([0, 255, 255, 1, 7], [1, 1, 0, 1, 0]))
        table = confusion(Runs.of(truth), Runs.of(said), 2)
        assert table.tolist() == [[[0, 1, 0], [0, 1, 0], [2, 1, 0]]]

    def test_runs_of_no_pixels(self):
        truth = Runs(np.array([0, 0, 3]), np.array([1, 0, 1], dtype=np.uint8), (1, 4))
        said = Runs(np.array([0, 0, 0, 2, 4]), np.array([0, 0, 1, 0, 1], dtype=np.uint8), (1, 4))
        assert confusion(truth, said, 2).tolist() == [[[1, 2, 0], [1, 0, 0], [0, 0, 0]]]


def test_frames_one_after_the_other(masks):
    for pair in masks:
        np.testing.assert_array_equal(Runs.joined([Runs.of(x) for x in pair]).pixels(), np.stack(pair))


def test_more_pixels_than_32_bits_count():
    """A batch of large frames with many classes."""
    one = Runs(np.array([0, 5], dtype=np.int32), np.array([1, 2], dtype=np.uint8), (2**30,))
    joined = Runs.joined([one] * 5)
    assert joined.starts.tolist() == [k * 2**30 + start for k in range(5) for start in (0, 5)]
    assert joined.lengths.tolist() == [5, 2**30 - 5] * 5
