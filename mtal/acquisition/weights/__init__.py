"""Head weights: how much say each head gets in a round, and within a head each class."""

from mtal.acquisition.weights.bandit import Bandit
from mtal.acquisition.weights.base import Evidence, HeadWeights, PastRound
from mtal.acquisition.weights.equal import Equal
from mtal.acquisition.weights.gradient_length import GradientLength
from mtal.acquisition.weights.headroom import Headroom
from mtal.acquisition.weights.learning_curve_slope import LearningCurveSlope

__all__ = [
    "Bandit",
    "Equal",
    "Evidence",
    "GradientLength",
    "HeadWeights",
    "Headroom",
    "LearningCurveSlope",
    "PastRound",
]
