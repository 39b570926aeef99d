"""Your own images with annotations in the files of a labelling tool: COCO, CVAT, VOC, YOLO, LabelMe or mask images."""

from mtal.datasets.annotations.load import load

__all__ = ["load"]
