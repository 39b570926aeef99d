"""What the pass over the pool leaves behind, as one head sees it.

Letters: N candidates, M labelled frames, K members, G cells of a coarse grid (1 for a frame head), C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mtal.acquisition.embedding import all_finite
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
        others: what all other heads say of the candidates and of the labelled frames, ``[N, P]`` and ``[M, P]``.
        seed: of whatever is drawn.

    Raises:
        ValueError: the numbers of frames, features, cells or classes disagree, the features are not finite, or the
            members lack their leading K.
    """

    features: Tensor | None = None
    labelled_features: Tensor | None = None
    posterior: HeadOutput | None = None
    labelled_posterior: HeadOutput | None = None
    members: HeadOutput | None = None
    previous: tuple[Tensor, ...] | None = None
    moments: Moments | None = None
    others: tuple[Tensor, Tensor] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        sizes = {
            name: size
            for name, size in (
                ("features", None if self.features is None else len(self.features)),
                ("posterior", None if self.posterior is None else self.posterior.probs.shape[-3]),
                ("members", None if self.members is None else self.members.probs.shape[-3]),
                ("moments", None if self.moments is None else len(self.moments)),
                ("others", None if self.others is None else len(self.others[0])),
                *((f"previous[{i}]", len(p)) for i, p in enumerate(self.previous or ())),
            )
            if size is not None
        }
        if len(set(sizes.values())) > 1:
            raise ValueError(f"a pool view needs one number of candidates throughout, not {sizes}")
        self._check_features()
        self._check_posteriors()

    def __len__(self) -> int:
        for part in (self.features, self.moments):
            if part is not None:
                return len(part)
        for head in (self.posterior, self.members):
            if head is not None:
                return int(head.probs.shape[-3])
        return 0

    def _check_features(self) -> None:
        for name in ("features", "labelled_features"):
            values = getattr(self, name)
            if values is not None and not (values.ndim == 2 and all_finite(values)):
                raise ValueError(f"{name} must be finite and [frames, D]; they are {list(values.shape)}")
        if self.features is not None and self.labelled_features is not None:
            ours, theirs = self.features.shape[1], self.labelled_features.shape[1]
            if ours != theirs:
                raise ValueError(f"features have {ours} numbers per frame but labelled_features {theirs}")
        if self.labelled_features is not None and self.labelled_posterior is not None:
            ours, theirs = len(self.labelled_features), self.labelled_posterior.probs.shape[-3]
            if ours != theirs:
                raise ValueError(f"there are {ours} labelled features but {theirs} labelled posteriors")

    def _check_posteriors(self) -> None:
        if self.members is not None and self.members.members is None:
            raise ValueError(f"members must be [K, N, G, C], not {list(self.members.probs.shape)}")
        heads = {
            name: (head.family, *head.probs.shape[-2:])
            for name, head in (
                ("posterior", self.posterior),
                ("labelled_posterior", self.labelled_posterior),
                ("members", self.members),
            )
            if head is not None
        }
        if len(set(heads.values())) > 1:
            raise ValueError(f"a pool view is of one head: one family, cells and classes throughout, not {heads}")
        for i, earlier in enumerate(self.previous or ()):
            for name, (_, *cells_classes) in heads.items():
                if list(earlier.shape[1:]) != cells_classes:
                    raise ValueError(f"previous[{i}] is {list(earlier.shape)} but {name} has {cells_classes} per frame")
