import numpy as np
import pytest

from mtal.datasets.surgery.motion import Wander, ease


def test_ease_by_hand():
    # 3u² − 2u³ at u = 0, ¼, ½, 1: 0, 3/16 − 2/64 = 0.15625, 0.5, 1; clamped outside.
    assert [ease(t, 2, 6) for t in (1, 2, 3, 4, 6, 9)] == pytest.approx([0, 0, 0.15625, 0.5, 1, 1])


class TestWander:
    def test_spread_is_the_amplitude_over_root_two(self):
        path = Wander(np.random.default_rng(1), 2, frequency=0.5, amplitude=0.3)
        points = np.array([path(t) for t in np.linspace(0, 3000, 20001)])  # [T, 2]
        np.testing.assert_allclose(points.std(axis=0), 0.3 / np.sqrt(2), rtol=0.03)
        assert np.abs(points).max() <= 0.3 * np.sqrt(3)

    def test_speed_is_bounded(self):
        path = Wander(np.random.default_rng(1), 1, frequency=0.5, amplitude=0.3)
        points = np.array([path(t) for t in np.arange(0, 20, 0.01)])
        # Σ |2π f a / √3| over three terms, f at most 0.75
        assert np.abs(np.diff(points, axis=0)).max() / 0.01 <= 2 * np.pi * 0.75 * 0.3 * np.sqrt(3)
