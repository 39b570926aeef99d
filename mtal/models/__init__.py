"""One shared encoder-decoder and a head per task."""

from mtal.models.encoders import Encoder, build_encoder
from mtal.models.network import HeadLogits, MultiTaskModel

__all__ = ["Encoder", "HeadLogits", "MultiTaskModel", "build_encoder"]
