"""Smooth paths in time: wandering hands, easing, breathing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Wander:
    """x(t) = a · Σₖ sin(2π fₖ t + φₖ) / √K: a smooth aimless path.

    Args:
        rng: source of frequencies and phases.
        dimensions: length of the vector returned.
        frequency: typical frequency in hertz; the K terms spread from half to one and a half of it.
        amplitude: standard deviation of each component is amplitude / √2.
    """

    def __init__(self, rng: np.random.Generator, dimensions: int, frequency: float, amplitude: float) -> None:
        terms = 3
        self._frequency = frequency * rng.uniform(0.5, 1.5, (terms, dimensions))
        self._phase = rng.uniform(0, 2 * np.pi, (terms, dimensions))
        self._amplitude = amplitude / np.sqrt(terms)

    def __call__(self, t: float) -> NDArray[np.float64]:
        """``[dimensions]`` at time ``t`` in seconds."""
        return self._amplitude * np.sin(2 * np.pi * self._frequency * t + self._phase).sum(axis=0)


def ease(t: float, start: float, end: float) -> float:
    """0 before ``start``, 1 after ``end``, 3u² − 2u³ between."""
    u = min(max((t - start) / max(end - start, 1e-9), 0.0), 1.0)
    return u * u * (3 - 2 * u)
