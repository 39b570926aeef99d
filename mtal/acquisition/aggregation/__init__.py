"""Aggregations: what many labels of a site, and many sites of a frame, say together."""

from mtal.acquisition.aggregation.base import LabelAggregation, SiteAggregation
from mtal.acquisition.aggregation.mean import MeanOverLabels, MeanOverSites

__all__ = ["LabelAggregation", "MeanOverLabels", "MeanOverSites", "SiteAggregation"]
