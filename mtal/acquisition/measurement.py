"""What is measured of every frame, and what the model has to give for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from mtal.acquisition.options import wrong_choice
from mtal.acquisition.score_table import Column
from mtal.acquisition.signals.base import SHARED, JointSignal, PoolSignal, Signal
from mtal.acquisition.signals.pool_view import PoolView
from mtal.refusals import refuse
from mtal.tasks.posterior import HeadOutput

Gradient = Literal["last_layer", "shared"]
ClassWeights = Literal["equal", "inverse_frequency", "headroom"]
Sites = Literal["annotatable", "equal"]


@dataclass(frozen=True)
class Measurement:
    """Signals of every head and of all heads together: head outputs to one column per (task, signal).

    Args:
        signals: name of the column to the signal; a signal of one head is asked of every head.
        gradient: which gradient selectors see: of each head's last layer, or of the shared representation.
        members: Monte-Carlo dropout members, used only where something needs members.
        class_weights: what aggregations weighted by class see: ``"equal"``, ``"inverse_frequency"`` of the class among
            labelled frames, or the class's ``"headroom"``.
        calibrate: fit a temperature to each head, out of fold, before anything is measured.
        site_weights: ``"annotatable"`` weighs the pixels of a head by how likely an annotator would label them, as
            learnt from the masks so far, ``"equal"`` not at all.

    Raises:
        ValueError: an option is out of its range.

    >>> from mtal.acquisition import Entropy
    >>> tools = HeadOutput("bernoulli", torch.tensor([[[0.5, 0.5]], [[0.0, 1.0]]]))
    >>> Measurement({"entropy": Entropy()})({"tools": tools})[("tools", "entropy")].tolist()
    [1.0, 0.0]
    """

    signals: Mapping[str, Signal | JointSignal | PoolSignal]
    gradient: Gradient = "last_layer"
    members: int = 20
    class_weights: ClassWeights = "equal"
    calibrate: bool = False
    site_weights: Sites = "annotatable"

    def __post_init__(self) -> None:
        object.__setattr__(self, "signals", dict(self.signals))
        refuse(self._faults())

    def _faults(self) -> Iterator[str]:
        yield from wrong_choice("gradient", self.gradient, get_args(Gradient))
        yield from wrong_choice("class_weights", self.class_weights, get_args(ClassWeights))
        yield from wrong_choice("site_weights", self.site_weights, get_args(Sites))
        if self.members < 2:
            yield f"members must be 2 or more, not {self.members}"

    @property
    def batch_needs(self) -> frozenset[str]:
        """What signals of a batch read of it, see :class:`Signal`."""
        of_batch = (s for s in self.signals.values() if not isinstance(s, PoolSignal))
        return frozenset(n for s in of_batch for n in s.needs) - {"grid"}

    @property
    def pool_needs(self) -> frozenset[str]:
        """What has to be kept of the whole pool for signals, see :class:`PoolSignal`."""
        return frozenset(n for s in self.signals.values() if isinstance(s, PoolSignal) for n in s.needs)

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Signal to its smallest and largest possible value."""
        return {name: signal.range for name, signal in self.signals.items()}

    def columns(self, tasks: Sequence[str]) -> list[Column]:
        """The columns of all signals of these heads, in the order in which they are measured."""
        of_head = [name for name, signal in self.signals.items() if isinstance(signal, Signal)]
        joint = [name for name, signal in self.signals.items() if isinstance(signal, JointSignal)]
        columns = [(task, name) for task in tasks for name in of_head] + [(SHARED, name) for name in joint]
        for name, signal in self.signals.items():
            if isinstance(signal, PoolSignal):
                columns += [(task, name) for task in (tasks if signal.per_head else [SHARED])]
        return columns

    def __call__(
        self, outputs: Mapping[str, HeadOutput], members: Mapping[str, HeadOutput] | None = None
    ) -> dict[Column, Tensor]:
        """Every signal of one batch of n frames: (task, signal) to ``[n]`` float64 on the CPU.

        Args:
            outputs: task to head output, all of the same frames.
            members: the same with a leading K, for the signals that need members; ``outputs`` where ``None``.
        """
        columns: dict[Column, Tensor] = {}
        with torch.no_grad():
            for task in outputs:
                for name, signal in self.signals.items():
                    if isinstance(signal, Signal):
                        columns[task, name] = signal(_asked(signal, outputs, members)[task])
            for name, signal in self.signals.items():
                if isinstance(signal, JointSignal):
                    columns[SHARED, name] = signal(_asked(signal, outputs, members))
        return {column: values.double().cpu() for column, values in columns.items()}

    def of_pool(self, views: Mapping[str, PoolView]) -> dict[Column, Tensor]:
        """Every signal of the whole pool: (task, signal) to ``[N]`` float64 on the CPU.

        Args:
            views: task to the pool as its head sees it; signals of no single head read the first one.
        """
        columns: dict[Column, Tensor] = {}
        with torch.no_grad():
            for name, signal in self.signals.items():
                if not isinstance(signal, PoolSignal):
                    continue
                if signal.per_head:
                    columns |= {(task, name): signal(view) for task, view in views.items()}
                else:
                    columns[SHARED, name] = signal(next(iter(views.values())))
        return {column: values.double().cpu() for column, values in columns.items()}


def _asked(
    signal: Signal | JointSignal, outputs: Mapping[str, HeadOutput], members: Mapping[str, HeadOutput] | None
) -> Mapping[str, HeadOutput]:
    return outputs if members is None or "members" not in signal.needs else members
