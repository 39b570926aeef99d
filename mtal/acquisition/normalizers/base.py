"""What a normaliser promises: columns of any unit become columns that can be added."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

_ROUNDING = 1e-12


class Normalizer(ABC):
    """``[N, T]`` to ``[N, T]`` float64, each column by itself, order of the frames kept and ties kept.

    Statistics (ranges, means, ranks) come from the scores themselves, or from ``reference``: those of an earlier round,
    so that a score means the same in every round. With ``groups`` (videos, say) each group is normalised by the
    statistics of its own frames. A constant column stays constant.

    Raises:
        ValueError: the scores are not ``[N, T]`` or not finite, or the shapes disagree.
    """

    def __call__(
        self,
        values: Tensor,
        *,
        reference: Tensor | None = None,
        groups: Tensor | None = None,
        reference_groups: Tensor | None = None,
        ranges: Tensor | None = None,
    ) -> Tensor:
        """Normalised scores, ``[N, T]``.

        Args:
            values: ``[N, T]`` scores.
            reference: ``[R, T]`` scores that the statistics are taken from; ``None`` for ``values`` themselves.
            groups: ``[N]`` integer code of each frame's group; ``None`` for one group.
            reference_groups: ``[R]``; a group that the reference does not have takes the whole reference.
            ranges: ``[T, 2]`` smallest and largest possible value of each column, may be infinite.
        """
        values = _finite(values, "scores")
        reference = values if reference is None else _finite(reference, "reference scores")
        _check_shapes(values, reference, groups, reference_groups, ranges)
        if len(values) == 0:
            return values
        if len(reference) == 0:
            raise ValueError("a normaliser cannot take its statistics from no frame")
        if groups is None:
            return self.normalize(values, reference, ranges)
        members = {} if reference_groups is None else _positions(reference_groups)
        normalised = torch.empty_like(values)  # [N, T]
        for group, here in _positions(groups).items():
            own = values[here]  # [n, T]
            known = reference[members[group]] if group in members else reference  # [r, T]
            normalised[here] = self.normalize(own, own if reference is values else known, ranges)
        return normalised

    @abstractmethod
    def normalize(self, values: Tensor, reference: Tensor, ranges: Tensor | None) -> Tensor:
        """Normalised scores of N ≥ 1 frames by the statistics of R ≥ 1 frames: ``[N, T]``, ``[R, T]`` to ``[N, T]``.

        ``reference`` is the same tensor as ``values`` where the scores are normalised by themselves.
        """


def _finite(values: Tensor, name: str) -> Tensor:
    if values.ndim != 2 or not values.isfinite().all():
        raise ValueError(f"a normaliser needs finite {name} [N, T]; these are {list(values.shape)}, not all finite")
    return values.detach().cpu().double()


def _positions(groups: Tensor) -> dict[int, Tensor]:
    """Code of each group to the positions of its members."""
    order = groups.cpu().argsort(stable=True)  # [N]
    codes, sizes = groups.cpu()[order].unique_consecutive(return_counts=True)
    return dict(zip(codes.tolist(), order.split(sizes.tolist()), strict=True))


def _check_shapes(
    values: Tensor, reference: Tensor, groups: Tensor | None, reference_groups: Tensor | None, ranges: Tensor | None
) -> None:
    N, T = values.shape
    R = len(reference)
    for name, part, shape in (
        ("reference", reference, (R, T)),
        ("groups", groups, (N,)),
        ("reference_groups", reference_groups, (R,)),
        ("ranges", ranges, (T, 2)),
    ):
        if part is not None and part.shape != shape:
            raise ValueError(f"{name} must be {list(shape)} for scores {[N, T]}, not {list(part.shape)}")


def active_columns(values: Tensor) -> Tensor:
    """Columns that tell frames apart: ``[N, T]`` to ``[T]`` bool.

    A column is constant, hence inactive, when it varies by no more than float64 rounding of its largest magnitude.

    >>> active_columns(torch.tensor([[0.3, 1.0], [0.3, 2.0]])).tolist()
    [False, True]
    """
    if len(values) == 0:
        return torch.zeros(values.shape[1], dtype=torch.bool)
    spread = values.amax(dim=0) - values.amin(dim=0)  # [T]
    return exceeds_rounding(spread, values.abs().amax(dim=0))


def exceeds_rounding(spread: Tensor, magnitude: Tensor) -> Tensor:
    """Whether a spread is more than float64 rounding of numbers of that magnitude, elementwise."""
    return spread > _ROUNDING * magnitude
