"""The few choices of a configuration that say what an experiment was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# label → where the choice stands in the configuration
_CHOICES: Mapping[str, str] = {
    "Data": "data",
    "Encoder": "encoder",
    "Signals": "acquisition.signals",
    "Over pixels": "acquisition.sites",
    "Over labels": "acquisition.labels",
    "Normaliser": "acquisition.normalizer",
    "Fusion": "acquisition.fusion",
    "Weights of the heads": "acquisition.weights",
    "Selector": "acquisition.selector",
    "Heads asked for": "acquisition.query",
    "Seconds of annotators": "acquisition.cost",
    "Seconds between picks": "acquisition.minimum_gap_s",
    "Loss weighting": "tasks.weighting",
    "Who labels": "oracle._target_",
    "Initial frames": "loop.initial",
    "Frames per round": "loop.batch",
    "Seconds per round": "loop.batch_seconds",
    "Answers per round": "loop.batch_answers",
    "Rounds": "loop.rounds",
    "Rounds of flat val before it stops": "loop.stop.val_flat_rounds",
    "Entropy of the pool at which it stops": "loop.stop.uncertainty_below",
    "Seed": "seed",
}


def title(config: Mapping[str, Any], folder: str) -> str:
    """The experiment's name and its folder's, the latter being made of the options that were given."""
    name = config.get("name")
    return folder if name is None or str(name) == folder else f"{name} · {folder}"


def summarize(config: Mapping[str, Any]) -> dict[str, str]:
    """Label → choice in words, for the choices that ``config`` holds."""
    found = {label: describe(_at(config, place)) for label, place in _CHOICES.items()}
    found["Signals"] = describe(_signals(config))
    found["Who labels"] = found["Who labels"].rpartition(".")[2]
    if found["Seconds per round"] or found["Answers per round"]:
        found["Frames per round"] = ""  # is not read
    return {label: words for label, words in found.items() if words}


def _signals(config: Mapping[str, Any]) -> Any:
    """The signals without the aggregations that all of them share, which are told once."""
    signals = _at(config, "acquisition.signals")
    if not isinstance(signals, Mapping):
        return signals
    shared = {key: _at(config, f"acquisition.{key}") for key in ("sites", "labels")}
    return {
        name: {k: v for k, v in signal.items() if k not in shared or v != shared[k]}
        if isinstance(signal, Mapping)
        else signal
        for name, signal in signals.items()
    }


def describe(value: Any) -> str:
    """A configured value in words.

    >>> describe({"_target_": "mtal.x.Entropy", "base": 2, "pixels": True, "heads": None})
    'Entropy (base 2, pixels)'
    >>> describe({"name": "resnet18", "frozen": False})
    'resnet18 (not frozen)'
    """
    if value is None:
        return ""
    if isinstance(value, Mapping):
        name = _name(value)
        options = [_option(str(k), v) for k, v in value.items() if not str(k).startswith("_") and k != "name"]
        rest = ", ".join(option for option in options if option)
        return f"{name} ({rest})" if name and rest else name or rest
    if isinstance(value, (list, tuple)):
        return ", ".join(describe(item) for item in value)
    return str(value)


def _name(value: Mapping[str, Any]) -> str:
    """Class or function that a mapping stands for, or the name it gives itself."""
    if "_target_" not in value:
        return str(value.get("name", ""))
    parts = str(value["_target_"]).split(".")
    # A loader is a function called load everywhere; its module tells which one it is.
    return parts[-2] if parts[-1] == "load" and len(parts) > 1 else parts[-1]


def _option(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return key if value else f"not {key}"
    words = describe(value)
    if isinstance(value, Mapping) and "_target_" in value:
        return words
    return f"{key} {words}" if words else ""


def _at(config: Mapping[str, Any], place: str) -> Any:
    value: Any = config
    for key in place.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value
