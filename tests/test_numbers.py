import math

import pytest

from mtal.numbers import is_number, is_whole


@pytest.mark.parametrize("value", [0, -3, 10**400])
def test_whole(value):
    assert is_whole(value)
    assert is_number(value)


@pytest.mark.parametrize("value", [0.0, -0.5, 2.0, 1e308])
def test_number_that_is_not_whole(value):
    assert is_number(value)
    assert not is_whole(value)


@pytest.mark.parametrize("value", [True, False, math.inf, -math.inf, math.nan, "1", None, [1], 1j])
def test_neither(value):
    assert not is_number(value)
    assert not is_whole(value)
