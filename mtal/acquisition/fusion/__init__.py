"""Fusion rules: what each head wants becomes one utility per frame."""

from mtal.acquisition.fusion.alternating import Alternating
from mtal.acquisition.fusion.base import Fusion
from mtal.acquisition.fusion.borda import Borda
from mtal.acquisition.fusion.chebyshev import Chebyshev
from mtal.acquisition.fusion.comb_mnz import CombMnz
from mtal.acquisition.fusion.copeland import Copeland
from mtal.acquisition.fusion.hypervolume_greedy import HypervolumeGreedy
from mtal.acquisition.fusion.max import Max
from mtal.acquisition.fusion.median import Median
from mtal.acquisition.fusion.noisy_or import NoisyOr
from mtal.acquisition.fusion.pareto import Pareto
from mtal.acquisition.fusion.power_mean import PowerMean
from mtal.acquisition.fusion.quota_draft import QuotaDraft
from mtal.acquisition.fusion.rank_sum import RankSum
from mtal.acquisition.fusion.reciprocal_rank import ReciprocalRank
from mtal.acquisition.fusion.single_task import SingleTask
from mtal.acquisition.fusion.weighted_mean import WeightedMean

__all__ = [
    "Alternating",
    "Borda",
    "Chebyshev",
    "CombMnz",
    "Copeland",
    "Fusion",
    "HypervolumeGreedy",
    "Max",
    "Median",
    "NoisyOr",
    "Pareto",
    "PowerMean",
    "QuotaDraft",
    "RankSum",
    "ReciprocalRank",
    "SingleTask",
    "WeightedMean",
]
