"""Last-layer gradients under hallucinated labels, and the distances between them; frame heads keep rank-one factors.

Letters: N frames, S sites, C classes, D features (one more where the layer has a bias), T heads.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition.embedding import Embedding, all_finite, product_rounding, rows_at, same_kind, sq_length
from mtal.acquisition.predictive import predictive_probs
from mtal.acquisition.round_warning import RoundWarning
from mtal.tasks.posterior import HeadOutput

_SAME = 64 * torch.finfo(torch.float64).eps  # squared distances below this part of their terms are rounding


def hallucinated_residual(head: HeadOutput) -> Tensor:
    """Residual r = p − ŷ, ŷ = argmax p (categorical) or [p > ½] (Bernoulli): ``[N, S, C]``, 0 where no site counts."""
    probs = predictive_probs(head)  # [N, S, C]
    if head.family == "bernoulli":
        answer = (probs > 0.5).to(probs.dtype)  # [N, S, C]
    else:
        answer = torch.zeros_like(probs).scatter_(-1, head.likeliest.unsqueeze(-1), 1.0)  # [N, S, C]
    return probs - answer if head.valid is None else torch.where(_counted(head).unsqueeze(-1), probs - answer, 0.0)


def sq_feature_norm(head: HeadOutput) -> Tensor:
    """‖h_s‖², with the bias's 1 counted: ``[N, S]``, 0 where a site does not count."""
    sq = _features(head).square().sum(dim=-1) + float(head.bias)  # [N, S]
    return sq if head.valid is None else torch.where(_counted(head), sq, 0.0)


def mean_gradient(head: HeadOutput) -> Tensor:
    """G = Σ_s ω_s r_s ⊗ h_s / Σ_s ω_s: ``[N, C, D]``, the gradient of the mean loss in the last layer.

    The mean is over the sites by how much each counts, which is over the S valid ones where none counts in part.
    """
    residual = hallucinated_residual(head)  # [N, S, C]
    shares = (head.site_weights / head.total_weight.unsqueeze(1)).to(residual)  # [N, S]
    residual = residual * shares.unsqueeze(-1)
    features = _features(head)  # [N, S, D]
    dtype = torch.promote_types(residual.dtype, features.dtype)
    gradient = torch.bmm(residual.transpose(1, 2).to(dtype), features.to(dtype))  # [N, C, D]
    if not head.bias:
        return gradient
    return torch.cat([gradient, residual.sum(dim=1).unsqueeze(-1).to(dtype)], dim=-1)  # [N, C, D + 1]


