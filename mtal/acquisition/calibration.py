"""One temperature per head, so that a probability means how often the head is right.

Letters: K members, N frames, S sites per frame, C classes, M labelled answers.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn.functional import softplus

from mtal.tasks.posterior import Family, HeadOutput
from mtal.tasks.task import IGNORE

_LARGEST = 20.0  # a temperature lies between this and one over it
_PRECISION = 1e-8  # of the logarithm of the temperature


def fit_temperature(head: HeadOutput, targets: Tensor) -> float:
    """T > 0 that minimises the mean of −log p_T(label), p_T the posterior of :func:`calibrated`.

    Guo et al., ICML 2017. Above 1 the head was too sure of itself, below 1 too unsure. Searched between 1/20 and 20 to
    a relative 1e-8; with a single posterior per frame the loss has one minimum. 1 where the labels do not tell: there
    is none, or no answer is wrong, so that the loss falls for ever as T shrinks. Labels have to be of frames that the
    head was not trained on, or T makes it surer than it should be.

    Args:
        head: posterior of frames with labels, out of fold. Sites that are not valid do not count.
        targets: ``IGNORE`` where not labelled; categorical ``[N, S]`` class numbers, Bernoulli ``[N, S, C]`` zeros and
            ones.

    Raises:
        ValueError: targets of another shape, or a number that stands for no class.

    >>> says_90_percent = HeadOutput("bernoulli", torch.full((5, 1, 1), 0.9))
    >>> right_4_of_5 = torch.tensor([1, 1, 1, 1, 0]).reshape(5, 1, 1)
    >>> round(fit_temperature(says_90_percent, right_4_of_5), 3)  # logit 0.9 over logit 0.8
    1.585
    """
    _check_targets(head, targets)
    margins = _margins(head, targets)  # [K, M] or [K, M, C]
    if (margins >= 0).all():  # none at all, too
        return 1.0

    def loss(log_temperature: float) -> float:
        scaled = margins * math.exp(-log_temperature)
        # −log p of the label is log Σ exp(−margin), over the two answers or over the C classes
        nll = softplus(-scaled) if head.family == "bernoulli" else (-scaled).logsumexp(dim=-1)  # [K, M]
        return float((math.log(len(nll)) - (-nll).logsumexp(dim=0)).mean())

    ends = (-math.log(_LARGEST), math.log(_LARGEST))
    found = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": _PRECISION})
    return math.exp(found.x)


def calibrated(head: HeadOutput, temperature: float) -> HeadOutput:
    """σ(logit(p)/T) for Bernoulli, softmax(log(p)/T) for categorical; members each by themselves, then averaged.

    Keeps the likeliest answer of every posterior, and all other fields as they are: gradient signals then see the
    residuals of the calibrated posterior, and leave out a factor 1/T that is the same for all frames.
    Probabilities nearer to 0 or 1 than the rounding of their type count as that near.

    Args:
        head: any head.
        temperature: T > 0; 1 changes nothing.

    Raises:
        ValueError: the temperature is not above 0 or not finite.

    >>> calibrated(HeadOutput("categorical", torch.tensor([[[0.8, 0.2]]])), 0.5).probs  # 0.64 : 0.04
    tensor([[[0.9412, 0.0588]]])
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be above 0 and finite, not {temperature}")
    logits = _logits(head.family, head.probs) / temperature  # [N, S, C] or [K, N, S, C]
    probs = logits.sigmoid() if head.family == "bernoulli" else logits.softmax(dim=-1)
    return replace(head, probs=probs)


def _logits(family: Family, probs: Tensor) -> Tensor:
    """Finite numbers that the sigmoid or the softmax turns into ``probs``, ``[..., C]`` to ``[..., C]``."""
    probs = probs if probs.dtype in (torch.float32, torch.float64) else probs.float()
    rounding = torch.finfo(probs.dtype).eps
    if family == "bernoulli":
        return probs.clamp(rounding, 1 - rounding).logit()
    return probs.clamp(min=rounding).log()


def _margins(head: HeadOutput, targets: Tensor) -> Tensor:
    """How far the label's logit leads at every labelled answer, float64.

    Bernoulli ``[K, M]``: ±logit. Categorical ``[K, M, C]``: lead over each class, 0 over the label itself.
    """
    probs = head.probs.detach()
    probs = probs if probs.ndim == 4 else probs[None]  # [K, N, S, C]
    targets = targets.to(probs.device)
    if head.family == "bernoulli":
        known = (targets != IGNORE) & head.mask[..., None]  # [N, S, C]
        return _logits(head.family, probs[:, known]).double() * (2.0 * targets[known] - 1)  # [K, M]
    known = (targets != IGNORE) & head.mask  # [N, S]
    logits = _logits(head.family, probs[:, known]).double()  # [K, M, C]
    label = targets[known].long().expand(len(logits), -1)[..., None]  # [K, M, 1]
    return logits.gather(2, label) - logits  # [K, M, C]


def _check_targets(head: HeadOutput, targets: Tensor) -> None:
    N, S, C = head.probs.shape[-3:]
    shape, numbers = ((N, S, C), 2) if head.family == "bernoulli" else ((N, S), C)
    if targets.shape != shape:
        raise ValueError(f"targets of a {head.family} head must be {list(shape)}, not {list(targets.shape)}")
    wrong = targets[(targets != IGNORE) & ((targets < 0) | (targets >= numbers))]
    if len(wrong):
        raise ValueError(f"targets hold {int(wrong[0])}; they must be below {numbers}, or {IGNORE} where not labelled")
