"""Which pixels of a mask are learnt from, and a decoder's map at exactly these pixels.

Letters: N frames, C classes, h x w cells of the decoder's map, H x W pixels of the mask.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class PixelGrid(NamedTuple):
    """Every ``stride``-th row and column, from ``row`` and ``column`` on; a shorter side is gone round."""

    stride: int = 1
    row: int = 0
    column: int = 0

    @classmethod
    def drawn(cls, stride: int) -> PixelGrid:
        """From a random row and column of torch's global generator, so that in the mean all pixels count the same.

        A fixed one would show the same corner of each cell of the map always, and leave the rest of it to chance.
        """
        return cls(stride, *torch.randint(stride, (2,)).tolist()) if stride > 1 else cls()

    def of_mask(self, targets: Tensor) -> Tensor:
        """``[..., H, W]`` at these pixels.

        >>> PixelGrid(4, 0, 1).of_mask(torch.arange(10).expand(2, 10))
        tensor([[1, 5, 9]])
        """
        H, W = targets.shape[-2:]
        return targets[..., self.row % H :: self.stride, self.column % W :: self.stride]

    def of_logits(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """What is at these pixels of ``logits [N, C, h, w]`` interpolated to ``size`` (H, W), without making all of it.

        Bilinear, the middles of cells and pixels being where they are in the picture (``align_corners=False``): one
        small matrix product per side, which takes less time than an interpolation and is deterministic on any device.
        """
        (h, w), (H, W) = logits.shape[-2:], size
        rows = _shares(h, H, range(self.row % H, H, self.stride), logits.device)  # [H', h]
        columns = _shares(w, W, range(self.column % W, W, self.stride), logits.device)  # [W', w]
        if logits.dtype == torch.float32:
            return rows @ (logits.contiguous() @ columns.T)  # [N, C, H', W']
        with torch.autocast(logits.device.type, enabled=False):  # mixed precision rounds logits, and must not places
            return rows @ (logits.float().contiguous() @ columns.T)


def _shares(cells: int, side: int, pixels: range, device: torch.device) -> Tensor:
    """Share of each cell in each of the pixels along one side, ``[pixels, cells]``: of two cells, or one at the rim."""
    middles = torch.arange(pixels.start, pixels.stop, pixels.step, device=device) + 0.5
    place = (middles * (cells / side) - 0.5).clamp(0, cells - 1)  # [pixels], in cells
    distance = (place.unsqueeze(1) - torch.arange(cells, device=device)).abs()  # [pixels, cells]
    return (1 - distance).clamp(min=0)
