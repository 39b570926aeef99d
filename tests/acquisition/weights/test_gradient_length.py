import math

import pytest
from agreement import record
from axioms.weights import CLASSES, WeightAxioms

from mtal.acquisition.weights import Evidence, GradientLength


def weights(*lengths):
    return GradientLength()(Evidence(CLASSES, gradient_length=dict(zip(CLASSES, lengths, strict=True))))


class TestGradientLength(WeightAxioms):
    rule = GradientLength()

    def test_worked_example(self):
        # 1 : 2 : 3, mean 2
        made = weights(0.01, 0.02, 0.03)
        error = max(abs(made[task] - w) for task, w in zip(CLASSES, (0.5, 1.0, 1.5), strict=True))
        record("gradient length", "by hand", error)
        assert error < 1e-12

    def test_no_gradient_at_all_gives_an_equal_say(self):
        assert weights(0.0, 0.0, 0.0) == dict.fromkeys(CLASSES, 1.0)
        assert weights(0.0, 0.0, 7.0) == {"tools": 0.0, "bleeding": 0.0, "anatomy": 3.0}

    @pytest.mark.parametrize("unit", [1e-300, 1e300])
    def test_unit_does_not_matter(self, unit):
        assert weights(1.0 * unit, 2.0 * unit, 3.0 * unit) == pytest.approx(weights(1.0, 2.0, 3.0))

    @pytest.mark.parametrize("length", [-0.1, math.inf, math.nan])
    def test_impossible_lengths_are_refused(self, length):
        with pytest.raises(ValueError, match=rf"gradient_length\.bleeding must be 0 or more and finite, not {length}"):
            weights(0.1, length, 0.1)

    def test_missing_length_is_refused(self):
        with pytest.raises(ValueError, match=r"gradient_length\.anatomy"):
            GradientLength()(Evidence(CLASSES, gradient_length={"tools": 0.1, "bleeding": 0.1}))
