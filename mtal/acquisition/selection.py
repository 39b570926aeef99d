"""Who picks a batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from mtal.acquisition.selectors.base import Candidates, Selector
from mtal.acquisition.selectors.constraints import Constraint, Rule
from mtal.acquisition.selectors.random import Random
from mtal.acquisition.short_list import COMPARES, Rules, short_list
from mtal.acquisition.threads import numpy_on_one_thread
from mtal.refusals import refuse

_AT_FIRST = frozenset({"features", "moments"})
"""What is known of frames before any is labelled."""


@dataclass(frozen=True)
class Selection:
    """A selector for every batch, and one for the initial set.

    Args:
        selector: picks the batch of a round.
        cold_start: picks the initial set, before there is a model; at random by default.
        shortlist: beyond how many candidates a selector that compares frames with each other picks in two stages, see
            :func:`~mtal.acquisition.short_list.short_list`; ``None`` never.

    Raises:
        ValueError: ``shortlist`` is below 1, or ``cold_start`` reads what there is not before the first label.

    >>> import torch
    >>> from mtal.acquisition import TopK, tie_break
    >>> candidates = Candidates(tie_break(0, ["a/000000", "a/000025"]), utility=torch.tensor([0.1, 0.9]))
    >>> Selection(TopK())(candidates, 1, np.random.default_rng(0)).tolist()
    [1]
    """

    selector: Selector
    cold_start: Selector = field(default_factory=Random)
    shortlist: int | None = 1_000_000

    def __post_init__(self) -> None:
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if self.shortlist is not None and self.shortlist < 1:
            yield f"shortlist must be 1 frame or more, or null for no short list, not {self.shortlist}"
        if lacking := sorted(self.cold_start.needs - _AT_FIRST):
            yield (
                f"cold_start: {type(self.cold_start).__name__} goes by {' and '.join(lacking)}, and no head has learnt "
                "anything when the initial set is picked; choose one that needs features or times alone, such as "
                "random, uniform_in_time, k_center_greedy, cluster_centres or typiclust"
            )

    @property
    def reads_the_pool(self) -> bool:
        """Whether a pass of the model over the pool is of any use: not for chance or for spreading picks in time."""
        return bool(self.selector.needs - {"moments"})

    @numpy_on_one_thread()
    def __call__(
        self,
        candidates: Candidates,
        budget: int,
        generator: np.random.Generator,
        rules: Rules | None = None,
        *,
        cold: bool = False,
        why: dict[int, str] | None = None,
    ) -> Tensor:
        """Positions of the picks in order of choice, ``[budget]`` int64, fewer only when no more are left.

        Args:
            candidates: the pool, with what the selector needs. A frame of NaN utility is not picked.
            budget: how many frames to pick, 1 or more.
            generator: the only source of randomness.
            rules: gives what else holds of the picks among these candidates, or some of them, fresh at each call, see
                :class:`~mtal.acquisition.limits.Limits`.
            cold: pick the initial set.
            why: as for :class:`~mtal.acquisition.selectors.base.Selector`.

        Raises:
            ValueError: the budget is below 1, or something needed is missing.
        """
        selector = self.cold_start if cold else self.selector
        if self.shortlist is None or len(candidates) <= self.shortlist or not selector.needs & COMPARES:
            return _picked(selector, candidates, budget, generator, [] if rules is None else rules(candidates), why)
        listed = short_list(selector, candidates, budget, self.shortlist, generator, rules)
        on_list = candidates.take(listed)
        of_list: dict[int, str] = {}
        picks = _picked(selector, on_list, budget, generator, [] if rules is None else rules(on_list), of_list)
        if why is not None:
            why.update({int(listed[i]): words for i, words in of_list.items()})
        return torch.from_numpy(listed)[picks]


def _picked(
    selector: Selector,
    candidates: Candidates,
    budget: int,
    generator: np.random.Generator,
    rules: list[Rule],
    why: dict[int, str] | None,
) -> Tensor:
    excluded = None if candidates.utility is None else candidates.utility.isnan().cpu().numpy()  # [N]
    return selector(candidates, budget, generator, Constraint(len(candidates), excluded, rules), why)
