"""Normalisers: make the columns of the score table comparable before they are fused."""

from mtal.acquisition.normalizers.base import Normalizer, active_columns
from mtal.acquisition.normalizers.bounds import Bounds
from mtal.acquisition.normalizers.gaussian_rank import GaussianRank
from mtal.acquisition.normalizers.identity import Identity
from mtal.acquisition.normalizers.min_max import MinMax
from mtal.acquisition.normalizers.percentile_rank import PercentileRank
from mtal.acquisition.normalizers.robust_min_max import RobustMinMax
from mtal.acquisition.normalizers.robust_z import RobustZ
from mtal.acquisition.normalizers.sigmoid_z import SigmoidZ
from mtal.acquisition.normalizers.softmax import Softmax
from mtal.acquisition.normalizers.z_score import ZScore

__all__ = [
    "Bounds",
    "GaussianRank",
    "Identity",
    "MinMax",
    "Normalizer",
    "PercentileRank",
    "RobustMinMax",
    "RobustZ",
    "SigmoidZ",
    "Softmax",
    "ZScore",
    "active_columns",
]
