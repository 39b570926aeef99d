import numpy as np
import torch
from axioms.fusion import coarse_scores

from mtal.acquisition.fusion.order import distinct_rows, precedence


def test_precedence_is_by_weight_then_name_then_column():
    weights = torch.tensor([1.0, 3.0, 1.0, 0.0])
    assert precedence(weights, ("tools", "phase", "anatomy", "bleeding")) == [1, 2, 0]
    assert precedence(weights, None) == [1, 0, 2]
    assert precedence(weights, ("same", "same", "same", "same")) == [1, 0, 2]


def test_distinct_rows_agree_with_numpy():
    values = coarse_scores(200).numpy()
    rows, which = distinct_rows(values)
    expected, inverse = np.unique(values, axis=0, return_inverse=True)
    assert np.array_equal(rows, expected)
    assert np.array_equal(which, inverse.ravel())


def test_distinct_rows_of_one_row():
    rows, which = distinct_rows(np.array([[2.0, 1.0]]))
    assert rows.tolist() == [[2.0, 1.0]]
    assert which.tolist() == [0]
