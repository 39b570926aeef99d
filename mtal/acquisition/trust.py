"""How far what heads say of frames is to be believed, as their out-of-fold answers show.

Letters: M labelled frames, S sites, C classes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata
from torch import Tensor

from mtal.acquisition.predictive import log_above_zero, mean_over_sites, predictive_probs
from mtal.acquisition.signals.entropy import Entropy
from mtal.tasks.posterior import HeadOutput
from mtal.tasks.task import IGNORE

Floats = npt.NDArray[np.float64]


def shrunk(correlation: float, frames: int) -> float:
    """max(0, 1 − (1 − r²)/((n − 2)·r²)) for r > 0, else 0: what is left of a slope less its own squared error.

    The share of a slope's square that its standard error does not account for, as in the positive-part estimator of
    James and Stein, 1961; 0 for three frames or fewer, and the nearer to 1 the more frames there are.

    >>> [round(shrunk(0.5, frames), 2) for frames in (3, 5, 8, 26, 152)]
    [0.0, 0.0, 0.5, 0.88, 0.98]
    """
    if frames <= 3 or correlation <= 0:
        return 0.0
    r2 = min(correlation, 1.0) ** 2
    return max(0.0, 1 - (1 - r2) / ((frames - 2) * r2))


def trust(head: HeadOutput, targets: Tensor) -> float:
    """How far the entropy of a head tells the frames apart on which it is wrong, 0 to 1, out of fold.

    :func:`shrunk` rank correlation of the mean entropy of a frame's annotated sites with their mean −log p(label).

    Args:
        head: posterior of labelled frames by a model that has not learnt from them, ``probs [M, S, C]``.
        targets: ``IGNORE`` where not annotated; categorical ``[M, S]`` class numbers, Bernoulli ``[M, S, C]``.
    """
    unsure, loss = uncertainty_and_loss(head, targets)  # [m], [m]
    if len(unsure) <= 3 or np.ptp(unsure) == 0 or np.ptp(loss) == 0:
        return 0.0
    return shrunk(float(np.corrcoef(rankdata(unsure), rankdata(loss))[0, 1]), len(unsure))


def uncertainty_and_loss(head: HeadOutput, targets: Tensor) -> tuple[Floats, Floats]:
    """Mean entropy and mean −log p(label) of the m frames with a label, ``[m]`` each."""
    targets = targets.cpu()
    said = annotated_sites(targets)  # [M, S]
    probs = predictive_probs(head).double().cpu()  # [M, S, C]
    if head.family == "bernoulli":
        known = targets != IGNORE  # [M, S, C]
        right = torch.where(targets == 1, probs, 1 - probs)
        at_site = -(log_above_zero(right) * known).sum(dim=2) / known.sum(dim=2).clamp(min=1)  # [M, S]
    else:
        label = targets.long().where(said, torch.zeros((), dtype=torch.int64))
        at_site = -log_above_zero(probs.gather(2, label[..., None])[..., 0])  # [M, S]
    loss = mean_over_sites(at_site, said)
    unsure = Entropy()(HeadOutput(head.family, probs, said, grid=head.grid))
    rows = said.any(dim=1)
    return unsure[rows].numpy(), loss[rows].numpy()


def annotated_sites(targets: Tensor) -> Tensor:
    """``[M, S]`` bool of targets ``[M, S]`` or ``[M, S, C]``."""
    known = targets != IGNORE
    return known if known.ndim == 2 else known.any(dim=2)
