"""k-means for selectors: seeded, the same for every order of the frames, for pools of any size."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits
from torch import Tensor

_WHOLE = 1 << 24  # more frames times clusters than this are clustered from small batches
_BATCH = 5000
_PAIRS = 4096  # up to so many rows the distances of all pairs may be held: 128 MiB


def k_means(x: Tensor, clusters: int, seed: int) -> npt.NDArray[np.int64]:
    """Cluster of each row of ``[N, D]``: ``[N]`` in [0, clusters); some clusters stay empty where rows repeat.

    Lloyd's algorithm from one k-means++ start; above 2²⁴ frames × clusters from batches (Sculley, WWW 2010). One
    thread, since the order in which threads add up would change the last digits from run to run.

    Args:
        x: in an order that depends on nothing but the frames.
        clusters: 1 or more; no more than N are made.
        seed: the only source of randomness.
    """
    rows = x.detach().cpu().numpy()
    clusters = min(clusters, len(rows))
    if len(rows) <= min(_PAIRS, 2 * _trials(clusters) * clusters):
        model = KMeans(clusters, init=rows[starts(rows, clusters, seed)], n_init=1, random_state=seed)
    elif len(rows) * clusters <= _WHOLE:
        model = KMeans(clusters, n_init=1, random_state=seed)
    else:
        model = MiniBatchKMeans(clusters, n_init=1, random_state=seed, batch_size=max(_BATCH, 4 * clusters))
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different rows than clusters
        return np.asarray(model.fit_predict(rows), dtype=np.int64)


def starts(rows: npt.NDArray[np.floating], clusters: int, seed: int) -> npt.NDArray[np.intp]:
    """Places of greedy k-means++ centres among ``[N, D]``: each the best of a few drawn by P(i) ∝ D², ``[clusters]``.

    Arthur and Vassilvitskii, SODA 2007. The draws are those of scikit-learn, and so are the centres, unless two that
    are drawn are equally good, as nearest neighbours of each other may be. One product of all pairs, at which a
    processor is good, takes the place of one of a few rows for each centre.

    Time N²·D, memory N².
    """
    state = np.random.RandomState(seed)
    x = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)  # [N, D]
    sq_norm = np.einsum("ij,ij->i", x, x)  # [N]
    sq = x @ x.T  # [N, N]
    sq *= -2
    sq += sq_norm
    sq += sq_norm[:, None]
    np.maximum(sq, 0, out=sq)
    np.fill_diagonal(sq, 0)
    chosen = [int(state.choice(len(x), p=np.full(len(x), 1 / len(x))))]
    nearest = sq[chosen[0]]  # [N], D² to the nearest centre
    for _ in range(1, clusters):
        reached = state.uniform(size=_trials(clusters)) * nearest.sum()
        tried = np.searchsorted(np.cumsum(nearest), reached).clip(max=len(x) - 1)  # [trials]
        left = np.minimum(sq[tried], nearest)  # [trials, N]
        best = int(left.sum(axis=1).argmin())
        chosen.append(int(tried[best]))
        nearest = left[best]
    return np.array(chosen)


def _trials(clusters: int) -> int:
    return 2 + int(np.log(clusters))
