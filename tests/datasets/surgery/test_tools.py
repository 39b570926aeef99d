import numpy as np
import pytest

from mtal.datasets.surgery.names import TOOLS
from mtal.datasets.surgery.tools import Pose, draw_tool, tip_area

SHAFT = np.array([0.1, 0.1, 0.1], np.float32)


def draw(tool, tip=(-0.3, 0.1), angle=0.3, scale=1.0, opening=0.5, size=400, image=None):
    centres = ((np.arange(size) + 0.5) / size * 2 - 1).astype(np.float32)
    y, x = np.meshgrid(centres, centres, indexing="ij")
    image = np.full((size, size, 3), 0.5, np.float32) if image is None else image
    solid, number = np.zeros((size, size), np.float32), np.full((size, size), -1, np.int8)
    pose = Pose(tool, np.array(tip), np.array([np.cos(angle), np.sin(angle)]), scale, opening, 1, 1.0)
    draw_tool(pose, x, y, image, solid, number, 0, SHAFT)
    return image, solid, number


@pytest.mark.parametrize("tool", TOOLS)
class TestEveryTool:
    @pytest.mark.parametrize("opening", [0.0, 0.5, 1.0])
    def test_area_is_that_of_the_drawn_tip(self, tool, opening):
        _, _, number = draw(tool, opening=opening, scale=0.9)
        drawn = (number == 0).sum() * (2 / 400) ** 2
        assert tip_area(tool, opening) * 0.9**2 == pytest.approx(drawn, rel=0.04)

    def test_has_a_shaft_beyond_the_tip(self, tool):
        _, solid, number = draw(tool)
        assert solid[:, -1].max() > 0.9  # it leaves the picture on the right
        assert (number[:, -1] == -1).all()

    def test_nothing_else_is_painted(self, tool):
        image, solid, _ = draw(tool)
        np.testing.assert_array_equal(image[solid == 0], 0.5)
        assert np.isfinite(image).all()

    def test_outside_the_picture_nothing_is_painted(self, tool):
        image, solid, _ = draw(tool, tip=(2.5, 0.0), angle=0.0)
        assert solid.max() == 0
        np.testing.assert_array_equal(image, 0.5)

    def test_turning_the_tool_turns_the_picture(self, tool):
        _, right, _ = draw(tool, tip=(0.0, 0.0), angle=0.0)
        _, down, _ = draw(tool, tip=(0.0, 0.0), angle=np.pi / 2)
        assert np.abs(np.rot90(right, -1) - down).mean() < 1e-3


def test_tips_differ():
    silhouettes = [draw(tool, tip=(-0.4, 0.0), angle=0.0, size=100)[2] == 0 for tool in TOOLS]
    for i, a in enumerate(silhouettes):
        for b in silhouettes[i + 1 :]:
            assert (a & b).sum() / (a | b).sum() < 0.75
