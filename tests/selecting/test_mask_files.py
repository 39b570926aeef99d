import doctest

from mtal.datasets.label_map import LabelMap
from mtal.selecting import mask_files
from mtal.selecting.mask_files import mask_folders
from mtal.tasks.task import Task


def test_examples():
    found = doctest.testmod(mask_files)
    assert found.attempted > 0
    assert found.failed == 0


def test_folders_that_would_have_one_name_are_numbered():
    organs = Task(LabelMap("organs", "pixel", False, ("bile duct", "Bile_duct"), ((1, 0, 0), (2, 0, 0))))
    assert list(mask_folders(organs).values()) == ["masks/organs/0_bile_duct", "masks/organs/1_Bile_duct"]
