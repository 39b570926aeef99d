"""Known sources turned into a frame index and labels. Loaders are modules of this package with a ``load`` function."""

from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.label_table import LabelTable
from mtal.datasets.mask import class_numbers, gray_values

__all__ = ["IGNORE", "LabelMap", "LabelTable", "SurgicalDataset", "class_numbers", "gray_values"]
