"""A share of the batch for every class of every head."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from mtal.acquisition.predictive import predictive_probs
from mtal.acquisition.selectors.base import Candidates, Picked, Selector, require
from mtal.acquisition.selectors.constraints import Bools, Constraint
from mtal.acquisition.selectors.stochastic import gumbel_noise, noisy_log
from mtal.acquisition.selectors.tie_break import Ranking
from mtal.refusals import refuse
from mtal.tasks.posterior import HeadOutput


class ClassStratified(Selector):
    """argmax of log uᵢ + γ^(r−1)·Gumbel/β; a share of the picks is taken in turn among the frames of each class.

    After ClaSP PE (Lüth et al., TMLR 2026): two thirds of a batch in equal parts from the frames in which each class is
    predicted, power noise on all scores, less of it in every round r. There one head segments and scores are entropies
    of each class; here strata are the classes of all heads, so that a batch holds rare tools, bleeding and small organs
    at once, and one utility ranks the frames of all strata. Where the paper leaves it open, or this widens it:

    - A frame head's label is predicted where p > ½ (Bernoulli) or where it is the likeliest (categorical); a pixel
      head's class where that holds for any valid cell.
    - A frame counts for all its strata. The next pick goes to the stratum with the fewest picks so far, among these to
      the one with the fewest frames, so equal parts emerge and a short batch serves rare classes first.
    - For a class that is predicted nowhere, the frame of the largest p is taken.
    - A class predicted in every frame (background, as a rule) is no stratum, and neither is one without allowed frames.
    - Picks by stratum and by utility alone alternate so that every start of a batch has the same shares.
    - The noise decays geometrically.

    Cost: O(N log N) per stratum.

    Args:
        stratified: share of the picks that go by strata, 0 to 1.
        beta: inverse scale of the noise in round 1; 0 leaves nothing of the utilities, which then are not needed.
        decay: γ, what is left of the noise from one round to the next, above 0 and at most 1.

    Raises:
        ValueError: an argument is out of its range.

    >>> tools = HeadOutput("bernoulli", torch.tensor([[[0.9, 0.1]], [[0.8, 0.2]], [[0.7, 0.3]], [[0.1, 0.6]]]))
    >>> utility = torch.tensor([0.9, 0.8, 0.7, 0.1])
    >>> candidates = Candidates(
    ...     np.arange(4, dtype=np.uint64), utility=utility, posterior={"tools": tools}, round_number=99
    ... )
    >>> ClassStratified()(candidates, 3, np.random.default_rng(0)).tolist()  # rare class, other class, best of all
    [3, 0, 1]
    """

    needs = frozenset({"utility", "posterior"})
    because: ClassVar[str] = "a share for every class"

    def __init__(self, stratified: float = 2 / 3, beta: float = 1.0, decay: float = 0.5) -> None:
        self.stratified = stratified
        self.beta = beta
        self.decay = decay
        self.needs = type(self).needs if beta else frozenset({"posterior"})
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        if not 0 <= self.stratified <= 1:
            yield f"stratified of class_stratified must be a share from 0 to 1, not {self.stratified}"
        if not 0 <= self.beta < float("inf"):
            yield f"beta of class_stratified must be 0 or more, not {self.beta}"
        if not 0 < self.decay <= 1:
            yield f"decay of class_stratified must be above 0 and at most 1, not {self.decay}"

    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield the best frame of the stratum whose turn it is, or of all."""
        if candidates.posterior is None:
            raise ValueError("the candidates bring no posterior")
        free = constraint.free
        noise = gumbel_noise(candidates.tie_break, generator)  # [N]
        if self.beta:
            scale = self.decay ** (candidates.round_number - 1) / self.beta
            noise = noisy_log(require(candidates.utility, "utility"), scale * noise, free)
        ranking = Ranking(noise, candidates.tie_break)
        otherwise = "among the highest utilities, with chance" if self.beta else "chance"
        strata = _strata(candidates, free, ranking)
        picked = 0
        while True:
            allowed = constraint.allowed()
            turn = None
            if _share(self.stratified, picked + 1) > _share(self.stratified, picked):
                open_strata = (s for s in sorted(strata, key=_fewest_first) if (s.frames & allowed).any())
                turn = next(open_strata, None)
            pick = ranking.first(allowed) if turn is None else turn.ranking.first(turn.frames & allowed)
            yield Picked(pick, otherwise if turn is None else turn.words)
            picked += 1
            for stratum in strata:
                stratum.picks += bool(stratum.frames[pick]) if stratum.predicted else stratum is turn


@dataclass(eq=False)
class _Stratum:
    """Frames ``[N]`` of one class, best first by ``ranking``; all free frames for a class predicted in none of them."""

    frames: Bools
    ranking: Ranking
    predicted: int
    name: str
    picks: int = 0

    @property
    def words(self) -> str:
        """Why its frames are picked."""
        if not self.predicted:
            return f"likeliest to show {self.name}, which is predicted in no frame"
        return f"for the share of {self.name}, predicted in {self.predicted} frames"


def _fewest_first(stratum: _Stratum) -> tuple[int, int]:
    return stratum.picks, stratum.predicted


def _share(share: float, picks: int) -> int:
    """How many of the first ``picks`` go by strata; rounded up, but not because of the rounding of share · picks."""
    return math.ceil(share * picks - 1e-9)


def _strata(candidates: Candidates, free: Bools, ranking: Ranking) -> list[_Stratum]:
    """One per class of each head, in the order of the heads' names."""
    hashes, posterior = candidates.tie_break, candidates.posterior or {}
    strata = []
    for task in sorted(posterior):
        shows, probs = _predicted(posterior[task])  # [N, C], [N, C]
        for c in range(shows.shape[1]):
            name = f"{task}: {candidates.classes[task][c]}" if candidates.classes else f"{task} class {c}"
            frames = shows[:, c] & free  # [N]
            count = int(frames.sum())
            if count == 0:
                strata.append(_Stratum(free, Ranking(probs[:, c], hashes), 0, name))
            elif count < int(free.sum()):
                strata.append(_Stratum(frames, ranking, count, name))
    return strata


def _predicted(head: HeadOutput) -> tuple[Bools, npt.NDArray[np.float64]]:
    """Whether each class is predicted at any valid site, and its largest probability: two of ``[N, C]``."""
    probs = predictive_probs(head).double().where(head.mask.unsqueeze(-1), 0.0)  # [N, G, C]
    if head.family == "bernoulli":
        answer = probs > 0.5  # [N, G, C]
    else:
        likeliest = torch.zeros_like(probs).scatter_(-1, probs.max(dim=-1, keepdim=True).indices, 1.0)
        answer = (likeliest > 0) & head.mask.unsqueeze(-1)  # [N, G, C]
    return answer.any(dim=1).cpu().numpy(), probs.amax(dim=1).cpu().numpy()
