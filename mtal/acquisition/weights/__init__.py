"""Head weights: how much say each head gets in a round, and within a head each class."""

from mtal.acquisition.weights.base import Evidence, HeadWeights, PastRound
from mtal.acquisition.weights.equal import Equal

__all__ = ["Equal", "Evidence", "HeadWeights", "PastRound"]
