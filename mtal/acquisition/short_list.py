"""The first of two stages of a selection from a pool that is too large for one: what may be picked at all.

Letters: N frames of the pool, B blocks, b frames to pick.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from mtal.acquisition.round_warning import RoundWarning
from mtal.acquisition.selectors.base import Candidates, Selector
from mtal.acquisition.selectors.constraints import Constraint, Rule
from mtal.acquisition.selectors.tie_break import leading

Positions = npt.NDArray[np.int64]
Rules = Callable[[Candidates], list[Rule]]
"""Fresh rules on candidates, which may be some of all."""

COMPARES = frozenset({"features", "gradient", "members", "fisher"})
"""What selectors read that compare frames with each other; others pass over the whole pool in little more than N."""


def short_list(
    selector: Selector,
    candidates: Candidates,
    budget: int,
    size: int,
    generator: np.random.Generator,
    rules: Rules | None = None,
) -> Positions:
    """Frames of a large pool of which the batch is picked, ascending.

    The pool is cut into B = ⌈N / size⌉ blocks along videos and time. Of each come the frames that ``selector`` picks in
    it as it would pick a batch (a composable core-set), under rules of its own, and as many of the highest utility if
    it reads utilities; then, up to ``size``, those of the smallest hashes, which are a uniform sample of the pool, so
    that what is dense in the pool is dense in the list. Nothing is ever compared across more than ``size`` frames, or
    2·B·b where that is more.

    What holds of a batch that the selector then picks of the list:

    - k-centre greedy, no rules: every frame lies within 4 times the radius that the best b centres could reach, where
      exact greedy gives 2 (Malkomes, Kusner, Chen, Weinberger and Moseley, NeurIPS 2015). Each frame is within twice
      that radius of a frame of the list, and this one of a pick or a labelled frame.
    - A rule (gap, cap, quota, budget of seconds or answers) holds of the batch as it does without a list. A cap or a
      quota alone never gives way sooner for the list: a block has the budget of the whole pool for fewer patients (or
      videos), so that it gives of each all its frames, or as many as the batch may take. That the list has frames
      enough to meet several rules, or a gap, without giving way is not guaranteed: a block gives no more than 2·b.
    - Facility location and herding keep the share of the best value that distributed greedy has (Mirzasoleiman,
      Karbasi, Sarkar and Krause, NeurIPS 2013) as far as the list represents the pool, which no bound says.
    - k-means++ (BADGE), k-DPPs, clusters, ProbCover, BatchBALD and BAIT: nothing is guaranteed; ``docs/scaling.md`` has
      what was lost in measurements.

    Args:
        selector: picks in each block.
        candidates: the pool. A frame of NaN utility is not listed.
        budget: frames of the batch, b.
        size: of a block, and of the list.
        generator: of the run; each block draws from one of its own, and nothing is drawn from this one.
        rules: gives those of a block; ``None`` for none.

    >>> import torch
    >>> from mtal.acquisition.selectors import KCenterGreedy
    >>> x = torch.tensor([[0.0], [1.0], [2.0], [50.0], [51.0], [90.0]])
    >>> pool = Candidates(np.arange(6, dtype=np.uint64), features=x)
    >>> short_list(KCenterGreedy(), pool, 1, 3, np.random.default_rng(0)).tolist()  # picks 1 and 4, and a hash
    [0, 1, 4]
    """
    usable = np.ones(len(candidates), dtype=bool)  # [N]
    if candidates.utility is not None:
        usable = ~candidates.utility.isnan().cpu().numpy()
    listed = np.zeros(len(candidates), dtype=bool)  # [N]
    blocks = list(_blocks(candidates, size))
    for block, own in zip(blocks, generator.spawn(len(blocks)), strict=True):
        at = np.arange(len(candidates))[block]  # [n]
        if not usable[at].any():
            continue
        here = candidates.take(block)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RoundWarning)  # what gives way in a block need not in the end
            constraint = Constraint(len(at), ~usable[at], () if rules is None else rules(here))
            picks = selector(here, min(budget, len(at)), own, constraint).numpy()
        listed[at[picks]] = True
        if len(picks) and "utility" in selector.needs and here.utility is not None:
            values = here.utility.double().nan_to_num(nan=-np.inf).cpu().numpy()  # [n]
            highest = leading(values, here.tie_break, min(len(picks), len(at)))[: len(picks)]
            listed[at[highest[usable[at[highest]]]]] = True
    left = np.flatnonzero(usable & ~listed)
    missing = min(size - int(listed.sum()), len(left))
    if missing > 0:
        listed[left[np.argpartition(candidates.tie_break[left], missing - 1)[:missing]]] = True
    return np.flatnonzero(listed)


def _blocks(candidates: Candidates, size: int) -> Iterator[Positions | slice]:
    """The pool in stretches of at most ``size`` frames along videos and time, or along hashes where there are none.

    Slices, which need no copies, where the candidates come in that order, as those of a frame index do.
    """
    N = len(candidates)
    count = -(-N // size)
    bounds = np.linspace(0, N, count + 1).astype(np.int64)
    if candidates.moments is None:
        order = np.argsort(candidates.tie_break)
    else:
        order = np.lexsort((candidates.tie_break, candidates.moments.time_s, candidates.moments.video))
    in_order = bool((np.diff(order) == 1).all())
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        yield slice(start, end) if in_order else order[start:end]
