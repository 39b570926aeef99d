"""Aggregations: what many labels of a site, and many sites of a frame, say together."""

from mtal.acquisition.aggregation.base import LabelAggregation, SiteAggregation
from mtal.acquisition.aggregation.boundary_band import BoundaryBand
from mtal.acquisition.aggregation.class_balanced import ClassBalanced
from mtal.acquisition.aggregation.class_weighted import ClassWeighted
from mtal.acquisition.aggregation.foreground import Foreground
from mtal.acquisition.aggregation.max import MaxOverLabels
from mtal.acquisition.aggregation.mean import MeanOverLabels, MeanOverSites
from mtal.acquisition.aggregation.top_fraction import TopFraction
from mtal.acquisition.aggregation.weighted import WeightedLabels

__all__ = [
    "BoundaryBand",
    "ClassBalanced",
    "ClassWeighted",
    "Foreground",
    "LabelAggregation",
    "MaxOverLabels",
    "MeanOverLabels",
    "MeanOverSites",
    "SiteAggregation",
    "TopFraction",
    "WeightedLabels",
]
