"""What counts as a number among the values of options, where YAML's ``true`` is 1 to Python and ``.inf`` is a float."""

from __future__ import annotations

import math
from typing import TypeGuard


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a finite number.

    >>> [is_number(value) for value in (2, 0.5, True, float("inf"), "2", None)]
    [True, True, False, False, False, False]
    """
    return is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is a whole number, and is kept as one.

    >>> [is_whole(value) for value in (2, -1, 2.0, True, "2", None)]
    [True, True, False, False, False, False]
    """
    return isinstance(value, int) and not isinstance(value, bool)
