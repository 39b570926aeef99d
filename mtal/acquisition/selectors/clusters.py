"""k-means for selectors: seeded, the same for every order of the frames, for pools of any size.

Letters: N rows, n of them that centres are sought on, K clusters, D features.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition.embedding import ROWS, mean_row
from mtal.acquisition.threads import in_pieces, one_thread

Labels = npt.NDArray[np.int64]

_WHOLE = 1 << 25  # centres are sought on so many rows times clusters
_MOST = 1 << 17  # but on no more rows
_LEAST = 16  # and on no fewer for each cluster
_OPENING = 8  # rows for each cluster that the first centres are drawn from
_FEWEST = 512  # but from so many at least
_SETTLED = 3e-5  # part of the inertia by which a step has to lower it for another to follow
_STEPS = 100
_SAME = 2.0**-19  # squared distances below this part of the squared lengths are rounding


def k_means(x: Tensor, clusters: int, seed: int) -> Labels:
    """Cluster of each row of ``[N, D]``: ``[N]`` in [0, clusters); some clusters stay empty where rows repeat.

    Lloyd's algorithm from one greedy k-means++ start, until a step lowers the inertia by less than 3·10⁻⁵ of itself.
    Products are of float32 about the mean, so what lies nearer than some 10⁻³ of the distance to it is one point.

    The start is drawn from 512 rows, or 8 for each cluster. Above 2²⁵ rows × clusters, or 131,072 rows, centres are
    sought on so many, 16 or more for each cluster, and then every row joins the nearest. Both are evenly spaced rows.

    Args:
        x: in an order that depends on nothing but the frames.
        clusters: 1 or more; no more than N are made.
        seed: the only source of randomness.
    """
    rows = x.detach().cpu()
    clusters = min(clusters, len(rows))
    some = _spaced(rows, max(_LEAST * clusters, min(_MOST, _WHOLE // clusters)))  # [n, D]
    origin = mean_row(some).to(some)
    moved = (some - origin).float()  # [n, D]
    with one_thread():
        opening = _spaced(moved, max(_FEWEST, _OPENING * clusters))
        centres = opening[torch.from_numpy(starts(opening, clusters, seed))]  # [K, D]
    labels = np.empty(len(rows), dtype=np.int64)
    if len(some) == len(rows):
        _lloyd(moved, centres, labels)
        return labels
    centres = _lloyd(moved, centres, labels[: len(some)])
    parts = [slice(start, start + ROWS) for start in range(0, len(rows), ROWS)]
    in_pieces(lambda part: _join((rows[part] - origin).float(), centres, labels[part]), parts)
    return labels


def _spaced(rows: Tensor, count: int) -> Tensor:
    """Evenly spaced rows, all of them where they are no more than ``count``."""
    if len(rows) <= count:
        return rows
    return rows[torch.arange(count) * len(rows) // count]


def starts(x: Tensor, clusters: int, seed: int) -> npt.NDArray[np.intp]:
    """Places of greedy k-means++ centres among ``[n, D]``: each the best of a few drawn by P(i) ∝ D², ``[clusters]``.

    Arthur and Vassilvitskii, SODA 2007. The draws are those of scikit-learn, and so are the centres, unless two that
    are drawn are equally good, as nearest neighbours of each other may be. Fewer where no row is left that is unlike
    those chosen.

    Time n·clusters·D log clusters or n²·D, whichever is less; memory n² numbers in the second case.

    Args:
        x: float32 about their mean.
        clusters: n at most.
        seed: the only source of randomness.
    """
    state = np.random.RandomState(seed)
    trials = 2 + int(np.log(clusters))
    sq_norm = (1 - _SAME) * x.square().sum(dim=1)  # [n]

    def from_rows(places: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        """Squared distances to all rows less what may be rounding, ``[places, n]``; 0 to an equal one."""
        own = torch.from_numpy(places)
        return torch.addmm(sq_norm, x[own], x.T, alpha=-2).add_(sq_norm[own, None]).clamp_(min=0).numpy()

    chosen = [int(state.choice(len(x), p=np.full(len(x), 1 / len(x))))]
    table = None
    if len(x) <= min(ROWS, 4 * trials * clusters):  # then a product of all pairs is faster than many of a few rows
        table = from_rows(np.arange(len(x)))
    nearest = from_rows(np.array(chosen))[0] if table is None else table[chosen[0]]  # [n], D² to the nearest centre
    while len(chosen) < clusters and nearest.any():
        cumulative = nearest.cumsum(dtype=np.float64)  # [n]
        reached = state.uniform(size=trials) * cumulative[-1]
        tried = cumulative.searchsorted(reached).clip(max=len(x) - 1)  # [trials]
        left = np.minimum(from_rows(tried) if table is None else table[tried], nearest)  # [trials, n]
        best = int(left.sum(axis=1).argmin())
        chosen.append(int(tried[best]))
        nearest = left[best]
    return np.array(chosen)


def _lloyd(x: Tensor, centres: Tensor, labels: Labels) -> Tensor:
    """Centres ``[K, D]`` after as many steps as it takes; fills ``labels [n]`` with the nearest of each row."""
    least = np.empty(len(x), dtype=np.float32)  # [n]
    sq_norm = np.einsum("ij,ij->i", x.numpy(), x.numpy())  # [n]
    parts = [slice(start, start + ROWS) for start in range(0, len(x), ROWS)]

    def join(part: slice) -> None:
        least[part] = _join(x[part], centres, labels[part])

    before = np.inf
    for _ in range(_STEPS):
        in_pieces(join, parts)
        sq = 2 * least + sq_norm  # [n], to the nearest centre
        inertia = float(sq.sum(dtype=np.float64))
        if before - inertia <= _SETTLED * inertia:
            break
        before = inertia
        centres = _means(x, labels, sq, len(centres))
    return centres


def _join(x: Tensor, centres: Tensor, labels: Labels) -> npt.NDArray[np.float32]:
    """½‖c‖² − ⟨xᵢ, c⟩ of the nearest centre c, ``[rows]``; fills ``labels [rows]`` with its number."""
    sums = torch.addmm(centres.square().sum(dim=1) / 2, x, centres.T, alpha=-1).numpy()  # [rows, K]
    np.argmin(sums, axis=1, out=labels)  # a fraction of the time of torch.min
    return sums[np.arange(len(sums)), labels]


def _means(x: Tensor, labels: Labels, sq: npt.NDArray[np.float32], clusters: int) -> Tensor:
    """Mean of each cluster, ``[K, D]``; an empty one gets one of the rows farthest from their centres."""
    sums = torch.zeros(clusters, x.shape[1], dtype=torch.float64)
    own = torch.from_numpy(labels)
    with one_thread():
        for start in range(0, len(x), ROWS):  # each in float32, all of them in float64
            part = slice(start, start + ROWS)
            sums += torch.zeros(sums.shape).index_add_(0, own[part], x[part])
    size = np.bincount(labels, minlength=clusters)  # [K]
    means = (sums / torch.from_numpy(size.clip(min=1))[:, None]).float()
    empty = np.flatnonzero(size == 0)
    if len(empty):
        farthest = np.argsort(-sq, kind="stable")[: len(empty)]
        means[torch.from_numpy(empty)] = x[torch.from_numpy(farthest)]
    return means
