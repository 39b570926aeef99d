import pytest
from miniature.three_frames import ANATOMY

from mtal.annotation.cvat_labels import CvatLabels
from mtal.datasets.label_map import LabelMap


def test_colours_of_two_heads_are_told_apart():
    other = LabelMap("organs", "pixel", True, ("liver", "gut"), ((200, 0, 0), (0, 0, 0)))
    colors = CvatLabels([ANATOMY, other]).colors
    assert colors["anatomy/liver"] == (200, 0, 0)
    assert len(set(colors.values())) == len(colors)
    assert (0, 0, 0) not in colors.values()


def test_names_that_cvat_cannot_have():
    long = LabelMap("tools", "frame", False, ("x" * 60,), ((1, 0, 0),))
    with pytest.raises(ValueError, match=r"CVAT takes labels of 64 signs, and 'tools/xxx.*' has 66"):
        CvatLabels([long])
    same = LabelMap("tools", "frame", False, ("done",), ((1, 0, 0),))
    with pytest.raises(ValueError, match=r"two labels would be called 'tools/done'; rename the head or the class"):
        CvatLabels([same])