@dataclass(frozen=True)
class GradientBlock(Embedding):
    """Gradients of one head for N frames, g_i = left_i ⊗ right_i, or left_i alone where they are not rank one.

    float64 stays float64, anything else becomes float32. What decides between near-duplicate frames is computed from
    float64 differences, so that their distance survives the subtraction.

    Args:
        left: ``[N, C]`` residuals, or ``[N, M]`` whole gradients.
        right: ``[N, D]`` features, or ``None``.
        weight: ``[C]`` ≥ 0, what the squares of ``left``'s columns count for; 1 where ``None``.

    Raises:
        ValueError: the shapes disagree or a value is not finite.

    >>> block = GradientBlock(torch.tensor([[1.0], [0.0]]), torch.tensor([[3.0, 4.0], [1.0, 1.0]]))
    >>> block.sq_distance_to(1).tolist()
    [25.0, 0.0]
    """

    left: Tensor
    right: Tensor | None = None
    weight: Tensor | None = None

    def __post_init__(self) -> None:
        double = any(side is not None and side.dtype == torch.float64 for side in (self.left, self.right))
        for side in ("left", "right"):
            values = getattr(self, side)
            if values is None:
                continue
            if values.ndim != 2 or len(values) != len(self.left):
                raise ValueError(
                    f"{side} of a gradient block must be [N, …] with N = {len(self.left)}, not {list(values.shape)}"
                )
            if not all_finite(values):
                raise ValueError(
                    f"{side} of a gradient block holds {int((~values.isfinite()).sum())} non-finite values"
                )
            object.__setattr__(self, side, values.detach().double() if double else values.detach().float())

    def __len__(self) -> int:
        return len(self.left)

    @cached_property
    def sq_norm(self) -> Tensor:
        """‖g_i‖² = ‖left_i‖²·‖right_i‖², ``[N]`` float64."""
        sq = sq_length(self.left, weight=self.weight)  # [N]
        return sq if self.right is None else sq * self.sq_right

    @cached_property
    def sq_right(self) -> Tensor:
        """‖h_i‖², ``[N]`` float64; 1 where there is no right side."""
        if self.right is None:
            return torch.ones(len(self), dtype=torch.float64, device=self.left.device)
        return sq_length(self.right)

    @property
    def width(self) -> int:
        """C + D, or C."""
        return self.left.shape[1] + (0 if self.right is None else self.right.shape[1])

    @property
    def rounding(self) -> float:
        """Of the products over the columns of both sides."""
        return product_rounding(self.width, self.left.dtype)

    def take(self, index: Tensor | slice) -> GradientBlock:
        """The gradients of the frames at ``index``."""
        taken = object.__new__(GradientBlock)  # nothing has to be checked or measured again
        right = None if self.right is None else rows_at(self.right, index)
        taken.__dict__.update(left=rows_at(self.left, index), right=right, weight=self.weight)
        taken.__dict__.update(sq_norm=rows_at(self.sq_norm, index), sq_right=rows_at(self.sq_right, index))
        return taken

    def inner_products(self, other: Embedding) -> Tensor:
        """⟨g_i, g_j⟩ = ⟨r_i, r_j⟩⟨h_i, h_j⟩, ``[N, P]``."""
        other = same_kind(GradientBlock, other)
        left = other.left  # [P, C]
        if self.weight is not None:  # together they are of no extreme size, a weight alone may be
            left = (left.double() * self.weight).to(left.dtype)
        product = self.left @ left.T  # [N, P]
        if self.right is None or other.right is None:
            return product
        return product.mul_(self.right @ other.right.T)

    def paired_sq_distances(self, other: Embedding) -> Tensor:
        """‖g_i − g_j‖² of row i of both, ``[N]`` float64, by g_i − g_j = (r_i − r_j) ⊗ h_i + r_j ⊗ (h_i − h_j)."""
        other = same_kind(GradientBlock, other)
        weight = 1.0 if self.weight is None else self.weight
        s = other.left.double()  # [N, C]
        step = self.left.double() - s  # [N, C]
        if self.right is None or other.right is None:
            return (step.square() * weight).sum(dim=1)
        turn = (self.right.double() - other.right.double()).square_().sum(dim=1)  # [N] ‖h_i − h_j‖²
        first = (step.square() * weight).sum(dim=1) * self.sq_right  # [N]
        second = (s.square() * weight).sum(dim=1) * turn  # [N]
        cross = (step * s * weight).sum(dim=1) * (self.sq_right - other.sq_right + turn)  # [N], 2⟨h_i, h_i − h_j⟩
        sq = first + second + cross
        return torch.where(sq > _SAME * (first + second), sq, 0.0)  # |cross| ≤ first + second

    def to_array(self) -> npt.NDArray[np.float32]:
        """``[N, left + right columns]`` float32, for storing batch after batch."""
        sides = [self.left] if self.right is None else [self.left, self.right]
        return torch.cat(sides, dim=1).cpu().float().numpy()

    @classmethod
    def from_array(cls, array: npt.NDArray[np.floating], left_columns: int | None = None) -> GradientBlock:
        """Undo :meth:`to_array`, but for the digits that float32 lost.

        Args:
            array: ``[N, left + right columns]``.
            left_columns: how many columns belong to ``left``; ``None`` where there is no ``right``.
        """
        values = torch.as_tensor(np.asarray(array))
        if left_columns is None:
            return cls(values)
        return cls(values[:, :left_columns], values[:, left_columns:])

    @classmethod
    def cat(cls, blocks: Sequence[GradientBlock]) -> GradientBlock:
        """Blocks of consecutive batches as one.

        Raises:
            ValueError: there is none, or some of them are rank one and others are not.
        """
        if len({block.right is None for block in blocks}) != 1:
            raise ValueError("there must be one block or more, all of them rank one or none of them")
        left = torch.cat([block.left for block in blocks])
        rights = [block.right for block in blocks if block.right is not None]
        return cls(left, torch.cat(rights) if rights else None)


