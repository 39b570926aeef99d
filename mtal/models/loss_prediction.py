"""Learning loss: a small module that predicts how wrong each head is on a frame."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class LossPrediction(nn.Module):
    """Several views of a frame → the loss that each head would have on it, ``[N]`` by task.

    Yoo and Kweon, CVPR 2019: each view gets a hidden layer of its own, and a linear layer reads them side by side. The
    views are the encoder's pooled vector and peaks, the decoder's map averaged and maximised over space, and what the
    model sees of neighbouring frames where it does, each normalised. The module stops the gradient at them, so that
    encoder, decoder and heads train as they would without it; the paper lets it flow for the first part of the
    training.

    Predictions are trained by their order alone (:func:`ranking_loss`), so they have no unit; a softplus keeps them
    above 0, as losses are.

    Args:
        parts: length of each view.
        tasks: names of the heads.
        hidden: width of each view's hidden layer.
    """

    def __init__(self, parts: Sequence[int], tasks: Sequence[str], hidden: int = 64) -> None:
        super().__init__()
        self.tasks = list(tasks)
        self.bodies = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(part), nn.Linear(part, hidden), nn.ReLU()) for part in parts
        )
        self.last = nn.Linear(hidden * len(parts), len(self.tasks))

    def forward(self, vectors: Sequence[Tensor]) -> dict[str, Tensor]:
        """Predicted loss ``[N]`` of each head."""
        hidden = [body(x.detach()) for body, x in zip(self.bodies, vectors, strict=True)]
        predicted = functional.softplus(self.last(torch.cat(hidden, dim=1)))  # [N, T]
        return dict(zip(self.tasks, predicted.unbind(dim=1), strict=True))


def ranking_loss(predicted: Tensor, losses: Tensor, margin: float = 1.0) -> Tensor:
    """Mean over pairs of max(0, ξ − sign(l_i − l_j)(l̂_i − l̂_j)): the larger loss should be predicted larger by ξ.

    Yoo and Kweon, CVPR 2019. The first half of the frames is paired with the second, so that each frame is in one pair;
    of an odd number the last one is left out, and so are pairs of equal losses. Without a pair it is 0, with a gradient
    of 0.

    Args:
        predicted: l̂ ``[N]``.
        losses: l ``[N]``; they get no gradient.
        margin: ξ.

    >>> ranking_loss(torch.tensor([2.0, 0.0, 0.5, 0.5]), torch.tensor([3.0, 1.0, 1.0, 2.0])).item()  # (0 + 0.5) / 2
    0.25
    """
    pairs = len(predicted) // 2
    difference = predicted[:pairs] - predicted[pairs : 2 * pairs]  # [N / 2]
    sign = (losses[:pairs] - losses[pairs : 2 * pairs]).detach().sign()  # [N / 2]
    told = sign != 0
    if not told.any():
        return predicted[:0].sum()
    return (margin - sign[told] * difference[told]).clamp(min=0).mean()
