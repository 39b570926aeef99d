import pytest
import torch

from mtal.acquisition.signals import Signal
from mtal.tasks.posterior import HeadOutput


class Fixed(Signal):
    name = "fixed"

    def __init__(self, *values):
        self.values = torch.tensor(values)

    def score(self, head):
        return self.values


HEAD = HeadOutput("bernoulli", torch.full((3, 1, 1), 0.5))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.1, 1.1])
def test_value_out_of_range_names_the_signal_and_the_position(bad):
    with pytest.raises(ValueError, match=r"signal fixed: 1 of 3 values are outside \[0, 1\].*at position 2"):
        Fixed(0.0, 1.0, bad)(HEAD)


def test_rounding_is_cut_to_the_range():
    assert Fixed(-1e-6, 0.5, 1 + 1e-6)(HEAD).tolist() == [0.0, 0.5, 1.0]
