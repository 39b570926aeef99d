"""Encoders that are made for one size of picture, made for ours or refused before anything is decoded."""

from __future__ import annotations

from collections.abc import Callable

import timm
import torch
from segmentation_models_pytorch.encoders.timm_universal import TimmUniversalEncoder
from torch import Tensor, nn
from torch.nn import functional

Size = tuple[int, int]
_FAULTS = (AssertionError, RuntimeError, ValueError, IndexError, TypeError)  # what timm's models say of other sizes


def fitted(
    encoder: TimmUniversalEncoder,
    make: Callable[..., TimmUniversalEncoder],
    timm_name: str,
    image_size: Size,
    largest_stride: int = 32,
) -> tuple[TimmUniversalEncoder, dict[str, Size]]:
    """``encoder`` as timm makes it, or made for ``image_size`` (H, W) where it looks at no other size than its own.

    Windows and tables of positions of Swin, MaxViT, Hiera and their like are laid out for one size; timm lays them out
    anew where it is told. A look at an empty picture shows whether that was needed and whether it was enough.

    Args:
        encoder: as timm makes it.
        make: gives another one, with further arguments for timm.
        timm_name: its name in timm.
        image_size: of the pictures.
        largest_stride: of its maps; other sizes are refused elsewhere.

    Returns:
        The encoder, and the arguments with the size that timm was given.

    Raises:
        ValueError: it can look at no pictures of this size, or its maps do not halve the picture step by step.
    """
    subsample_first(encoder)
    if image_size[0] % largest_stride or image_size[1] % largest_stride:
        return encoder, {}
    fault = _fault(encoder, image_size)
    if fault is None:
        return encoder, {}
    size = {"img_size": image_size}
    try:
        encoder = make(**size)
    except _FAULTS:
        _refuse(timm_name, image_size, fault, largest_stride)
    subsample_first(encoder)
    if (fault := _fault(encoder, image_size)) is not None:
        _refuse(timm_name, image_size, fault, largest_stride)
    return encoder, size


def _fault(encoder: TimmUniversalEncoder, image_size: Size) -> str | None:
    """What goes wrong with an empty picture, ``None`` if nothing does."""
    was_training = encoder.training
    encoder.eval()
    try:
        with torch.no_grad():
            levels = encoder(torch.zeros(1, 3, *image_size))
    except _FAULTS as error:
        return str(error).partition("\n")[0] or type(error).__name__
    finally:
        encoder.train(was_training)
    for i, level in enumerate(levels[1:], 1):
        wanted = (image_size[0] // 2**i, image_size[1] // 2**i)
        if tuple(level.shape[-2:]) not in (wanted, (0, 0)) and level.shape[1]:
            return f"its map {i} is {level.shape[-2]}x{level.shape[-1]} where {wanted[0]}x{wanted[1]} is needed"
    return None


def _refuse(timm_name: str, image_size: Size, fault: str, largest_stride: int) -> None:
    config = timm.get_pretrained_cfg(timm_name)
    own = ""
    if config and not any(side % largest_stride for side in config.input_size[1:]):  # 299 would be refused as well
        own = f", such as its own frames.image_size=[{config.input_size[1]},{config.input_size[2]}]"
    raise ValueError(
        f"{timm_name} cannot look at pictures of {image_size[0]}x{image_size[1]} ({fault}); choose another size{own}, "
        "or another encoder"
    )


class SubsampledConv(nn.Conv2d):
    """A 1 x 1 convolution with a stride, as the same convolution of every n-th row and column.

    torch ends the process in some of these on a CPU where channels lie last in memory.
    """

    def forward(self, x: Tensor) -> Tensor:
        """See :class:`torch.nn.Conv2d`."""
        kept = x[..., :: self.stride[0], :: self.stride[1]]
        return functional.conv2d(kept, self.weight, self.bias, groups=self.groups)


def subsample_first(model: nn.Module) -> None:
    """Turn every strided 1 x 1 convolution of ``model`` into a :class:`SubsampledConv`, with its weights."""
    for module in model.modules():
        if type(module) is not nn.Conv2d:
            continue
        if module.kernel_size == (1, 1) and module.padding == (0, 0) and max(module.stride) > 1:
            module.__class__ = SubsampledConv
