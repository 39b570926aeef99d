"""Which classes frames show: known of labelled ones, expected of candidates.

Letters: N candidates, M labelled frames, C classes, S sites.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition.predictive import predictive_probs
from mtal.acquisition.trust import shrunk
from mtal.tasks.posterior import HeadOutput

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
_ROWS = 4096  # frames in float64 at once, which bounds the memory


@dataclass(frozen=True)
class Shown:
    """What a selector that covers classes goes by.

    Args:
        classes: task to its C class names.
        expected: task to ``[N, C]``, the probability that a candidate shows the class; NaN where the head can't be
            asked for.
        known: task to ``[M, C]``, 1 where a labelled frame shows the class and 0 where not; NaN where nobody said.
        headroom: task to ``[C]``, what is left to learn of each class, 0 to 1.
        absence: tasks of which an absent class is an answer as well: labels of frames that may be together.
        patients: ``[N]`` codes.
        labelled_patients: ``[M]`` codes.
        alike: how much more alike frames of one patient are than any two, 0 to 1, see :func:`likeness`.
        trust: how far utilities tell what the heads get wrong, 0 to 1.
        cost_s: ``[N]`` annotator seconds, where seconds are what is spent.

    Raises:
        ValueError: numbers of frames, tasks or classes disagree.
    """

    classes: Mapping[str, tuple[str, ...]]
    expected: Mapping[str, Floats]
    known: Mapping[str, Floats]
    headroom: Mapping[str, Floats]
    absence: frozenset[str]
    patients: Codes
    labelled_patients: Codes
    alike: float = 0.0
    trust: float = 0.0
    cost_s: Floats | None = None

    def __post_init__(self) -> None:
        N, M = len(self.patients), len(self.labelled_patients)
        for task, names in self.classes.items():
            found = (self.expected[task].shape, self.known[task].shape, self.headroom[task].shape)
            C = len(names)
            if found != ((N, C), (M, C), (C,)):
                raise ValueError(f"{task} has {C} classes, {N} candidates and {M} labelled frames, but arrays {found}")

    def __len__(self) -> int:
        return len(self.patients)

    def take(self, index: Codes | slice) -> Shown:
        """The same of the candidates at ``index``."""
        return replace(
            self,
            expected={task: p[index] for task, p in self.expected.items()},
            patients=self.patients[index],
            cost_s=None if self.cost_s is None else self.cost_s[index],
        )


def presence(head: HeadOutput) -> Tensor:
    """The largest probability of each class at any site that counts, ``[N, C]`` float64; 0 for a frame without one."""
    parts = [torch.empty(0, head.probs.shape[-1], dtype=torch.float64)]
    for start in range(0, head.probs.shape[-3], _ROWS):
        some = head.take(slice(start, start + _ROWS))
        probs = predictive_probs(some).double()  # [n, S, C]
        parts.append(probs.where(some.mask.unsqueeze(-1), 0.0).amax(dim=1).cpu())
    return torch.cat(parts)


@dataclass(frozen=True)
class PresenceCalibration:
    """P(shown) = rate + slope·(score − middle), cut to [0, 1]: one line for each of C classes.

    Args:
        rate: ``[C]`` how often the class is shown.
        slope: ``[C]`` 0 or more.
        middle: ``[C]`` mean score.
    """

    rate: Floats
    slope: Floats
    middle: Floats

    def __call__(self, scores: Floats) -> Floats:
        """Probability that a frame shows the class, ``[N, C]`` to ``[N, C]``."""
        return np.clip(self.rate + self.slope * (scores - self.middle), 0.0, 1.0)


def fit_presence(scores: Floats, known: Floats) -> PresenceCalibration:
    """The least-squares line of each class, its slope shrunk by what chance may have had in it.

    The less the out-of-fold scores r correlate with what is shown, and the fewer frames say so, the flatter the line
    (:func:`~mtal.acquisition.trust.shrunk`); at slope 0 all frames are expected to show the class as often as labelled
    ones do, (k + ½)/(n + 1) for k of n. So a class that was never labelled tells no frame from another.

    Args:
        scores: ``[M, C]`` out of fold.
        known: ``[M, C]`` 0 or 1, NaN where nobody said.

    >>> line = fit_presence(np.array([[0.1], [0.2], [0.8], [0.9]]), np.array([[0.0], [0.0], [1.0], [1.0]]))
    >>> line(np.array([[0.1], [0.5], [0.9]])).round(2).ravel().tolist()
    [0.0, 0.5, 1.0]
    """
    C = scores.shape[1]
    rate, slope, middle = np.full(C, 0.5), np.zeros(C), np.zeros(C)
    for c in range(C):
        said = np.isfinite(known[:, c])
        x, y = scores[said, c], known[said, c]
        rate[c] = (y.sum() + 0.5) / (len(y) + 1)
        if not len(y):
            continue
        middle[c] = x.mean()
        off = x - middle[c]
        spread, along = float(off @ off), float(off @ (y - y.mean()))
        if along > 0 and spread > 0:
            correlation = along / float(np.sqrt(spread * ((y - y.mean()) ** 2).sum()))
            slope[c] = along / spread * shrunk(correlation, len(y))
    return PresenceCalibration(rate, slope, middle)


def likeness(features: Tensor, groups: Codes) -> float:
    """Intraclass correlation of the features by group, 0 to 1: (B − W)/(B + (n₀ − 1)·W) of a one-way analysis.

    B and W are the mean squares between and within groups, summed over the D features, and n₀ the group size that
    unequal ones amount to. 0 where there is one group only, or no group has two frames.

    Args:
        features: ``[N, D]``.
        groups: ``[N]`` codes.

    >>> likeness(torch.tensor([[0.0], [0.1], [5.0], [5.1]]), np.array([0, 0, 1, 1])) > 0.99
    True
    """
    codes, own, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    N, G = len(groups), len(codes)
    if G < 2 or N == G:
        return 0.0
    pieces = [slice(start, start + _ROWS) for start in range(0, N, _ROWS)]
    counts, index = torch.from_numpy(sizes).double(), torch.from_numpy(own)
    means = torch.zeros(G, features.shape[1], dtype=torch.float64)  # [G, D]
    for rows in pieces:
        means.index_add_(0, index[rows], features[rows].detach().cpu().double())
    middle = means.sum(dim=0) / N  # [D]
    means /= counts[:, None]
    between = float(((means - middle).square().sum(dim=1) * counts).sum()) / (G - 1)
    squares = ((features[rows].detach().cpu().double() - means[index[rows]]).square().sum() for rows in pieces)
    within = float(sum(squares)) / (N - G)
    usual = (N - float((sizes.astype(np.float64) ** 2).sum()) / N) / (G - 1)
    total = between + (usual - 1) * within
    return round(min(max((between - within) / total, 0.0), 1.0), 6) if total > 0 else 0.0
