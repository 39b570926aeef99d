"""The same say for every head."""

from __future__ import annotations

from mtal.acquisition.weights.base import Evidence, HeadWeights


class Equal(HeadWeights):
    """wₜ = 1, whatever the evidence.

    Cost: O(T).

    >>> Equal()(Evidence({"tools": ("hook",), "bleeding": ("bleeding",)}))
    {'tools': 1.0, 'bleeding': 1.0}
    """

    def weigh(self, evidence: Evidence) -> dict[str, float]:
        """1 for each task."""
        return dict.fromkeys(evidence.tasks, 1.0)
