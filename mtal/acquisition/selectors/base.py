"""What a selector promises: exactly the budget, each frame once, in order of choice."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mtal.acquisition.embedding import all_finite
from mtal.acquisition.gradients import SideBySide
from mtal.acquisition.moments import Moments
from mtal.acquisition.round_warning import RoundWarning
from mtal.acquisition.selectors.constraints import Constraint
from mtal.acquisition.shown import Shown
from mtal.refusals import refuse
from mtal.tasks.posterior import HeadOutput


@dataclass(frozen=True)
class Candidates:
    """The N frames of the pool as selectors and limits see them; only what these need has to be there.

    Args:
        tie_break: ``[N]`` uint64 from :func:`~mtal.acquisition.selectors.tie_break.tie_break`.
        utility: ``[N]``, higher = picked earlier.
        gradient: joint gradient embedding of the N frames.
        features: ``[N, D]`` embeddings of the shared encoder.
        labelled_features: ``[M, D]`` embeddings of the labelled frames, ``None`` or M = 0 where none are labelled.
        posterior: task to coarse posterior of the N frames, ``probs [N, G, C]``, G = 1 for a frame head.
        members: frame task to the members' posteriors, ``probs [K, N, 1, C]``.
        fisher: task to factors V ``[N, R, P]`` of each frame's Fisher information, F = Vᵀ V.
        labelled_fisher: task to the summed Fisher information of the labelled frames, ``[P, P]``.
        moments: video and time of the N frames.
        labelled_moments: of the labelled frames; ``None`` where none are labelled.
        patients: ``[N]`` integer code of each frame's patient.
        labelled_patients: ``[M]`` of the labelled frames; ``None`` where none are labelled.
        cost_s: ``[N]`` annotator seconds that each frame takes.
        answers: ``[N]`` heads that each frame would be asked for.
        classes: task to the names of its classes, for the reasons of picks.
        shown: which classes the frames are expected to show, and labelled ones do.
        hidden: task to ``[N, C]``, 1 where a frame shows the class and 0 where not, as nobody has said yet; NaN where
            nobody will. For bounds in simulations.
        round_number: of the running round, from 1; for schedules that change over rounds.

    Raises:
        ValueError: the numbers of frames or of features disagree, or the features are not finite.
    """

    tie_break: npt.NDArray[np.uint64]
    utility: Tensor | None = None
    gradient: SideBySide | None = None
    features: Tensor | None = None
    labelled_features: Tensor | None = None
    posterior: Mapping[str, HeadOutput] | None = None
    members: Mapping[str, HeadOutput] | None = None
    fisher: Mapping[str, Tensor] | None = None
    labelled_fisher: Mapping[str, Tensor] | None = None
    moments: Moments | None = None
    labelled_moments: Moments | None = None
    patients: npt.NDArray[np.int64] | None = None
    labelled_patients: npt.NDArray[np.int64] | None = None
    cost_s: npt.NDArray[np.float64] | None = None
    answers: npt.NDArray[np.int64] | None = None
    classes: Mapping[str, tuple[str, ...]] | None = None
    shown: Shown | None = None
    hidden: Mapping[str, npt.NDArray[np.float64]] | None = None
    round_number: int = 1

    def __post_init__(self) -> None:
        refuse(self._faults(), what="faults")
        if self.features is not None and self.labelled_features is not None:
            ours, theirs = self.features.shape[1], self.labelled_features.shape[1]
            if ours != theirs:
                raise ValueError(f"features have {ours} numbers per frame but labelled_features {theirs}")

    def _faults(self) -> Iterator[str]:
        for name, size in self._sizes():
            if size != len(self):
                yield f"{name} is of {size} frames but tie_break of {len(self)}"
        for name in ("features", "labelled_features"):
            values = getattr(self, name)
            if values is not None and not (values.ndim == 2 and all_finite(values)):
                yield f"{name} must be finite and [frames, D]; they are {list(values.shape)}"

    def __len__(self) -> int:
        return len(self.tie_break)

    def take(self, index: npt.NDArray[np.int64] | slice) -> Candidates:
        """The candidates at ``index``, beside the same labelled frames; a slice copies nothing."""
        at = index if isinstance(index, slice) else torch.from_numpy(index)

        def heads(outputs: Mapping[str, HeadOutput] | None) -> Mapping[str, HeadOutput] | None:
            return None if outputs is None else {task: head.take(at) for task, head in outputs.items()}

        return replace(
            self,
            tie_break=self.tie_break[index],
            utility=None if self.utility is None else self.utility[at],
            gradient=None if self.gradient is None else self.gradient.take(at),
            features=None if self.features is None else self.features[at],
            posterior=heads(self.posterior),
            members=heads(self.members),
            fisher=None if self.fisher is None else {task: factors[at] for task, factors in self.fisher.items()},
            moments=None if self.moments is None else self.moments.take(index),
            patients=None if self.patients is None else self.patients[index],
            cost_s=None if self.cost_s is None else self.cost_s[index],
            answers=None if self.answers is None else self.answers[index],
            shown=None if self.shown is None else self.shown.take(index),
            hidden=None if self.hidden is None else {task: y[index] for task, y in self.hidden.items()},
        )

    def _sizes(self) -> Iterator[tuple[str, int]]:
        for name in ("utility", "gradient", "features", "moments", "patients", "cost_s", "answers", "shown"):
            values = getattr(self, name)
            if values is not None:
                yield name, len(values)
        for name in ("posterior", "members"):
            for task, head in (getattr(self, name) or {}).items():
                yield f"{name}.{task}", int(head.probs.shape[-3])
        for name in ("fisher", "hidden"):
            for task, rows in (getattr(self, name) or {}).items():
                yield f"{name}.{task}", len(rows)


class Picked(int):
    """The position of a pick, and what made this one be picked, in words."""

    why: str

    def __new__(cls, position: int, why: str) -> Picked:
        """A position with its reason."""
        picked = super().__new__(cls, position)
        picked.why = why
        return picked


class Selector(ABC):
    """``budget`` distinct candidates in order of choice, fewer only when no more are left.

    The order of the candidates does not matter: ties and draws go by their hashes.

    Attributes:
        needs: which of ``"utility"``, ``"gradient"``, ``"features"``, ``"posterior"``, ``"members"``, ``"fisher"``,
            ``"moments"``, ``"shown"`` and ``"hidden"`` the candidates have to bring.
        because: why a pick is picked, beyond its utility, in words that end "picked because: "; empty where the utility
            is all.

    Raises:
        ValueError: the budget is below 1, something needed is missing, a utility is not finite, or the constraint is
            of another number of candidates.
    """

    needs: frozenset[str] = frozenset()
    because: ClassVar[str] = ""

    def __call__(
        self,
        candidates: Candidates,
        budget: int,
        generator: np.random.Generator,
        constraint: Constraint | None = None,
        why: dict[int, str] | None = None,
    ) -> Tensor:
        """Positions of the picks in order of choice, ``[budget]`` int64.

        Args:
            candidates: the pool.
            budget: how many to pick, 1 or more; with a hard rule such as a cost budget, the most to pick.
            generator: the only source of randomness.
            constraint: what may be picked; a fresh one for each call, ``None`` for any frame once.
            why: filled with what made each frame be picked, where that differs from frame to frame.

        Warns:
            UserWarning: fewer frames than the budget are left, or a hard rule ends the picking before it should.
        """
        if constraint is None:
            constraint = Constraint(len(candidates))
        self._check(candidates, budget, constraint)
        wanted = min(budget, constraint.remaining)
        at_once = None if constraint.rules or not wanted else self.at_once(candidates, wanted, constraint.free)
        if at_once is None:
            one_by_one = self._one_by_one(candidates, wanted, generator, constraint)
            if why is not None:
                why.update({int(pick): pick.why for pick in one_by_one if isinstance(pick, Picked)})
            picks = torch.tensor(one_by_one, dtype=torch.int64)
        else:
            constraint.pick_all(at_once)
            picks = torch.from_numpy(at_once)
        if len(picks) < budget:
            _warn_short(budget, len(picks), constraint)
        return picks

    def _one_by_one(
        self, candidates: Candidates, wanted: int, generator: np.random.Generator, constraint: Constraint
    ) -> list[int]:
        chosen = self.choose(candidates, wanted, generator, constraint)
        picks: list[int] = []
        while len(picks) < wanted and constraint.allowed().any():
            picks.append(next(chosen))
            constraint.pick(picks[-1])
        return picks

    def reads(self, round_number: int) -> frozenset[str]:
        """What of :attr:`needs` decides in a round, for selectors that change over rounds."""
        return self.needs

    def reason(self, round_number: int) -> str:
        """:attr:`because` of the picks of a round, counted from 1, for selectors that change over rounds."""
        return self.because

    def at_once(self, candidates: Candidates, budget: int, free: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp] | None:
        """What :meth:`choose` would yield where no pick forbids another, ``None`` where it has to go pick by pick.

        Args:
            candidates: the pool.
            budget: how many of the free ones to pick.
            free: ``[N]`` bool, what may be picked.
        """
        return None

    @abstractmethod
    def choose(
        self, candidates: Candidates, budget: int, generator: np.random.Generator, constraint: Constraint
    ) -> Iterator[int]:
        """Yield one allowed position after the other; each is picked from ``constraint`` before the next is asked.

        A position may be a :class:`Picked`, which says what made just this frame be picked.

        Args:
            candidates: the pool.
            budget: how many will be asked for, 1 or more and not more than remain; the iterator may go on beyond it.
            generator: the only source of randomness.
            constraint: what may be picked next.
        """

    def _check(self, candidates: Candidates, budget: int, constraint: Constraint) -> None:
        if budget < 1:
            raise ValueError(f"the budget must be 1 frame or more, not {budget}")
        if len(constraint) != len(candidates):
            raise ValueError(
                f"the constraint is on {len(constraint)} frames but there are {len(candidates)} candidates"
            )
        missing = [need for need in sorted(self.needs) if getattr(candidates, need) is None]
        if missing:
            raise ValueError(f"{type(self).__name__} needs {', '.join(missing)} of the candidates")
        if "utility" in self.needs and candidates.utility is not None and not all_finite(candidates.utility):
            wrong = ~candidates.utility.isfinite().cpu().numpy() & constraint.free
            if wrong.any():
                raise ValueError(
                    f"{int(wrong.sum())} utilities are not finite, the first at position {int(wrong.argmax())}; exclude"
                    f" these frames by the constraint or mend their scores"
                )


def _warn_short(budget: int, picked: int, constraint: Constraint) -> None:
    short = f"the budget is {budget} frames but only {picked} are"
    if not constraint.free.any():
        warnings.warn(f"{short} left in the pool: all are picked", RoundWarning, stacklevel=3)
    for reason in constraint.reasons():
        warnings.warn(f"{short} picked: {reason}", RoundWarning, stacklevel=3)


def require(value: Tensor | None, name: str) -> npt.NDArray[np.float64]:
    """``value`` as a float64 array.

    Raises:
        ValueError: it is ``None``.
    """
    if value is None:
        raise ValueError(f"the candidates bring no {name}")
    return value.detach().cpu().double().numpy()
