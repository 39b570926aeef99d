"""Not too many frames of one video or patient."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from mtal.acquisition.round_warning import RoundWarning
from mtal.acquisition.selectors.constraints import Bools, Rule
from mtal.refusals import refuse


class Cap(Rule):
    """#{picked frames of a group} ≤ limit, the groups being videos, patients or the like.

    One long operation that the model finds hard must not take the whole batch. When every group that still has frames
    is full, the limit is raised for all groups by as little as it takes, and one warning says so.

    Cost: O(N) per pick.

    Args:
        limit: most frames per group, 1 or more.
        groups: ``[N]`` integer code of each candidate's group.
        already: group to the number of its labelled frames, where those count too; ``None`` to count from 0.
        name: of a group, for the warning.
        told: whether raising the limit is warned of; not where it is meant to rise, for picks spread evenly.

    Attributes:
        limit: the cap that holds now.

    Raises:
        ValueError: the limit is below 1, ``groups`` is not ``[N]`` of integers, or a count is negative.

    >>> cap = Cap(1, np.array([0, 0, 7]), already={7: 1})
    >>> cap.allowed().tolist()
    [True, True, False]
    >>> cap.pick(1)
    >>> cap.allowed().tolist()
    [False, False, False]
    """

    def __init__(
        self,
        limit: int,
        groups: npt.NDArray[np.integer],
        already: Mapping[int, int] | None = None,
        name: str = "video",
        told: bool = True,
    ) -> None:
        groups = np.asarray(groups)
        refuse(_faults(limit, groups, name), what="faults")
        self.limit = int(limit)
        self._asked = int(limit)
        self._name = name
        self._told = told
        codes, self._group = np.unique(groups, return_inverse=True)  # [groups], [N]
        self._count = np.array([(already or {}).get(int(code), 0) for code in codes], dtype=np.int64)  # [groups]
        if (self._count < 0).any():
            raise ValueError(f"the numbers of labelled frames per {name} must be 0 or more, not {dict(already or {})}")
        self._open = (self._count < self.limit)[self._group]  # [N]

    def __len__(self) -> int:
        return len(self._group)

    def allowed(self) -> Bools:
        """``[N]`` bool: of a group with room."""
        return self._open

    def pick(self, i: int) -> None:
        """Count candidate ``i``."""
        group = self._group[i]
        self._count[group] += 1
        if self._count[group] == self.limit:
            self._open = self._open & (self._group != group)

    def relax(self, left: Bools) -> None:
        """Raise the limit to one more than the emptiest group among ``left`` has."""
        if self._told and self.limit == self._asked:
            warnings.warn(
                f"every {self._name} with frames left has its {self._asked} frames, {int(left.sum())} remain: the cap "
                f"is raised by one as often as needed; set a larger cap per {self._name} or a smaller budget",
                RoundWarning,
                stacklevel=2,
            )
        self.limit = int(self._count[self._group[left]].min()) + 1
        self._open = (self._count < self.limit)[self._group]


def _faults(limit: int, groups: npt.NDArray[np.integer], name: str) -> Iterator[str]:
    if limit < 1:
        yield f"the cap per {name} must be 1 frame or more, not {limit}"
    if groups.ndim != 1 or not np.issubdtype(groups.dtype, np.integer):
        yield f"groups must be [N] integers, one per candidate, not {groups.dtype} {list(groups.shape)}"
