"""Signals: how much a head would learn from a frame, one value per frame."""

from mtal.acquisition.signals.bald import Bald
from mtal.acquisition.signals.base import SHARED, JointSignal, PoolSignal, Signal, SiteSignal
from mtal.acquisition.signals.contrastive import Contrastive
from mtal.acquisition.signals.cross_task_inconsistency import CrossTaskInconsistency
from mtal.acquisition.signals.density import Density
from mtal.acquisition.signals.disagreement import Disagreement
from mtal.acquisition.signals.discriminative import Discriminative
from mtal.acquisition.signals.entropy import Entropy
from mtal.acquisition.signals.epig import Epig
from mtal.acquisition.signals.expected_gradient_length import ExpectedGradientLength
from mtal.acquisition.signals.forgetting import Forgetting
from mtal.acquisition.signals.gradient_agreement import GradientAgreement
from mtal.acquisition.signals.hallucinated_gradient_norm import HallucinatedGradientNorm
from mtal.acquisition.signals.joint_gradient_norm import JointGradientNorm
from mtal.acquisition.signals.learning_loss import LearningLoss
from mtal.acquisition.signals.least_confidence import LeastConfidence
from mtal.acquisition.signals.margin import Margin
from mtal.acquisition.signals.mean_std import MeanStd
from mtal.acquisition.signals.pool_view import PoolView
from mtal.acquisition.signals.predictive_entropy import PredictiveEntropy
from mtal.acquisition.signals.relations import Relation, relations_by_name
from mtal.acquisition.signals.shared_gradient_norm import SharedGradientNorm
from mtal.acquisition.signals.task_consistency import TaskConsistency
from mtal.acquisition.signals.temporal_inconsistency import TemporalInconsistency
from mtal.acquisition.signals.typicality import Typicality
from mtal.acquisition.signals.variance import Variance
from mtal.acquisition.signals.variation_ratio import VariationRatio

__all__ = [
    "SHARED",
    "Bald",
    "Contrastive",
    "CrossTaskInconsistency",
    "Density",
    "Disagreement",
    "Discriminative",
    "Entropy",
    "Epig",
    "ExpectedGradientLength",
    "Forgetting",
    "GradientAgreement",
    "HallucinatedGradientNorm",
    "JointGradientNorm",
    "JointSignal",
    "LearningLoss",
    "LeastConfidence",
    "Margin",
    "MeanStd",
    "PoolSignal",
    "PoolView",
    "PredictiveEntropy",
    "Relation",
    "SharedGradientNorm",
    "Signal",
    "SiteSignal",
    "TaskConsistency",
    "TemporalInconsistency",
    "Typicality",
    "Variance",
    "VariationRatio",
    "relations_by_name",
]
