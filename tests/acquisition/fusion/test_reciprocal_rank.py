import pytest
import torch
from axioms.fusion import FusionAxioms, random_scores

from mtal.acquisition.fusion import ReciprocalRank


class TestReciprocalRank(FusionAxioms):
    rule = ReciprocalRank()
    choice = "reciprocal_rank"
    invariant_to_monotone_maps = True

    def test_worked_example(self):
        # ranks (1, 2), (2, 1), (3, 3): 1/61 + 1/62 twice, 2/63
        utility = ReciprocalRank()(torch.tensor([[0.9, 0.4], [0.8, 0.5], [0.1, 0.2]]))
        assert utility.tolist() == pytest.approx([1 / 61 + 1 / 62, 1 / 61 + 1 / 62, 2 / 63], rel=1e-14)

    def test_agrees_with_sorting_each_head(self):
        scores, weights = random_scores(), [1.0, 2.0, 0.5]
        expected = [0.0] * 30
        for t, weight in enumerate(weights):
            ranking = sorted(range(30), key=lambda i, t=t: -scores[i, t])
            for rank, i in enumerate(ranking, start=1):
                expected[i] += weight / (7 + rank)
        assert ReciprocalRank(k=7)(scores, torch.tensor(weights)).tolist() == pytest.approx(expected, rel=1e-12)

    def test_high_with_several_heads_beats_first_with_one(self):
        # frame 0 is first for one head and last for two, frame 1 is second for all: 1/61 + 2/64 < 3/62
        utility = ReciprocalRank()(torch.tensor([[9.0, 0.0, 0.0], [8.0, 8.0, 8.0], [1.0, 9.0, 1.0], [2.0, 2.0, 9.0]]))
        assert utility.argmax() == 1

    def test_pitfall_16_ties_share_their_rank(self):
        # both tie at rank 1½
        assert ReciprocalRank()(torch.tensor([[0.5], [0.5], [0.1]])).tolist() == pytest.approx(
            [1 / 61.5, 1 / 61.5, 1 / 63]
        )

    def test_k_of_zero(self):
        # 1/1 + 1/2 either way
        assert ReciprocalRank(k=0)(torch.tensor([[0.9, 0.1], [0.2, 0.8]])).tolist() == [1.5, 1.5]

    def test_negative_k_is_refused(self):
        with pytest.raises(ValueError, match="-1"):
            ReciprocalRank(k=-1)
