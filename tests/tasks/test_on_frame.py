"""Against dense interpolation, and with windows against the frame that the window was cut from."""

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from mtal.frames.window import WHOLE, Window
from mtal.tasks import on_frame
from mtal.tasks.on_frame import above_zero_at, above_zero_runs, inside, likeliest_at, likeliest_runs


def smooth(*shape, seed=0):
    coarse = torch.randn(1, shape[0], 3, 4, generator=torch.Generator().manual_seed(seed))
    return interpolate(coarse, shape[1:], mode="bilinear")[0]


@pytest.mark.parametrize("size", [(8, 9), (33, 47), (5, 4), (1, 1)])
@pytest.mark.parametrize("cells", [(8, 9), (1, 6), (4, 1)])
def test_agrees_with_dense_interpolation(size, cells):
    logits = smooth(5, *cells)
    dense = interpolate(logits[None].double(), size, mode="bilinear")[0]
    np.testing.assert_array_equal(likeliest_at(logits, size), dense.argmax(dim=0).numpy())
    np.testing.assert_array_equal(above_zero_at(logits, size), (dense > 0).numpy())


@pytest.mark.parametrize("classes", [1, 2, 12])
def test_agrees_where_many_classes_meet(classes):
    """Maps that change from cell to cell, so that three and more classes contend in a stretch."""
    generator = torch.Generator().manual_seed(classes)
    for size in ((61, 83), (7, 200), (9, 6)):
        logits = torch.randn(classes, 9, 11, generator=generator)
        dense = interpolate(logits[None].double(), size, mode="bilinear")[0]
        np.testing.assert_array_equal(likeliest_at(logits, size), dense.argmax(dim=0).numpy())
        np.testing.assert_array_equal(above_zero_at(logits, size), (dense > 0).numpy())


def test_where_two_are_equal_at_a_pixel():
    # of seven pixels the one in the middle lies where the two classes cross
    logits = torch.tensor([[[1.0, -1.0]], [[0.0, 0.0]]])
    assert likeliest_at(logits, (1, 6)).tolist() == [[0, 0, 0, 1, 1, 1]]
    assert likeliest_at(logits, (1, 7)).tolist() == [[0, 0, 0, 0, 1, 1, 1]]
    assert likeliest_at(logits.flip(0), (1, 7)).tolist() == [[1, 1, 1, 0, 0, 0, 0]]
    assert above_zero_at(logits[:1], (1, 7)).tolist() == [[[1, 1, 1, 0, 0, 0, 0]]]
    assert above_zero_at(-logits[:1], (1, 7)).tolist() == [[[0, 0, 0, 0, 1, 1, 1]]]


def test_frames_of_a_batch_are_as_each_by_itself():
    logits = torch.randn(3, 4, 6, 5, generator=torch.Generator().manual_seed(0))
    for window in (WHOLE, Window(-0.2, 0.1, 1.4, 0.6)):
        for runs, at in ((likeliest_runs, likeliest_at), (above_zero_runs, above_zero_at)):
            together = runs(logits, (20, 33), window)
            np.testing.assert_array_equal(together.pixels(), [at(x, (20, 33), window) for x in logits])


def test_the_lowest_number_wins_among_equals():
    assert (likeliest_at(torch.zeros(3, 2, 2), (5, 5)) == 0).all()


@pytest.mark.parametrize(
    ("window", "rows", "columns"),
    [
        (Window(0.25, 0.5, 0.5, 0.25), slice(10, 30), slice(40, 60)),  # a part of the frame
        (Window(-0.5, 0.0, 2.0, 1.0), slice(-20, 60), slice(0, 80)),  # all of it between two bars
    ],
)
def test_a_window_lies_where_it_was_cut(window, rows, columns):
    height, width = 40, 80
    logits = smooth(4, 10, 10, seed=1)
    of_window = likeliest_at(logits, (rows.stop - rows.start, columns.stop - columns.start))
    of_frame = likeliest_at(logits, (height, width), window)
    there = inside((height, width), window)
    top, left = max(rows.start, 0), max(columns.start, 0)
    bottom, right = min(rows.stop, height), min(columns.stop, width)
    assert there.sum() == (bottom - top) * (right - left)
    cut = of_window[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start]
    np.testing.assert_array_equal(of_frame[there].reshape(cut.shape), cut)


def test_outside_of_the_window_the_outermost_cells_go_on():
    logits = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert likeliest_at(logits, (1, 8), Window(0.0, 0.25, 1.0, 0.5)).tolist() == [[0] * 4 + [1] * 4]
    assert inside((2, 4), Window(0.0, 0.25, 1.0, 0.5)).tolist() == [[False, True, True, False]] * 2
    assert inside((2, 3), WHOLE).all()


def stretches_looked_at_one_by_one(monkeypatch):
    """How many there are in each call from here on."""
    found, envelope = [], on_frame._envelope

    def counted(left, *rest):
        found.append(left.shape[1])
        return envelope(left, *rest)

    monkeypatch.setattr(on_frame, "_envelope", counted)
    return found


@pytest.mark.parametrize("window", [WHOLE, Window(-0.2, 0.1, 1.4, 0.6), Window(0.1, -0.3, 0.5, 1.6)])
@pytest.mark.parametrize("kind", ["smooth", "rough", "many equal", "of several magnitudes"])
def test_two_that_contend_alone_are_as_if_all_were_looked_at(kind, window, monkeypatch):
    """What is interpolated of two classes gives the runs that all classes give, with what is equal and by rounding."""
    generator = torch.Generator().manual_seed(0)
    for classes, cells, size in ((2, (1, 5), (33, 47)), (3, (4, 1), (9, 200)), (9, (16, 28), (135, 240))):
        logits = 3 * torch.randn(2, classes, *cells, generator=generator)
        if kind == "smooth":
            logits = torch.stack([smooth(classes, *cells, seed=seed) for seed in (0, 1)])
        if kind == "many equal":
            logits = logits.round()
        if kind == "of several magnitudes":
            logits *= 10.0 ** torch.arange(-3, classes - 3)[:, None, None]
        monkeypatch.setattr(on_frame, "_ROUNDING", 1e-5)
        few = likeliest_runs(logits, size, window)
        monkeypatch.setattr(on_frame, "_ROUNDING", 1e9)
        many = likeliest_runs(logits, size, window)
        np.testing.assert_array_equal(few.starts, many.starts)
        np.testing.assert_array_equal(few.values, many.values)


def test_few_stretches_are_looked_at_one_by_one(monkeypatch):
    logits = smooth(9, 32, 32)[None]
    looked_at = stretches_looked_at_one_by_one(monkeypatch)
    changes = len(likeliest_runs(logits, (480, 854)).starts) - 480
    monkeypatch.setattr(on_frame, "_ROUNDING", 1e9)
    likeliest_runs(logits, (480, 854))
    assert looked_at[0] < changes / 10
    assert looked_at[1] > changes / 2
