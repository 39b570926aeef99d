import numpy as np

from mtal.datasets.surgery.camera import Camera, View
from mtal.datasets.surgery.sheet import EXTENT


class TestView:
    def test_by_hand(self):
        # A quarter turn, twice as large, about (1, 0): the screen's right edge lies half a unit down the plane.
        view = View(np.array([1.0, 0.0]), zoom=2.0, angle=np.pi / 2)
        x, y = view.to_plane(np.array([1.0], np.float32), np.array([0.0], np.float32))
        np.testing.assert_allclose([x[0], y[0]], [1.0, 0.5], atol=1e-6)

    def test_screen_undoes_plane(self):
        view = View(np.array([0.3, -0.2]), zoom=1.3, angle=0.4)
        x, y = np.random.default_rng(0).uniform(-1, 1, (2, 20)).astype(np.float32)
        there = np.stack(view.to_plane(x, y), axis=1)  # [20, 2]
        back = np.array([view.to_screen(p) for p in there.astype(float)])
        np.testing.assert_allclose(back, np.stack([x, y], axis=1), atol=1e-5)


class TestCamera:
    def test_same_hand_time_same_view(self):
        camera = Camera(np.random.default_rng(2))
        look_at = np.array([0.1, 0.2])
        np.testing.assert_array_equal(camera.view(5.0, look_at, 1.0).centre, camera.view(5.0, look_at, 1.0).centre)

    def test_corners_stay_in_the_plane(self):
        camera = Camera(np.random.default_rng(2))
        corners = np.array([[-1, -1, 1, 1], [-1, 1, -1, 1]], np.float32)
        for t in range(40):
            x, y = camera.view(t, np.array([9.0, -9.0]), 0.9).to_plane(*corners)
            assert max(np.abs(x).max(), np.abs(y).max()) < EXTENT + 0.1

    def test_moves(self):
        camera = Camera(np.random.default_rng(2))
        centres = np.array([camera.view(t, np.zeros(2), 1.0).centre for t in range(40)])
        assert (np.ptp(centres, axis=0) > 0.1).all()
