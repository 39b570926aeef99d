import torch
from agreement import record
from axioms.normalizers import NormalizerAxioms, random_scores

from mtal.acquisition.normalizers import Identity


class TestIdentity(NormalizerAxioms):
    normalizer = Identity()
    affine_invariant = False
    reads_frames = False

    def test_same_numbers_in_a_copy(self):
        scores = random_scores()
        normalised = Identity()(scores)
        record("identity", "the scores themselves", (normalised - scores).abs().max())
        assert torch.equal(normalised, scores)
        normalised.zero_()
        assert scores.any()
