import torch
from agreement import record
from axioms.normalizers import NormalizerAxioms, random_scores
from sklearn.preprocessing import MinMaxScaler

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

    def test_agrees_with_sklearn(self):
        scores, reference = random_scores(), random_scores(25, seed=1)
        scaler = MinMaxScaler(clip=True).fit(reference.numpy())
        error = (MinMax()(scores, reference=reference) - torch.from_numpy(scaler.transform(scores.numpy()))).abs().max()
        record("min-max", "sklearn MinMaxScaler", error)
        assert error < 1e-12

    def test_beyond_the_reference_it_ends(self):
        """Fusion rules that need [0, 1] go on when a later round scores higher than the first."""
        now = torch.tensor([[-1.0], [0.5], [3.0]])
        assert MinMax()(now, reference=torch.tensor([[0.0], [1.0]])).flatten().tolist() == [0.0, 0.5, 1.0]

    def test_constant_column_is_zero(self):
        assert MinMax()(torch.full((3, 1), 0.4)).flatten().tolist() == [0.0] * 3
