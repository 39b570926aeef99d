from itertools import combinations

import pytest
import torch
from agreement import record
from axioms.autograd import SharedEncoderOutput
from axioms.signals import JointAxioms
from torch.nn.functional import cosine_similarity

from mtal.acquisition.signals import GradientAgreement
from mtal.tasks.posterior import HeadOutput


class TestGradientAgreement(JointAxioms):
    signal = GradientAgreement()


class TestGradientConflict(JointAxioms):
    signal = GradientAgreement(prefer="conflict")


def heads(*gradients):
    return {
        f"head{t}": HeadOutput("bernoulli", torch.full((1, 1, 1), 0.5), shared_gradient=torch.tensor([g]))
        for t, g in enumerate(gradients)
    }


def test_is_the_mean_cosine_of_all_pairs():
    outputs = SharedEncoderOutput().heads()
    gradients = [head.shared_gradient for head in outputs.values()]
    cosines = torch.stack([cosine_similarity(a, b, dim=1) for a, b in combinations(gradients, 2)])
    values = GradientAgreement()(outputs)
    expected = (1 + cosines.mean(dim=0)) / 2
    record("gradient agreement", "torch cosine_similarity, pair by pair", (values - expected).abs().max())
    torch.testing.assert_close(values, expected)
    torch.testing.assert_close(GradientAgreement("conflict")(outputs), 1 - values)


@pytest.mark.parametrize(
    ("gradients", "agreement"),
    [
        ([[1.0, 2.0], [2.0, 4.0]], 1.0),
        ([[1.0, 2.0], [-3.0, -6.0]], 0.0),
        ([[1.0, 0.0], [0.0, 5.0]], 0.5),
        ([[1.0, 0.0], [0.0, 0.0]], 0.5),  # a gradient of 0 pulls no way
        ([[0.0, 0.0], [0.0, 0.0]], 0.5),
        ([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]], 0.5 * (1 + 1 / 3)),  # one pair of three agrees
        ([[1e-30, 0.0], [1e30, 0.0]], 1.0),  # length does not matter
        ([[1.0, 2.0]], 0.5),  # no pair
    ],
)
def test_worked_examples(gradients, agreement):
    assert GradientAgreement()(heads(*gradients)).item() == pytest.approx(agreement, abs=1e-12)
    assert GradientAgreement("conflict")(heads(*gradients)).item() == pytest.approx(1 - agreement, abs=1e-12)


def test_unknown_preference_is_refused():
    with pytest.raises(ValueError, match="unknown preference 'peace'; prefer is agreement or conflict"):
        GradientAgreement("peace")
