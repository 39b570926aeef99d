"""More say for the head that still pulls hard on the shared encoder."""

from __future__ import annotations

import math

from mtal.acquisition.weights.base import Evidence, HeadWeights


class GradientLength(HeadWeights):
    """wₜ ∝ mean over the pool of ‖∂Lₜ/∂z‖, z the output of the shared encoder.

    All heads meet at z, so these lengths share one space and compare. A head's length shrinks by itself as the head
    becomes sure of the pool, so no label has to be held out. Where all lengths are 0 all heads get the same.

    Cost: O(T) after the heads' shared gradients.

    Raises:
        ValueError: a task has no length, or one that is negative or not finite.

    >>> classes = {"tools": ("hook",), "anatomy": ("liver",)}
    >>> GradientLength()(Evidence(classes, gradient_length={"tools": 0.25, "anatomy": 0.75}))
    {'tools': 0.5, 'anatomy': 1.5}
    """

    needs = frozenset({"gradient_length"})

    def weigh(self, evidence: Evidence) -> dict[str, float]:
        """Mean length of each task's gradient, over the largest."""
        assert evidence.gradient_length is not None  # for the type checker; needs says so
        lengths = {task: evidence.gradient_length.get(task, math.nan) for task in evidence.tasks}
        for task, length in lengths.items():
            if not 0 <= length < math.inf:
                raise ValueError(f"gradient_length.{task} must be 0 or more and finite, not {length}")
        longest = max(lengths.values())
        return {task: length / longest if longest else 1.0 for task, length in lengths.items()}
