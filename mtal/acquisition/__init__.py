"""Which frames to label next, on plain tensors: signals, normalisers, fusion rules, selectors.

HeadOutput ► signal ► ScoreTable ► normaliser ► fusion ► utility ► selector ► picks
"""

from mtal.acquisition.acquisition import Acquisition
from mtal.acquisition.fusion import Alternating, Fusion, Max, ReciprocalRank, SingleTask, WeightedMean
from mtal.acquisition.gradients import GradientBlock, JointGradientEmbedding, gradient_block
from mtal.acquisition.moments import Moments
from mtal.acquisition.normalizers import Identity, MinMax, Normalizer, PercentileRank, ZScore, active_columns
from mtal.acquisition.ranks import average_rank
from mtal.acquisition.score_table import ScoreTable
from mtal.acquisition.selectors import (
    Badge,
    Candidates,
    Constraint,
    KCenterGreedy,
    MinimumGap,
    Random,
    Selector,
    TopK,
    tie_break,
)
from mtal.acquisition.signals import (
    Entropy,
    ExpectedGradientLength,
    HallucinatedGradientNorm,
    LeastConfidence,
    Margin,
    Signal,
)

__all__ = [
    "Acquisition",
    "Alternating",
    "Badge",
    "Candidates",
    "Constraint",
    "Entropy",
    "ExpectedGradientLength",
    "Fusion",
    "GradientBlock",
    "HallucinatedGradientNorm",
    "Identity",
    "JointGradientEmbedding",
    "KCenterGreedy",
    "LeastConfidence",
    "Margin",
    "Max",
    "MinMax",
    "MinimumGap",
    "Moments",
    "Normalizer",
    "PercentileRank",
    "Random",
    "ReciprocalRank",
    "ScoreTable",
    "Selector",
    "Signal",
    "SingleTask",
    "TopK",
    "WeightedMean",
    "ZScore",
    "active_columns",
    "average_rank",
    "gradient_block",
    "tie_break",
]
