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

    def test_values_may_be_colours(self):
        blood = LabelMap("m", "pixel", True, ("blood",), (RED,), {(255, 0, 0): 0, (0, 0, 0): IGNORE})
        assert blood.colored
        assert not LabelMap("m", "pixel", True, ("blood",), (RED,), {255: 0}).colored

    @pytest.mark.parametrize(
        ("values", "stray", "message"),
        [
            ({(1, 2, 3): 7}, 0.0, r"colour \(1, 2, 3\) maps to 7, which is no class"),
            ({(1, 2, 3): 0, 4: 0}, 0.0, "give one kind"),
            ({4: 0}, 1.5, "stray=1.5"),
        ],
    )
    def test_wrong_values(self, values, stray, message):
        with pytest.raises(ValueError, match=message):
            LabelMap("m", "pixel", True, ("blood",), (RED,), values, stray)

    def test_all_that_is_wrong_at_once(self):
        told = r"(?s)^4 faults:\n.*'hook' stands twice\n.*3 classes but 2 colours\n.*gray 8 maps to 3.*\n.*gray 9.*$"
        with pytest.raises(ValueError, match=told):
            LabelMap("m", "pixel", True, ("hook", "clip", "hook"), (RED, GREEN), {7: 2, 8: 3, 9: 4})


class TestOnly:
    WHOLE = LabelMap("mask", "pixel", True, ("liver", "tool"), (RED, GREEN), {0: IGNORE, 21: 0, 31: 1}, 0.01)

    def test_all_others_are_ignored(self):
        tool = self.WHOLE.only("tools", ["tool"])
        assert tool == LabelMap("tools", "pixel", True, ("tool",), (GREEN,), {0: IGNORE, 21: IGNORE, 31: 0}, 0.01)

    def test_the_order_is_the_one_asked(self):
        assert self.WHOLE.only("x", ["tool", "liver"]).values == {0: IGNORE, 21: 1, 31: 0}

    def test_unknown_class(self):
        with pytest.raises(ValueError, match="no class 'fat'; it has liver, tool"):
            self.WHOLE.only("x", ["fat"])
        with pytest.raises(ValueError, match="no class 'fat', no 'bile'; it has"):
            self.WHOLE.only("x", ["fat", "liver", "bile"])
