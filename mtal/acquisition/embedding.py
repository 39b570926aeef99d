"""Vectors of frames whose squared distances come cheaply in blocks and exactly in pairs.

Letters: N frames, P other frames, D numbers per frame.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

from mtal.acquisition.threads import in_pieces

ROWS = 4096  # frames compared at once, which bounds the memory
CACHED_ROWS = 512  # frames that a few passes are made over, while they are in the processor's cache
_NEAR = 1024  # below this many times its error a squared distance is computed anew from the differences
_CUT = {"highest": 0.0, "high": 2.0**-9, "medium": 2.0**-6}  # what torch may cut off the factors of float32 products

Kind = TypeVar("Kind", bound="Embedding")


class Embedding(ABC):
    """N vectors in working precision, with a bound on the error of what a matrix product says about them.

    A matrix product gives ‖xᵢ‖² + ‖yⱼ‖² − 2⟨xᵢ, yⱼ⟩ for whole blocks at the speed of the machine and loses the digits
    of small distances; the differences keep them and cost one pass per pair. So blocks are for finding out which
    frames matter, pairs for deciding between these.
    """

    @abstractmethod
    def __len__(self) -> int:
        """N."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Numbers kept per vector."""

    @cached_property
    @abstractmethod
    def sq_norm(self) -> Tensor:
        """‖xᵢ‖², ``[N]`` float64."""

    @property
    @abstractmethod
    def rounding(self) -> float:
        """ε with |‖xᵢ‖² + ‖yⱼ‖² − 2·``inner_products`` − ‖xᵢ − yⱼ‖²| ≤ ε·(‖xᵢ‖² + ‖yⱼ‖²)."""

    @abstractmethod
    def take(self, index: Tensor | slice) -> Embedding:
        """The vectors at ``index``, an embedding of its own."""

    @abstractmethod
    def inner_products(self, other: Embedding) -> Tensor:
        """⟨xᵢ, yⱼ⟩, ``[N, P]`` in working precision."""

    @abstractmethod
    def paired_sq_distances(self, other: Embedding) -> Tensor:
        """‖xᵢ − yᵢ‖², or to the only y, from float64 differences, ``[N]``; exactly 0 for equal vectors."""

    def kept(self) -> Embedding:
        """The same, with all that parts of it would each have to compute."""
        return self

    def sq_distances(self, other: Embedding) -> Tensor:
        """‖xᵢ − yⱼ‖², ``[N, P]`` float64, never negative and exactly 0 for equal vectors.

        Relative error at most 1/1024 in the worst case of rounding, and far less as a rule: whatever lies nearer than
        1024 ε is computed from the differences.
        """
        parts = []
        for rows in self._chunks():
            scale = rows.sq_norm[:, None] + other.sq_norm  # [rows, P]
            sq = scale - 2 * rows.inner_products(other)
            i, j = (sq <= _NEAR * rows.rounding * scale).nonzero(as_tuple=True)
            for part in torch.arange(len(i)).split(ROWS):
                a, b = i[part], j[part]
                sq[a, b] = rows.take(a).paired_sq_distances(other.take(b))
            parts.append(sq)
        return torch.cat(parts)  # [N, P]

    def sq_distance_to(self, j: int) -> Tensor:
        """‖xᵢ − xⱼ‖² for all i, ``[N]`` float64, never negative and exactly 0 for equal vectors."""
        other = self.take(slice(j, j + 1))
        scale = self.sq_norm + other.sq_norm  # [N]
        products = torch.cat([rows.inner_products(other) for rows in self._chunks()])[:, 0]  # [N]
        sq = torch.sub(scale, products, alpha=2)
        sq[j] = 0.0
        near = (sq <= scale.mul_(_NEAR * self.rounding)).nonzero()[:, 0]
        if len(near) > 1:  # most often there is no other than j
            for i in near.split(ROWS):
                sq[i] = self.take(i).paired_sq_distances(other)
        return sq

    def _chunks(self) -> list[Embedding]:
        if len(self) <= ROWS:
            return [self]
        return [self.take(slice(start, start + ROWS)) for start in range(0, len(self), ROWS)]


