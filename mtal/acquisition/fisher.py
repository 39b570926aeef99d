"""Fisher information of a frame about the last layer, as low-rank factors.

Letters: N frames, S sites, C classes, D features (one more where the layer has a bias), R rows of a factor, P
parameters (C · D, class by class, or their sketch).
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from mtal.acquisition.predictive import predictive_probs
from mtal.tasks.posterior import HeadOutput


def fisher_factor(head: HeadOutput, max_dim: int | None = 64, rank: int = 16, seed: int = 0) -> Tensor:
    """V with VᵀV = E_y[g gᵀ], g the gradient of the mean loss in the last layer, y drawn from the head: ``[N, R, P]``.

    A frame head is exact: R = C with the rows √(p_c(1 − p_c))·e_c ⊗ h (Bernoulli) or √p_y·(e_y − p) ⊗ h (categorical).
    A head with pixels has E[g gᵀ] = Ω⁻² Σ_s ω_s² Cov(r_s) ⊗ h_s h_sᵀ, Ω = Σ ω_s (S where every site counts in full),
    because labels are independent;
    its up to S·C rows are mixed into R = ``rank`` by random signs, which leaves VᵀV unbiased with a relative error of
    about 1/√rank. The signs are the same for all frames, so equal frames have equal factors.

    Where C·D is larger than ``max_dim``, parameters are projected to as many random signs (Achlioptas, JCSS 2003), the
    same for all frames. Costs one product of features with C·D × P signs (frame head), or R mean gradients (pixels).

    Args:
        head: posterior with last-layer features; members are averaged.
        max_dim: most numbers P kept of the parameters; ``None`` keeps all.
        rank: rows R of a head with pixels.
        seed: of both kinds of signs; has to be the same for all batches of a pool and for the labelled frames.

    Raises:
        ValueError: the head has no features, or ``max_dim`` or ``rank`` is below 1.

    >>> head = HeadOutput("bernoulli", torch.tensor([[[0.5]]]), features=torch.tensor([[[4.0]]]), bias=False)
    >>> fisher_factor(head).tolist()  # √(½·½)·4
    [[[2.0]]]
    """
    if head.features is None:
        raise ValueError(
            "Fisher information needs HeadOutput.features, the input of the last layer: ask the model for them"
        )
    if max_dim is not None and max_dim < 1:
        raise ValueError(f"max_dim must be 1 or more, or None, not {max_dim}")
    if rank < 1:
        raise ValueError(f"rank must be 1 or more, not {rank}")
    features = _extended(head)  # [N, S, D]
    probs = predictive_probs(head).to(features).where(_counted(head), 0.0)  # [N, S, C]
    parameters = probs.shape[2] * features.shape[2]
    signs = None if max_dim is None or parameters <= max_dim else _signs(parameters, max_dim, seed).to(features)
    if probs.shape[1] == 1:
        return _frame_factor(head, probs[:, 0], features[:, 0], signs)
    return _pixel_factor(head, probs, features, signs, rank, seed)


def fisher_sum(factors: Tensor) -> Tensor:
    """Σᵢ VᵢᵀVᵢ: ``[N, R, P]`` to ``[P, P]`` float64.

    >>> fisher_sum(torch.tensor([[[1.0, 0.0]], [[2.0, 2.0]]])).tolist()
    [[5.0, 4.0], [4.0, 4.0]]
    """
    rows = factors.detach().double().flatten(end_dim=1)  # [N · R, P]
    return rows.T @ rows


def _extended(head: HeadOutput) -> Tensor:
    """Features with the bias's 1, float32 or float64, 0 at invalid sites: ``[N, S, D]``."""
    assert head.features is not None
    features = head.features.detach()
    features = features if features.dtype in (torch.float32, torch.float64) else features.float()
    if head.bias:
        features = torch.cat([features, torch.ones_like(features[..., :1])], dim=-1)
    return features.where(_counted(head), 0.0)


def _counted(head: HeadOutput) -> Tensor:
    """``[N, S, 1]`` bool."""
    return (head.site_weights > 0).unsqueeze(-1)


def _frame_factor(head: HeadOutput, probs: Tensor, features: Tensor, signs: Tensor | None) -> Tensor:
    """Exact rows of a head with one site, ``[N, C]`` and ``[N, D]`` to ``[N, C, P]``."""
    if head.family == "bernoulli":
        roots = torch.diag_embed((probs * (1 - probs)).sqrt())  # [N, C, C]
    else:
        one_hot = torch.eye(probs.shape[1], dtype=probs.dtype, device=probs.device)  # [C, C]
        roots = probs.sqrt().unsqueeze(2) * (one_hot - probs.unsqueeze(1))  # [N, C, C], row y: √p_y (e_y − p)
    if signs is None:
        return (roots.unsqueeze(3) * features[:, None, None, :]).flatten(start_dim=2)  # [N, C, C · D]
    # Σ_d h_d·sign_cdp first: r ⊗ h is never built
    projected = torch.einsum("nd,cdp->ncp", features, signs.reshape(probs.shape[1], features.shape[1], -1))
    return roots @ projected  # [N, C, P]


def _pixel_factor(
    head: HeadOutput, probs: Tensor, features: Tensor, signs: Tensor | None, rank: int, seed: int
) -> Tensor:
    """Rows mixed by random signs, ``[N, S, C]`` and ``[N, S, D]`` to ``[N, rank, P]``."""
    S, C = probs.shape[1:]
    spread = (probs * (1 - probs)).sqrt() if head.family == "bernoulli" else probs.sqrt()  # [N, S, C]
    spread = spread * (head.site_weights / head.total_weight.unsqueeze(1)).to(spread).unsqueeze(-1)
    mixed = _signs(S * C, rank, seed + 1).T.reshape(rank, S, C).to(probs)  # [R, S, C], of size 1/√R
    rows = []
    for signs_of_row in mixed:
        residual = signs_of_row * spread  # [N, S, C]
        if head.family == "categorical":  # Σ_y ±√p_y (e_y − p)
            residual = residual - residual.sum(dim=2, keepdim=True) * probs
        whole = torch.bmm(residual.transpose(1, 2), features).flatten(start_dim=1)  # [N, C · D]
        rows.append(whole if signs is None else whole @ signs)
    return torch.stack(rows, dim=1)  # [N, R, P]


@lru_cache(maxsize=8)
def _signs(rows: int, columns: int, seed: int) -> Tensor:
    """±1/√columns, ``[rows, columns]``; drawn on the CPU so that every device sees the same ones."""
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, (rows, columns), generator=generator, dtype=torch.int8)
    return (signs.float() * 2 - 1) / columns**0.5
