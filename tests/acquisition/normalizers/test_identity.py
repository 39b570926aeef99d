import torch
from axioms.normalizers import NormalizerAxioms, random_scores

from mtal.acquisition.normalizers import Identity


class TestIdentity(NormalizerAxioms):
    normalizer = Identity()
    affine_invariant = False

    def test_same_numbers_in_a_copy(self):
        scores = random_scores()
        normalised = Identity()(scores)
        assert torch.equal(normalised, scores)
        normalised.zero_()
        assert scores.any()
