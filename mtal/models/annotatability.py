"""How likely an annotator would label each site of a frame, learnt from the sites that annotators labelled so far.

Masks leave out what their annotators do not label: instruments in front of the anatomy, blood, void borders. A head
never learns what to say there and is unsure for good, so its uncertainty would follow the area that nobody labels.

Letters: N frames, S = h · w sites of a pixel head's map, C_l channels of level l of the encoder, M sites learnt from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn.functional import interpolate

MOST_SITES = 40_000
"""Sites learnt from at most, as many of each frame as of any other."""

PENALTY = 0.01
"""Of the squared weights of standardised features, beside the mean loss."""


@dataclass(frozen=True)
class Annotatability:
    """σ(b + Σ_l ⟨w_l, x_l(s)⟩), x_l(s) level l of the shared encoder at site s: a logistic regression.

    It looks at the encoder rather than at the decoder, which is taught to tell apart only what is labelled. The levels
    no finer than the head's map are read, each at the site's place by bilinear interpolation; since that is linear, the
    maps are interpolated after they are weighed, which costs next to nothing.

    Args:
        weights: ``[C_l]`` float32 of each level that is read, finest first.
        bias: b.
    """

    weights: tuple[Tensor, ...]
    bias: float

    def __call__(self, levels: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """Probabilities ``[N, S]`` float32 of the sites of ``grid`` (rows, columns), row by row.

        Args:
            levels: of the encoder, ``[N, C_l, h_l, w_l]``; prefix tokens are passed over.
            grid: of the head's map.

        Raises:
            ValueError: the levels are not those that it was fitted on.
        """
        maps = _coarse_maps(levels, grid)
        if [x.shape[1] for x in maps] != [len(w) for w in self.weights]:
            raise ValueError(
                f"the levels have {[x.shape[1] for x in maps]} channels, but annotatability was learnt from "
                f"{[len(w) for w in self.weights]}"
            )
        logits = torch.full((len(maps[0]), *grid), self.bias, device=maps[0].device)  # [N, h, w]
        for x, w in zip(maps, self.weights, strict=True):
            weighed = torch.einsum("nchw,c->nhw", x.float(), w.to(x.device))
            logits = logits + _resized(weighed.unsqueeze(1), grid).squeeze(1)
        return logits.sigmoid().flatten(1)

    def state(self) -> dict[str, Tensor]:
        """Tensors to be stored; :meth:`from_state` undoes it."""
        return {"bias": torch.tensor([self.bias], dtype=torch.float64)} | {
            f"level{i:02d}": w.contiguous() for i, w in enumerate(self.weights)
        }

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> Annotatability:
        """From the tensors of :meth:`state`."""
        return cls(tuple(state[k] for k in sorted(state) if k != "bias"), float(state["bias"]))


def learn_annotatability(
    batches: Iterable[tuple[Sequence[Tensor], npt.NDArray[np.bool_]]],
    frames: int,
    grid: tuple[int, int],
    seed: int,
) -> Annotatability | None:
    """Fit :class:`Annotatability` to labelled masks, in one pass over their frames.

    Args:
        batches: levels of the encoder of n frames, and which of their pixels an annotator labelled, ``[n, H, W]``.
        frames: how many frames the batches hold in all.
        grid: (rows, columns) of the head's map.
        seed: of the draw of sites.

    Returns:
        ``None`` where annotators labelled all of the sites or none of them: there is nothing to tell apart.
    """
    generator = np.random.default_rng(seed)
    sites = grid[0] * grid[1]
    per_frame = min(sites, max(1, MOST_SITES // max(1, frames)))
    features: list[Tensor] = []
    known: list[npt.NDArray[np.bool_]] = []
    channels: list[int] = []
    for levels, labelled in batches:
        maps = _coarse_maps(levels, grid)
        channels = [x.shape[1] for x in maps]
        chosen = np.stack([generator.permutation(sites)[:per_frame] for _ in range(len(labelled))])  # [n, m]
        at = torch.from_numpy(chosen).unsqueeze(1).to(maps[0].device)  # [n, 1, m]
        rows = [
            _resized(x.float(), grid).flatten(2).gather(2, at.expand(-1, x.shape[1], -1)) for x in maps
        ]  # [n, C_l, m] each
        features.append(torch.cat(rows, dim=1).transpose(1, 2).flatten(0, 1).cpu())  # [n · m, ΣC_l]
        known.append(np.take_along_axis(_middles(labelled, grid), chosen, axis=1).ravel())  # [n · m]
    y = np.concatenate(known) if known else np.zeros(0, dtype=bool)  # [M]
    if y.all() or not y.any():
        return None
    x = torch.cat(features).double().numpy()  # [M, ΣC_l]
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    fitted = LogisticRegression(C=1 / (PENALTY * len(y)), max_iter=1000).fit((x - mean) / spread, y)
    weights = fitted.coef_[0] / spread  # [ΣC_l]
    bias = float(fitted.intercept_[0] - weights @ mean)
    return Annotatability(tuple(torch.from_numpy(weights).float().split(channels)), bias)


def _coarse_maps(levels: Sequence[Tensor], grid: tuple[int, int]) -> list[Tensor]:
    """The levels that are maps no finer than ``grid``; the coarsest map where all are finer."""
    maps = [x for x in levels if x.ndim == 4]
    coarse = [x for x in maps if x.shape[-2] <= grid[0] and x.shape[-1] <= grid[1]]
    return coarse or [min(maps, key=lambda x: x.shape[-2] * x.shape[-1])]


def _resized(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    return maps if maps.shape[-2:] == grid else interpolate(maps, grid, mode="bilinear", align_corners=False)


def _middles(labelled: npt.NDArray[np.bool_], grid: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """The pixel in the middle of each cell of ``grid``, ``[n, H, W]`` to ``[n, S]``."""
    row, column = (
        ((np.arange(wanted) + 0.5) * (there / wanted)).astype(np.int64)
        for there, wanted in zip(labelled.shape[1:], grid, strict=True)
    )
    return labelled[:, row[:, None], column].reshape(len(labelled), -1)
