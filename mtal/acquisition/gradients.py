"""Last-layer gradients under hallucinated labels, and the distances between them; frame heads keep rank-one factors.

Letters: N frames, S sites, C classes, D features (one more where the layer has a bias), T heads.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition.predictive import predictive_probs
from mtal.tasks.posterior import HeadOutput

_SAME = 1024 * torch.finfo(torch.float64).eps  # squared distances below this part of the norms are rounding


def hallucinated_residual(head: HeadOutput) -> Tensor:
    """Residual r = p − ŷ, ŷ = argmax p (categorical) or [p > ½] (Bernoulli): ``[N, S, C]``, 0 at invalid sites."""
    probs = predictive_probs(head)  # [N, S, C]
    if head.family == "bernoulli":
        answer = (probs > 0.5).to(probs.dtype)  # [N, S, C]
    else:
        likeliest = probs.max(dim=-1, keepdim=True).indices  # [N, S, 1]; argmax is far slower on strided probabilities
        answer = torch.zeros_like(probs).scatter_(-1, likeliest, 1.0)  # [N, S, C]
    return probs - answer if head.valid is None else torch.where(head.valid.unsqueeze(-1), probs - answer, 0.0)


def sq_feature_norm(head: HeadOutput) -> Tensor:
    """‖h_s‖², with the bias's 1 counted: ``[N, S]``, 0 at invalid sites."""
    sq = _features(head).square().sum(dim=-1) + float(head.bias)  # [N, S]
    return sq if head.valid is None else torch.where(head.valid, sq, 0.0)


def mean_gradient(head: HeadOutput) -> Tensor:
    """G = S⁻¹ Σ_s r_s ⊗ h_s over the S valid sites: ``[N, C, D]``, the gradient of the mean loss in the last layer."""
    residual = hallucinated_residual(head)  # [N, S, C]
    residual = residual / head.mask.sum(dim=1).clamp(min=1)[:, None, None]
    features = _features(head)  # [N, S, D]
    dtype = torch.promote_types(residual.dtype, features.dtype)
    gradient = torch.bmm(residual.transpose(1, 2).to(dtype), features.to(dtype))  # [N, C, D]
    if not head.bias:
        return gradient
    return torch.cat([gradient, residual.sum(dim=1).unsqueeze(-1).to(dtype)], dim=-1)  # [N, C, D + 1]


@dataclass(frozen=True)
class GradientBlock:
    """Gradients of one head for N frames, g_i = left_i ⊗ right_i, or left_i alone where they are not rank one.

    Kept in float64, so that the distance of near-duplicate frames survives the subtraction.

    Args:
        left: ``[N, C]`` residuals, or ``[N, M]`` whole gradients.
        right: ``[N, D]`` features, or ``None``.

    Raises:
        ValueError: the shapes disagree or a value is not finite.

    >>> block = GradientBlock(torch.tensor([[1.0], [0.0]]), torch.tensor([[3.0, 4.0], [1.0, 1.0]]))
    >>> block.sq_distance_to(1).tolist()
    [25.0, 0.0]
    """

    left: Tensor
    right: Tensor | None = None

    def __post_init__(self) -> None:
        for side in ("left", "right"):
            values = getattr(self, side)
            if values is None:
                continue
            if values.ndim != 2 or len(values) != len(self.left):
                raise ValueError(
                    f"{side} of a gradient block must be [N, …] with N = {len(self.left)}, not {list(values.shape)}"
                )
            if not values.isfinite().all():
                raise ValueError(
                    f"{side} of a gradient block holds {int((~values.isfinite()).sum())} non-finite values"
                )
            object.__setattr__(self, side, values.detach().double())

    def __len__(self) -> int:
        return len(self.left)

    @cached_property
    def sq_norm(self) -> Tensor:
        """‖g_i‖², ``[N]``."""
        sq = self.left.square().sum(dim=1)  # [N]
        return sq if self.right is None else sq * self.right.square().sum(dim=1)

    def inner(self, j: int) -> Tensor:
        """⟨g_i, g_j⟩ = ⟨r_i, r_j⟩⟨h_i, h_j⟩ for all i, ``[N]``."""
        product = self.left @ self.left[j]  # [N]
        return product if self.right is None else product * (self.right @ self.right[j])

    def sq_distance_to(self, j: int) -> Tensor:
        """‖g_i − g_j‖² for all i, ``[N]``, never negative and exactly 0 for equal gradients."""
        scale = self.sq_norm + self.sq_norm[j]  # [N]
        sq = scale - 2 * self.inner(j)
        return torch.where(sq > _SAME * scale, sq, 0.0)

    def to_array(self) -> npt.NDArray[np.float32]:
        """``[N, left + right columns]`` float32, for storing batch after batch."""
        sides = [self.left] if self.right is None else [self.left, self.right]
        return torch.cat(sides, dim=1).cpu().float().numpy()

    @classmethod
    def from_array(cls, array: npt.NDArray[np.floating], left_columns: int | None = None) -> GradientBlock:
        """Undo :meth:`to_array`.

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
        """Blocks of consecutive batches as one."""
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
    if max_dim is None or whole.shape[1] <= max_dim:
        return GradientBlock(whole)
    return GradientBlock(whole @ _random_signs(whole.shape[1], max_dim, seed).to(whole))  # [N, max_dim]


class JointGradientEmbedding:
    """Gradients of all heads side by side, D²(i, j) = Σₜ (wₜ/mₜ)·‖g_ti − g_tj‖².

    mₜ is the head's mean squared gradient norm over the frames, so that every head has an equal say before weighting.
    A head whose gradients are all zero has no say, and a warning names it.

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
        silent = [task for task, block in blocks.items() if len(block) and not block.sq_norm.any()]
        if silent:
            warnings.warn(
                f"the gradients of {', '.join(silent)} are zero on every frame: no say in this round", stacklevel=2
            )

    def __len__(self) -> int:
        return len(next(iter(self.blocks.values())))

    @cached_property
    def sq_norm(self) -> Tensor:
        """Σₜ (wₜ/mₜ)·‖g_ti‖², ``[N]``."""
        return torch.stack([self.scales[t] * block.sq_norm for t, block in self.blocks.items()]).sum(dim=0)

    def sq_distance_to(self, j: int) -> Tensor:
        """D²(i, j) for all i, ``[N]``."""
        return torch.stack([self.scales[t] * block.sq_distance_to(j) for t, block in self.blocks.items()]).sum(dim=0)


def _share(block: GradientBlock, weight: float) -> float:
    mean = float(block.sq_norm.mean()) if len(block) else 0.0
    return weight / mean if mean > 0 else 0.0


def _features(head: HeadOutput) -> Tensor:
    if head.features is None:
        raise ValueError("gradients need HeadOutput.features, the input of the last layer: ask the model for them")
    features = head.features.detach()
    features = features if features.dtype in (torch.float32, torch.float64) else features.float()
    return features if head.valid is None else torch.where(head.valid.unsqueeze(-1), features, 0.0)


@lru_cache(maxsize=4)
def _random_signs(rows: int, columns: int, seed: int) -> Tensor:
    """±1/√columns, ``[rows, columns]``; drawn on the CPU so that every device sees the same ones."""
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, (rows, columns), generator=generator, dtype=torch.int8)
    return (signs.float() * 2 - 1) / columns**0.5
