"""The few choices of a configuration that say what an experiment was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# label → where the choice may stand, most specific first
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "Data": ("dataset", "data"),
    "Encoder": ("model.encoder", "encoder", "model.encoder_name", "model"),
    "Signals": ("acquisition.signals", "signals", "signal"),
    "Normaliser": ("acquisition.normalizer", "normalizer"),
    "Fusion": ("acquisition.fusion", "fusion"),
    "Selector": ("acquisition.selector", "selector"),
    "Acquisition": ("acquisition",),
    "Initial frames": ("initial", "budget.initial", "learning.initial", "experiment.initial"),
    "Frames per round": ("batch", "per_round", "budget.per_round", "budget.batch", "learning.per_round"),
    "Rounds": ("rounds", "budget.rounds", "learning.rounds", "experiment.rounds"),
    "Budget": ("budget", "learning.budget"),
    "Seed": ("seed", "learning.seed", "experiment.seed"),
}
_ACQUISITION_PARTS = ("Signals", "Normaliser", "Fusion", "Selector")
_BUDGET_PARTS = ("Initial frames", "Frames per round", "Rounds")


def summarize(config: Mapping[str, Any]) -> dict[str, str]:
    """Label → choice in words, for the choices that ``config`` holds."""
    found = {}
    for label, places in _CHOICES.items():
        value = next((v for place in places if (v := _at(config, place)) is not None), None)
        if value is not None:
            found[label] = describe(value)
    if any(part in found for part in _ACQUISITION_PARTS):
        found.pop("Acquisition", None)
    if isinstance(config.get("budget"), Mapping) and any(part in found for part in _BUDGET_PARTS):
        found.pop("Budget", None)
    return found


def describe(value: Any) -> str:
    """A configured value in words: ``{"_target_": "mtal.x.Entropy", "k": 2}`` → ``"Entropy (k 2)"``."""
    if isinstance(value, Mapping):
        target = value.get("_target_")
        rest = ", ".join(f"{k} {describe(v)}" for k, v in value.items() if not str(k).startswith("_") and v is not None)
        if target is None:
            return rest
        parts = str(target).split(".")
        # a loader is a function with the same name everywhere; its module tells which one it is
        name = parts[-2] if parts[-1] == "load" and len(parts) > 1 else parts[-1]
        return f"{name} ({rest})" if rest else name
    if isinstance(value, (list, tuple)):
        return ", ".join(describe(item) for item in value)
    return str(value)


def _at(config: Mapping[str, Any], place: str) -> Any:
    value: Any = config
    for key in place.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value
