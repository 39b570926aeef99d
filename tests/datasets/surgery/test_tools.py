import numpy as np
import pytest

from mtal.datasets.surgery.names import TOOLS
from mtal.datasets.surgery.tools import Pose, draw_tool, tip_area

SHAFT = (0.1, 0.1, 0.1)
SIZE = 400


class Drawn:
    """One tool on gray."""

    def __init__(self, tool, tip=(-0.3, 0.1), angle=0.3, scale=1.0, opening=0.5, roll=1.0, buried=0.0, mirror=1):
        square = (SIZE, SIZE)
        self.image, self.solid = np.full((*square, 3), 0.5, np.float32), np.zeros(square, np.float32)
        self.number, self.mask = np.full(square, -1, np.int8), np.full(square, 11, np.uint8)
        axis = np.array([np.cos(angle), np.sin(angle)])
        pose = Pose(tool, np.array(tip), axis, scale, opening, roll, mirror, buried)
        light = np.ones(square, np.float32)
        draw_tool(pose, self.image, self.solid, self.number, self.mask, 0, light, SHAFT)


@pytest.mark.parametrize("tool", TOOLS)
class TestEveryTool:
    @pytest.mark.parametrize(("opening", "roll"), [(0.0, 1.0), (0.5, 0.6), (1.0, 1.0)])
    def test_area_is_that_of_the_drawn_tip(self, tool, opening, roll):
        drawn = (Drawn(tool, opening=opening, scale=0.9, roll=roll).number == 0).sum() * (2 / SIZE) ** 2
        assert roll * tip_area(tool, opening) * 0.9**2 == pytest.approx(drawn, rel=0.06)

    def test_has_a_shaft_beyond_the_tip(self, tool):
        drawn = Drawn(tool)
        assert drawn.solid[:, -1].max() > 0.9  # it leaves the picture on the right
        assert (drawn.number[:, -1] == -1).all()

    def test_nothing_else_is_painted(self, tool):
        drawn = Drawn(tool)
        np.testing.assert_array_equal(drawn.image[drawn.solid == 0], 0.5)
        assert np.isfinite(drawn.image).all()

    def test_mask_is_where_more_than_half_is_covered(self, tool):
        drawn = Drawn(tool)
        gray = {"grasper": 31, "hook": 32}.get(tool, 255)  # CholecSeg8k's; it knows no other tool
        half = 0.5 * 0.82 if tool == "specimen bag" else 0.5  # its foil lets light through
        assert ((drawn.mask == gray) != (drawn.solid > half)).mean() < 1e-3
        assert set(np.unique(drawn.mask)) == {11, gray}

    def test_outside_the_picture_nothing_is_painted(self, tool):
        drawn = Drawn(tool, tip=(2.5, 0.0), angle=0.0)
        assert drawn.solid.max() == 0
        np.testing.assert_array_equal(drawn.image, 0.5)

    def test_turning_the_tool_turns_the_picture(self, tool):
        right, down = (Drawn(tool, tip=(0.0, 0.0), angle=a).solid for a in (0.0, np.pi / 2))
        assert np.abs(np.rot90(right, -1) - down).mean() < 2e-3

    def test_a_buried_tip_is_hidden(self, tool):
        whole, buried = (Drawn(tool, tip=(0.0, 0.0), angle=0.0, buried=b) for b in (0.0, 0.2))
        column = SIZE // 2 + int(0.2 * SIZE / 2)
        assert (buried.number[:, : column - 3] == -1).all()
        np.testing.assert_array_equal(buried.number[:, column + 3 :], whole.number[:, column + 3 :])


def test_a_turned_hook_points_the_other_way():
    up, down = (Drawn("hook", tip=(0.0, 0.0), angle=0.0, mirror=m).number == 0 for m in (1, -1))
    assert (up != down[::-1]).mean() < 1e-3
    assert (up != down).mean() > 1e-3


def test_the_nearer_tool_hides_the_other():
    drawn = Drawn("grasper", tip=(0.0, 0.0), angle=0.0)
    pose = Pose("irrigator", np.array([0.1, -0.4]), np.array([0.0, 1.0]), 1.0, 0.5, 1.0, 1)
    before = (drawn.number == 0).sum()
    draw_tool(pose, drawn.image, drawn.solid, drawn.number, drawn.mask, 1, np.ones((SIZE, SIZE), np.float32), SHAFT)
    assert 0 < (drawn.number == 0).sum() < before


def test_tips_differ():
    silhouettes = [Drawn(tool, tip=(-0.4, 0.0), angle=0.0).number == 0 for tool in TOOLS]
    for i, a in enumerate(silhouettes):
        for b in silhouettes[i + 1 :]:
            assert (a & b).sum() / (a | b).sum() < 0.75
