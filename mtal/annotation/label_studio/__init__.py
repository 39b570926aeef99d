"""Label Studio as the place where people label."""

from mtal.annotation.label_studio.oracle import LabelStudioOracle

__all__ = ["LabelStudioOracle"]
