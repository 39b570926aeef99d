"""How long annotators take for a frame, by how long they were seen to take."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from mtal.acquisition.costs import PLACEHOLDER_FRAME_S, PLACEHOLDER_PIXEL_S, AnnotationCost

Floats = npt.NDArray[np.float64]
Did = Mapping[tuple[str, str], Floats]
"""(setting of :class:`AnnotationCost`, head) → how much of it was done in each of G sittings, ``[G]``: 1 of
``frame_s`` where the head was answered, labels, classes and boundary as they were drawn."""

LEAST = 20
"""Sittings with an answer of a head before its seconds count as measured."""

_PULL = 1e-4  # of the mean square of all seconds: decides what the sittings leave open, and nothing else
_ANY_FRAME = ("look_s", "")


class MeasuredCost(AnnotationCost):
    """:class:`AnnotationCost` whose seconds are those that annotators took, once enough were measured.

    Least squares over sittings, in each of which somebody answered some heads of one frame, with no seconds below 0:
    min over x ≥ 0 of ‖A x − s‖² + λ Σⱼ ((xⱼ − x⁰ⱼ) / max(x⁰ⱼ, 1))². x⁰ are the seconds given here or the placeholders,
    and λ is so small that they decide only what the sittings leave open, such as who of two heads that were always
    answered together takes how much of the time.

    Arguments and errors as for :class:`AnnotationCost`; a head of fewer than :data:`LEAST` sittings keeps them.

    >>> cost = MeasuredCost()
    >>> ones = np.ones(30)
    >>> cost.learn({("frame_s", "tools"): ones}, 8 * ones)
    >>> round(cost.look_s + cost.frame_s["tools"], 2)
    8.0
    """

    _said = False

    def __getstate__(self) -> dict[str, Any]:
        """Without what was said before, which changes no cost."""
        return {name: value for name, value in self.__dict__.items() if name != "_said"}

    @cached_property
    def _given(self) -> dict[str, dict[str, float]]:
        """The seconds before anything was learnt, which is when they are first asked for."""
        return self.speeds

    @property
    def speeds(self) -> dict[str, dict[str, float]]:
        """Setting → head → seconds, as they are now; ``look_s`` is of the head ``""``."""
        named = {name: dict(getattr(self, name)) for name in ("frame_s", "label_s", "class_s", "boundary_s")}
        return {**named, "look_s": {"": self.look_s}}

    def learn(self, did: Did, seconds: Floats, lacking: str = "") -> None:
        """Take the seconds from what was measured, all that was, in place of what was learnt before.

        Args:
            did: what was done.
            seconds: that each of the G sittings took, ``[G]``.
            lacking: why other answers were not measured, as a sentence.

        Warns:
            UserWarning: some heads were not measured often enough so far; said once.
        """
        heads = dict.fromkeys(task for _, task in did)
        times = {head: int((did["frame_s", head] > 0).sum()) for head in heads}
        few = [head for head in heads if times[head] < LEAST]
        self.recall(self._given)
        if (few or not heads) and not self._said:
            self._said = True
            told = ", ".join(f"{head} {times[head]}" for head in few) or "nothing"
            warnings.warn(
                f"acquisition/cost=measured: too few answers were timed to know how long one takes ({told}; {LEAST} of "
                "each head are needed), so the seconds of the configuration, or placeholders, stand in for those"
                + (f". {lacking}" if lacking else ""),
                stacklevel=2,
            )
        alone = np.ones(len(seconds), dtype=bool)  # [G]: sittings of heads that are all known well
        for head in few:
            alone &= did["frame_s", head] == 0
        known = {key: done[alone] for key, done in did.items() if key[1] not in few}
        if known and alone.any():
            self._fit({_ANY_FRAME: np.ones(int(alone.sum())), **known}, seconds[alone])

    def _fit(self, did: Did, seconds: Floats) -> None:
        keys = list(did)
        A = np.stack([did[key] for key in keys], axis=1)  # [G, P]
        given = np.array([self._prior(key, did) for key in keys])  # [P]
        pull = np.sqrt(_PULL * np.mean(seconds**2)) / np.maximum(given, 1.0)  # [P]
        found, _ = nnls(np.vstack([A, np.diag(pull)]), np.concatenate([seconds, pull * given]))  # [P]
        speeds = {name: dict(some) for name, some in self._given.items()}
        for (name, head), value in zip(keys, found.tolist(), strict=True):
            speeds[name][head] = value
        self.recall(speeds)

    def _prior(self, key: tuple[str, str], did: Did) -> float:
        name, head = key
        placeholder = 0.0
        if name == "frame_s":
            placeholder = PLACEHOLDER_PIXEL_S if ("boundary_s", head) in did else PLACEHOLDER_FRAME_S
        return self._given[name].get(head, placeholder)

    def recall(self, speeds: Mapping[str, Mapping[str, float]]) -> None:
        """Take the :attr:`speeds` of an earlier time."""
        self.frame_s, self.label_s = dict(speeds["frame_s"]), dict(speeds["label_s"])
        self.class_s, self.boundary_s = dict(speeds["class_s"]), dict(speeds["boundary_s"])
        self.look_s = speeds["look_s"][""]
