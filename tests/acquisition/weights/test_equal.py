from axioms.weights import WeightAxioms, random_evidence

from mtal.acquisition.weights import Equal


class TestEqual(WeightAxioms):
    rule = Equal()
    prefers_unsaturated = False

    def test_whatever_the_evidence(self):
        assert Equal()(random_evidence()) == {"tools": 1.0, "bleeding": 1.0, "anatomy": 1.0}
