"""What the labels of all frame heads of a frame can be together, and how likely each member thinks it.

Letters: N frames, n of them, K members, R outcomes of a frame's joint label, V variables: labels that are independent
given the member.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mtal.acquisition.selectors.configurations import Floats, thinned, x_log_x
from mtal.acquisition.threads import in_pieces
from mtal.tasks.posterior import HeadOutput

_KEPT = 2048  # frames whose outcomes are kept, which bounds the memory
_ROWS = 2048  # frames at once


class JointLabels:
    """Outcomes of the joint label of all heads of a frame, and their probabilities given each member.

    Args:
        heads: task to the members' posteriors ``[K, N, 1, C]``.
        limit: most outcomes of a frame.
        hashes: ``[N]``.
        generator: of the thinning where there are more outcomes.

    Raises:
        ValueError: a head has no members, more than one site per frame or another number of members.
    """

    def __init__(
        self,
        heads: Mapping[str, HeadOutput],
        limit: int,
        hashes: npt.NDArray[np.uint64],
        generator: np.random.Generator,
    ) -> None:
        self._heads = [_Head(task, heads[task]) for task in sorted(heads)]
        self._limit = limit
        self.members = self._heads[0].members
        if any(head.members != self.members for head in self._heads):
            raise ValueError("all heads must have the same members, but their numbers differ")
        self._values = [values for head in self._heads for values in head.values]  # of each variable
        self._offset = np.empty((len(self._values), len(hashes)))  # of the thinning; drawn in the order of hashes
        self._offset[:, np.argsort(hashes, kind="stable")] = generator.random(self._offset.shape)
        self.outcomes = lru_cache(_KEPT)(self._outcomes)

    def __len__(self) -> int:
        return self._offset.shape[1]

    def _outcomes(self, i: int) -> tuple[Floats, Floats]:
        """Probabilities ``[K, R]`` for frame i, and how many outcomes each stands for ``[R]``: 1 where enumerated."""
        probs, count = np.ones((self.members, 1)), np.ones(1)
        for variable, offset in zip(self._variables(np.array([i])), self._offset, strict=True):
            probs = (probs[:, :, None] * variable[:, 0, None, :]).reshape(self.members, -1)  # [K, R]
            count = np.repeat(count, variable.shape[2])  # [R]
            if len(count) > self._limit:
                kept, factor = thinned(count * probs.mean(axis=0), self._limit, float(offset[i]))
                probs, count = probs[:, kept], count[kept] * factor
        return probs, count

    def joint(self, positions: npt.NDArray[np.intp], most: int, dtype: npt.DTypeLike) -> Iterator[npt.NDArray]:
        """All outcomes ``[K, n, R]`` of one group of variables after the other, R not above ``most`` if it can be.

        Groups are independent given the member, so together they tell at most what each tells, added up.
        """
        variables = [variable.astype(dtype) for variable in self._variables(positions)]
        for first, last in pairwise(_groups(self._values, most)):
            probs = variables[first]
            for variable in variables[first + 1 : last]:
                probs = (probs[..., None] * variable[:, :, None]).reshape(*probs.shape[:2], -1)
            yield probs

    def sum_of_bald(self) -> Floats:
        """BALD of each variable, added up, ``[N]``: not below that of the joint label."""
        bald = np.empty(len(self))

        def measure(start: int) -> None:
            at = np.arange(start, min(start + _ROWS, len(self)))
            terms = [(x_log_x(v).mean(axis=0) - x_log_x(v.mean(axis=0))).sum(axis=1) for v in self._variables(at)]
            bald[at] = sum(terms)

        in_pieces(measure, range(0, len(self), _ROWS))
        return np.maximum(bald, 0.0)

    def _variables(self, positions: npt.NDArray[np.intp]) -> list[Floats]:
        """Probabilities of each variable's values, ``[K, n, values]`` each."""
        return [variable for head in self._heads for variable in head.variables(positions)]


class _Head:
    """Independent labels of a head given the member; an invalid frame has a sure one."""

    def __init__(self, task: str, head: HeadOutput) -> None:
        members = head.members
        if members is None or members.shape[2] != 1:
            raise ValueError(
                f"BatchBALD needs members [K, N, 1, C] of {task}, one site per frame; they are {list(head.probs.shape)}"
            )
        self._probs = members[:, :, 0].detach().cpu()  # [K, N, C]
        self._valid = head.mask[:, 0].cpu().numpy()  # [N]
        self._bernoulli = head.family == "bernoulli"
        self.members, _, classes = self._probs.shape
        self.values = [2] * classes if self._bernoulli else [classes]

    def variables(self, positions: npt.NDArray[np.intp]) -> list[Floats]:
        """``[K, n, values]`` each."""
        probs = self._probs[:, positions].double().clamp_(0, 1).numpy()  # [K, n, C]
        valid = self._valid[positions, None]  # [n, 1]
        if self._bernoulli:
            probs = np.where(valid, probs, 0.0)
            return [np.stack([1 - probs[:, :, c], probs[:, :, c]], axis=2) for c in range(probs.shape[2])]
        return [np.where(valid, probs / probs.sum(axis=2, keepdims=True), np.eye(probs.shape[2])[0])]


def _groups(values: list[int], most: int) -> list[int]:
    """Where groups of neighbours begin and the last ends, each of at most so many outcomes if a single one allows.

    >>> _groups([2, 2, 2, 7, 3], 8)
    [0, 3, 4, 5]
    """
    starts, outcomes = [0], 1
    for i, number in enumerate(values):
        if i > starts[-1] and outcomes * number > most:
            starts.append(i)
            outcomes = 1
        outcomes *= number
    return [*starts, len(values)]
