import math

import pytest
import torch
from agreement import record
from axioms.normalizers import NormalizerAxioms, random_scores
from sklearn.preprocessing import MinMaxScaler

from mtal.acquisition.normalizers import Bounds


class TestBounds(NormalizerAxioms):
    normalizer = Bounds()
    affine_invariant = False
    reads_frames = False

    def test_worked_example(self):
        # (0.5 − 0)/2, (1 − 0)/2; (−1 − −3)/4, (0 − −3)/4
        normalised = Bounds()(torch.tensor([[0.5, -1.0], [1.0, 0.0]]), ranges=torch.tensor([[0.0, 2.0], [-3.0, 1.0]]))
        assert normalised.tolist() == [[0.25, 0.5], [0.5, 0.75]]

    def test_agrees_with_sklearn_fitted_on_the_ends(self):
        scores = random_scores()
        ranges = torch.tensor([[-9.0, 8.0], [-700.0, 900.0], [-4.0, -2.5]], dtype=torch.float64)
        expected = torch.from_numpy(MinMaxScaler().fit(ranges.T.numpy()).transform(scores.numpy()))
        error = (Bounds()(scores, ranges=ranges) - expected).abs().max()
        record("bounds", "sklearn MinMaxScaler fitted on the ends", error)
        assert error < 1e-14

    def test_unit_of_a_column_and_of_its_range(self):
        scores = random_scores()
        ranges = self.wide(scores)
        torch.testing.assert_close(Bounds()(scores * 7 - 2, ranges=ranges * 7 - 2), Bounds()(scores, ranges=ranges))

    def test_ends_in_float32_are_cut_off(self):
        third = torch.tensor([[1 / 3], [0.0]])  # above 1/3 once it is float64
        ranges = torch.tensor([[0.0, 1 / 3]], dtype=torch.float64)
        assert third.double()[0].item() > 1 / 3
        assert Bounds()(third, ranges=ranges).flatten().tolist() == [1.0, 0.0]
        assert Bounds()(-third, ranges=-ranges.flip(1)).flatten().tolist() == [0.0, 1.0]

    @pytest.mark.parametrize("score", [-0.01, 2.01])
    def test_scores_outside_their_range_are_refused(self, score):
        with pytest.raises(ValueError, match=rf"scores of column 1 span .*{score}.*, outside its range \[0, 2\]"):
            Bounds()(torch.tensor([[1.0, score], [0.5, 1.0], [0.5, 1.0]]), ranges=torch.tensor([[0.0, 2.0]] * 2))

    @pytest.mark.parametrize("ends", [[0.0, math.inf], [-math.inf, math.inf], [1.0, 1.0], [1.0, 0.0], [0.0, math.nan]])
    def test_ranges_that_bound_nothing_are_refused(self, ends):
        with pytest.raises(ValueError, match=r"cannot use the range .* of column 1; normalise it with RobustMinMax or"):
            Bounds()(torch.tensor([[0.5, 0.5]]), ranges=torch.tensor([[0.0, 1.0], ends]))

    def test_missing_ranges_are_refused(self):
        with pytest.raises(ValueError, match="pass ranges"):
            Bounds()(torch.tensor([[0.5]]))
