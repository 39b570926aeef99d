"""Normalisers: make the columns of the score table comparable before they are fused."""

from mtal.acquisition.normalizers.base import Normalizer, active_columns
from mtal.acquisition.normalizers.identity import Identity
from mtal.acquisition.normalizers.min_max import MinMax
from mtal.acquisition.normalizers.percentile_rank import PercentileRank
from mtal.acquisition.normalizers.z_score import ZScore

__all__ = ["Identity", "MinMax", "Normalizer", "PercentileRank", "ZScore", "active_columns"]
