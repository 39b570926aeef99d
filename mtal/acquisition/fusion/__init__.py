"""Fusion rules: what each head wants becomes one utility per frame."""

from mtal.acquisition.fusion.alternating import Alternating
from mtal.acquisition.fusion.base import Fusion
from mtal.acquisition.fusion.max import Max
from mtal.acquisition.fusion.reciprocal_rank import ReciprocalRank
from mtal.acquisition.fusion.single_task import SingleTask
from mtal.acquisition.fusion.weighted_mean import WeightedMean

__all__ = ["Alternating", "Fusion", "Max", "ReciprocalRank", "SingleTask", "WeightedMean"]
