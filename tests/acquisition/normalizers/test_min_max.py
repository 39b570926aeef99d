import torch
from axioms.normalizers import NormalizerAxioms, random_scores

from mtal.acquisition.normalizers import MinMax


class TestMinMax(NormalizerAxioms):
    normalizer = MinMax()

    def test_worked_example(self):
        # (−1 − −1)/5, (4 − −1)/5, (0 − −1)/5
        assert MinMax()(torch.tensor([[-1.0], [4.0], [0.0]])).flatten().tolist() == [0.0, 1.0, 0.2]

    def test_spans_zero_to_one(self):
        normalised = MinMax()(random_scores())
        assert normalised.amin(dim=0).tolist() == [0.0] * 3
        assert normalised.amax(dim=0).tolist() == [1.0] * 3