class FeatureEmbedding(Embedding):
    """Feature vectors seen from ``origin``: distances do not depend on the origin, but digits do.

    Args:
        features: ``[N, D]``; float64 stays float64, everything else is compared in float32.
        origin: ``[D]``, best the middle of what is compared.

    >>> x = FeatureEmbedding(torch.tensor([[1e4, 0.0], [1e4, 3.0]]), torch.tensor([1e4, 0.0]))
    >>> x.sq_distance_to(0).tolist()
    [0.0, 9.0]
    """

    def __init__(self, features: Tensor, origin: Tensor) -> None:
        features = features.detach()
        self.features = features if features.dtype in (torch.float32, torch.float64) else features.float()
        self.origin = origin.to(self.features)

    def __len__(self) -> int:
        return len(self.features)

    @property
    def width(self) -> int:
        """D."""
        return self.features.shape[1]

    @cached_property
    def sq_norm(self) -> Tensor:
        """‖xᵢ − origin‖², ``[N]`` float64."""
        return sq_length(self.features, self.origin)

    @property
    def rounding(self) -> float:
        """Of a product over D numbers, and of moving the origin."""
        return product_rounding(self.width, self.features.dtype)

    def take(self, index: Tensor | slice) -> FeatureEmbedding:
        """The frames at ``index``."""
        taken = FeatureEmbedding(rows_at(self.features, index), self.origin)
        taken.sq_norm = rows_at(self.sq_norm, index)
        if "moved" in self.__dict__:
            taken.moved = rows_at(self.moved, index)
        return taken

    def inner_products(self, other: Embedding) -> Tensor:
        """⟨xᵢ − origin, yⱼ − origin⟩, ``[N, P]``."""
        return self.moved @ same_kind(FeatureEmbedding, other).moved.T

    def paired_sq_distances(self, other: Embedding) -> Tensor:
        """‖xᵢ − yᵢ‖², ``[N]`` float64."""
        difference = self.features.double() - same_kind(FeatureEmbedding, other).features.double()  # [N, D]
        return difference.square_().sum(dim=1)

    def kept(self) -> FeatureEmbedding:
        """With the vectors seen from the origin."""
        _ = self.moved
        return self

    @cached_property
    def moved(self) -> Tensor:
        """xᵢ − origin, ``[N, D]``."""
        return self.features - self.origin


def same_kind(kind: type[Kind], other: Embedding) -> Kind:
    """``other``, which must be of this kind to be compared.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(other, kind):
        raise TypeError(f"a {kind.__name__} cannot be compared with a {type(other).__name__}")
    return other


def rows_at(values: Tensor, index: Tensor | slice) -> Tensor:
    """``values[index]``; of positions in a third of the time."""
    return values[index] if isinstance(index, slice) else values.index_select(0, index.to(values.device))


def all_finite(values: Tensor) -> bool:
    """Whether no value is NaN or infinite; takes no memory, whereas ``isfinite`` takes more than the values do."""
    if math.isfinite(values.sum()):  # a sixth of the time of ``aminmax``
        return True
    return all(map(math.isfinite, torch.stack(torch.aminmax(values)).tolist()))  # the sum may be too large, no value


def product_rounding(columns: int, dtype: torch.dtype) -> float:
    """Bound on the error of ``‖x‖² + ‖y‖² − 2⟨x, y⟩`` over so many columns, as a part of ‖x‖² + ‖y‖²."""
    if dtype == torch.float64:
        return (columns + 16) * 2.0**-53
    return (columns + 16) * 2.0**-24 + _CUT[torch.get_float32_matmul_precision()]


def mean_row(values: Tensor) -> Tensor:
    """The mean of the rows, ``[N, D]`` to ``[D]`` float64, without a float64 copy of the whole."""
    sums = torch.zeros(values.shape[1], dtype=torch.float64, device=values.device)
    for part in values.split(CACHED_ROWS):
        sums += part.sum(dim=0, dtype=torch.float64)
    return sums / len(values)


def sq_length(values: Tensor, origin: Tensor | float = 0.0, weight: Tensor | None = None) -> Tensor:
    """Σ_d w_d·(v_id − origin_d)², ``[N, D]`` to ``[N]`` float64, without a float64 copy of the whole."""
    lengths = torch.empty(len(values), dtype=torch.float64, device=values.device)  # small pieces would scatter the heap

    def measure(start: int) -> None:
        squares = (values[start : start + CACHED_ROWS] - origin).double().square_()
        if weight is not None:
            squares *= weight
        torch.sum(squares, dim=1, out=lengths[start : start + CACHED_ROWS])

    in_pieces(measure, range(0, len(values), CACHED_ROWS))
    return lengths