def gradient_block(head: HeadOutput, max_dim: int | None = 512, seed: int = 0) -> GradientBlock:
    """Gradient of the mean loss in the last layer under hallucinated labels, for each frame.

    Ash et al., ICLR 2020. Heads with one site keep the factors residual ``[N, C]`` and features ``[N, D]``. Heads with
    pixels keep the whole C·D numbers, projected to ``max_dim`` random signs (Achlioptas, JCSS 2003) where they are
    more, which leaves inner products unbiased with a relative error of about 1/√max_dim.

    Args:
        head: posterior with last-layer features.
        max_dim: most numbers kept per frame of a head with pixels; ``None`` keeps all.
        seed: of the projection; has to be the same for all batches of a pool.

    Raises:
        ValueError: the head has no features.
    """
    if head.probs.shape[-2] == 1:
        features = _features(head)[:, 0]  # [N, D]
        if head.bias:
            features = torch.cat([features, torch.ones_like(features[:, :1])], dim=1)  # [N, D + 1]
        return GradientBlock(hallucinated_residual(head)[:, 0], features)
    whole = mean_gradient(head).flatten(start_dim=1)  # [N, C · D]
    return GradientBlock(_sketched(whole, max_dim, seed))


def shared_gradient_block(head: HeadOutput, max_dim: int | None = 64, seed: int = 0) -> GradientBlock:
    """∂L/∂z at the output z of the shared encoder, for each frame, sketched by random signs where longer.

    All heads meet at z, so with one seed the sketches of all heads share one space too: inner products between heads
    stay unbiased.

    Args:
        head: posterior with its shared gradient ``[N, D']``.
        max_dim: most numbers kept per frame; ``None`` keeps all.
        seed: of the projection; has to be the same for all heads and all batches of a pool.

    Raises:
        ValueError: the head has no shared gradient.
    """
    if head.shared_gradient is None:
        raise ValueError("this needs HeadOutput.shared_gradient: run the model's shared-gradient pass")
    return GradientBlock(_sketched(head.shared_gradient.detach(), max_dim, seed))


class SideBySide(Embedding):
    """Vectors made of parts, D²(i, j) = Σ over the parts.

    Args:
        parts: of the same N frames.
        size: N.
    """

    def __init__(self, parts: Sequence[GradientBlock], size: int) -> None:
        self.parts = tuple(parts)
        self._size = size

    def __len__(self) -> int:
        return self._size

    @cached_property
    def sq_norm(self) -> Tensor:
        """Σ ‖g_i‖² over the parts, ``[N]`` float64."""
        return _sum([part.sq_norm for part in self.parts], len(self))

    @property
    def width(self) -> int:
        """Numbers of all parts."""
        return sum(part.width for part in self.parts)

    @property
    def rounding(self) -> float:
        """Of the worst part, and of adding them up."""
        return max((part.rounding for part in self.parts), default=0.0) * (1 + len(self.parts) / 16)

    def take(self, index: Tensor | slice) -> SideBySide:
        """The frames at ``index``."""
        sq_norm = rows_at(self.sq_norm, index)
        taken = SideBySide([part.take(index) for part in self.parts], len(sq_norm))
        taken.sq_norm = sq_norm
        return taken

    def inner_products(self, other: Embedding) -> Tensor:
        """Σ ⟨g_i, g_j⟩ over the parts, ``[N, P]``."""
        pairs = zip(self.parts, same_kind(SideBySide, other).parts, strict=True)
        return _sum([mine.inner_products(theirs) for mine, theirs in pairs], len(self), len(other))

    def paired_sq_distances(self, other: Embedding) -> Tensor:
        """Σ ‖g_i − g_j‖² of row i of both over the parts, ``[N]`` float64."""
        pairs = zip(self.parts, same_kind(SideBySide, other).parts, strict=True)
        return _sum([mine.paired_sq_distances(theirs) for mine, theirs in pairs], len(self))


