import doctest

import pytest

from mtal.annotation import mask_files, reason
from mtal.annotation.mask_files import mask_folders
from mtal.datasets.label_map import LabelMap


@pytest.mark.parametrize("module", [mask_files, reason])
def test_examples(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def test_folders_that_would_have_one_name_are_numbered():
    organs = LabelMap("organs", "pixel", False, ("bile duct", "Bile_duct"), ((1, 0, 0), (2, 0, 0)))
    assert list(mask_folders(organs).values()) == ["masks/organs/0_bile_duct", "masks/organs/1_Bile_duct"]
