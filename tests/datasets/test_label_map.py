import pytest

from mtal.datasets.label_map import IGNORE, LabelMap

RED, GREEN = (255, 0, 0), (0, 255, 0)


class TestLabelMap:
    def test_values_may_ignore(self):
        assert LabelMap("anatomy", "pixel", True, ("liver",), (RED,), {0: IGNORE, 21: 0}).values == {0: 255, 21: 0}

    def test_classes_are_distinct(self):
        with pytest.raises(ValueError, match="'tools': class 'hook' stands twice"):
            LabelMap("tools", "frame", False, ("hook", "hook"), (RED, GREEN))

    def test_colours_are_distinct(self):
        # grasper and bipolar under one colour key: one of the two classes vanishes
        with pytest.raises(ValueError, match=r"'tools': colour \(255, 0, 0\) stands twice"):
            LabelMap("tools", "frame", False, ("grasper", "bipolar"), (RED, RED))

    def test_one_colour_per_class(self):
        with pytest.raises(ValueError, match="2 classes but 1 colours"):
            LabelMap("tools", "frame", False, ("grasper", "bipolar"), (RED,))

    @pytest.mark.parametrize("number", [2, -1, 254])
    def test_values_map_to_classes(self, number):
        with pytest.raises(ValueError, match=f"gray 9 maps to {number}, which is no class"):
            LabelMap("anatomy", "pixel", True, ("liver", "fat"), (RED, GREEN), {9: number})
