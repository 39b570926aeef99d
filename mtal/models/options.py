"""What is wrong with the options of encoder and model, told before weights or pictures are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mtal.models.encoders import faults_of_encoder, outline_of
from mtal.models.network import model_faults
from mtal.refusals import refuse


def refuse_wrong_model(
    encoder: Mapping[str, Any], model: Mapping[str, Any], image_size: Sequence[int], *, frozen: bool
) -> None:
    """Tell all that no weights, pictures or heads are needed for.

    Args:
        encoder: arguments of :func:`~mtal.models.build_encoder`.
        model: arguments of :class:`~mtal.models.MultiTaskModel`.
        image_size: (H, W) of the pictures.
        frozen: as for :class:`~mtal.models.MultiTaskModel`.

    Raises:
        ValueError: an option is out of its range, or some do not go together.
        PretrainedWeightsUnavailableError: nobody has trained weights of the encoder.
        FileNotFoundError: its file of weights is not there.
    """
    refusals = faults_of_encoder(**encoder)
    size = None
    if len(image_size) == 2 and min(image_size) > 0:
        size = (image_size[0], image_size[1])
    else:
        told = f"frames.image_size must be a height and a width of 1 pixel or more, not {list(image_size)}"
        refusals.take(ValueError(told))
    outline = None
    with refusals:
        outline = outline_of(encoder["name"], size)
    if outline is not None and size is not None:
        with refusals:
            outline.refuse_size(*size)
    read = {key: value for key, value in model.items() if key not in ("loss_prediction", "causal")}
    with refusals:
        refuse(model_faults(outline, **read, frozen=frozen, image_size=size))
    refusals.tell(what="wrong options")