class JointGradientEmbedding(SideBySide):
    """Gradients of all heads side by side, D²(i, j) = Σₜ (wₜ/mₜ)·‖g_ti − g_tj‖².

    mₜ is the head's mean squared gradient norm over the frames, so that every head has an equal say before weighting.
    A head whose gradients are all zero has no say, and a warning names it. Heads that stand on the same features h are
    compared by one product over these: Σₜ ⟨r_ti, r_tj⟩⟨h_i, h_j⟩ is ⟨h_i, h_j⟩ times that of residuals side by side.

    Args:
        blocks: head name to its :class:`GradientBlock`, all of the same N frames.
        weights: head name to its weight; 1 where not given.

    Attributes:
        scales: head name to wₜ/mₜ.

    Raises:
        ValueError: no head, different numbers of frames, a weight that is negative or of an unknown head.
    """

    def __init__(self, blocks: Mapping[str, GradientBlock], weights: Mapping[str, float] | None = None) -> None:
        sizes = {task: len(block) for task, block in blocks.items()}
        if len(set(sizes.values())) != 1:
            raise ValueError(f"a joint embedding needs heads with the same number of frames, not {sizes}")
        weights = dict(weights or {})
        for task, weight in weights.items():
            if task not in blocks or not 0 <= weight < float("inf"):
                raise ValueError(f"weight {weight} of head {task!r}: heads are {list(blocks)}, weights are 0 or more")
        self.blocks = dict(blocks)
        self.scales = {task: _share(block, weights.get(task, 1.0)) for task, block in blocks.items()}
        super().__init__(_merged(self.blocks, self.scales), size=next(iter(sizes.values())))
        heard = [task for task in blocks if weights.get(task, 1.0) > 0]
        silent = [task for task in heard if len(blocks[task]) and not blocks[task].sq_norm.any()]
        if silent:
            warnings.warn(
                f"the gradients of {', '.join(silent)} are zero on every frame: no say in this round",
                RoundWarning,
                stacklevel=2,
            )


def _sum(terms: Sequence[Tensor], *size: int) -> Tensor:
    """The sum, 0 where there is nothing to add."""
    return reduce(torch.add, terms) if terms else torch.zeros(size, dtype=torch.float64)


def _share(block: GradientBlock, weight: float) -> float:
    """w/m; the mean does not depend on the order of the frames, down to the last bit."""
    mean = float(block.sq_norm.sort().values.mean()) if len(block) else 0.0
    return weight / mean if mean > 0 else 0.0


def _merged(blocks: Mapping[str, GradientBlock], scales: Mapping[str, float]) -> list[GradientBlock]:
    """One part for all heads of the same right side, their left sides side by side; those without one stay alone."""
    groups: list[list[str]] = []
    for task, block in blocks.items():
        if scales[task] == 0:
            continue
        for group in groups:
            if _same_right(block, blocks[group[0]]):
                group.append(task)
                break
        else:
            groups.append([task])
    return [_side_by_side([blocks[t] for t in group], [scales[t] for t in group]) for group in groups]


def _same_right(block: GradientBlock, other: GradientBlock) -> bool:
    if block.right is None or other.right is None:
        return False
    return block.right.dtype == other.right.dtype and torch.equal(block.right, other.right)


def _side_by_side(blocks: Sequence[GradientBlock], scales: Sequence[float]) -> GradientBlock:
    left = torch.cat([block.left for block in blocks], dim=1) if len(blocks) > 1 else blocks[0].left  # [N, ΣC]
    columns = torch.tensor([block.left.shape[1] for block in blocks])
    weight = torch.tensor(scales, dtype=torch.float64).repeat_interleave(columns).to(left.device)  # [ΣC]
    merged = object.__new__(GradientBlock)  # nothing has to be checked or measured again
    sq_norm = _sum([scale * block.sq_norm for block, scale in zip(blocks, scales, strict=True)])  # [N]
    right, sq_right = blocks[0].right, blocks[0].sq_right
    merged.__dict__.update(left=left, right=right, weight=weight, sq_norm=sq_norm, sq_right=sq_right)
    return merged


def _features(head: HeadOutput) -> Tensor:
    if head.features is None:
        raise ValueError("gradients need HeadOutput.features, the input of the last layer: ask the model for them")
    features = head.features.detach()
    features = features if features.dtype in (torch.float32, torch.float64) else features.float()
    return features if head.valid is None else torch.where(_counted(head).unsqueeze(-1), features, 0.0)


def _counted(head: HeadOutput) -> Tensor:
    """``[N, S]`` bool: sites that count at all."""
    return head.site_weights > 0


def _sketched(whole: Tensor, max_dim: int | None, seed: int) -> Tensor:
    """``[N, D]`` to ``[N, max_dim]`` where D is more, inner products kept on average."""
    if max_dim is None or whole.shape[1] <= max_dim:
        return whole
    return whole @ _random_signs(whole.shape[1], max_dim, seed).to(whole)


@lru_cache(maxsize=4)
def _random_signs(rows: int, columns: int, seed: int) -> Tensor:
    """±1/√columns, ``[rows, columns]``; drawn on the CPU so that every device sees the same ones."""
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, (rows, columns), generator=generator, dtype=torch.int8)
    return (signs.float() * 2 - 1) / columns**0.5
