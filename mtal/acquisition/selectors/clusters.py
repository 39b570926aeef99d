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
    if len(rows) * clusters <= _WHOLE:
        model = KMeans(clusters, n_init=1, random_state=seed)
    else:
        model = MiniBatchKMeans(clusters, n_init=1, random_state=seed, batch_size=max(_BATCH, 4 * clusters))
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different rows than clusters
        return np.asarray(model.fit_predict(rows), dtype=np.int64)
