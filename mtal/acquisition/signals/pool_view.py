"""What the pass over the pool leaves behind, as one head sees it.

Letters: N candidates, M labelled frames, K members, G cells of a coarse grid (1 for a frame head), C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mtal.acquisition.moments import Moments
from mtal.tasks.posterior import HeadOutput


@dataclass(frozen=True)
class PoolView:
    """The pool and the labelled frames; only what a signal's ``needs`` name has to be there.

    Posteriors are coarse (:func:`~mtal.acquisition.coarse.coarse_posterior`), so memory is a few numbers per frame.

    Args:
        features: ``[N, D]`` pooled output of the shared encoder.
        labelled_features: ``[M, D]``, M ≥ 0.
        posterior: of the candidates, ``probs [N, G, C]``.
        labelled_posterior: of the labelled frames, ``probs [M, G, C]``.
        members: of the candidates, ``probs [K, N, G, C]``.
        previous: ``[N, G, C]`` posteriors of the same candidates in earlier rounds, oldest first; may be empty.
        moments: video and time of the candidates.
        seed: of whatever is drawn.

    Raises:
        ValueError: the numbers of frames disagree.
    """

    features: Tensor | None = None
    labelled_features: Tensor | None = None
    posterior: HeadOutput | None = None
    labelled_posterior: HeadOutput | None = None
    members: HeadOutput | None = None
    previous: tuple[Tensor, ...] | None = None
    moments: Moments | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        sizes = {
            name: size
            for name, size in (
                ("features", None if self.features is None else len(self.features)),
                ("posterior", None if self.posterior is None else self.posterior.probs.shape[-3]),
                ("members", None if self.members is None else self.members.probs.shape[-3]),
                ("moments", None if self.moments is None else len(self.moments)),
                *((f"previous[{i}]", len(p)) for i, p in enumerate(self.previous or ())),
            )
            if size is not None
        }
        if len(set(sizes.values())) > 1:
            raise ValueError(f"a pool view needs one number of candidates throughout, not {sizes}")
        if self.labelled_features is not None and self.labelled_posterior is not None:
            ours, theirs = len(self.labelled_features), self.labelled_posterior.probs.shape[-3]
            if ours != theirs:
                raise ValueError(f"there are {ours} labelled features but {theirs} labelled posteriors")

    def __len__(self) -> int:
        for part in (self.features, self.moments):
            if part is not None:
                return len(part)
        for head in (self.posterior, self.members):
            if head is not None:
                return int(head.probs.shape[-3])
        return 0
