"""One shared encoder-decoder and a head per task."""

from mtal.models.encoders import Encoder, build_encoder
from mtal.models.loss_prediction import LossPrediction, ranking_loss
from mtal.models.network import HeadLogits, ModelOutput, MultiTaskModel, Represented

__all__ = [
    "Encoder",
    "HeadLogits",
    "LossPrediction",
    "ModelOutput",
    "MultiTaskModel",
    "Represented",
    "build_encoder",
    "ranking_loss",
]
