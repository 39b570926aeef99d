"""Signals: how much a head would learn from a frame, one value per frame."""

from mtal.acquisition.signals.base import Signal, SiteSignal
from mtal.acquisition.signals.entropy import Entropy
from mtal.acquisition.signals.expected_gradient_length import ExpectedGradientLength
from mtal.acquisition.signals.hallucinated_gradient_norm import HallucinatedGradientNorm
from mtal.acquisition.signals.least_confidence import LeastConfidence
from mtal.acquisition.signals.margin import Margin

__all__ = [
    "Entropy",
    "ExpectedGradientLength",
    "HallucinatedGradientNorm",
    "LeastConfidence",
    "Margin",
    "Signal",
    "SiteSignal",
]
